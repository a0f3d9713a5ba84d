"""Compares the sequences behind columns with what an identity is, and looks whether their next numbers are free."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg

from etl.errors import TargetError
from etl.model import Difference, TablePlan, Way
from etl.verify.readings import quoted
from etl.verify.schema.catalog_rows import Catalog
from etl.verify.schema.object_differences import object_difference

LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
_SEQUENCE = """
select case when s.is_called then s.last_value::numeric + q.seqincrement else s.last_value end as next_value,
       pg_catalog.format_type(q.seqtypid, null) as kind, q.seqstart as start, q.seqincrement as increment,
       q.seqmin as smallest, q.seqmax as largest, q.seqcycle as cycles
from {sequence} as s, pg_catalog.pg_sequence as q where q.seqrelid = $1::text::regclass
"""


async def compare_sequences(
    target: asyncpg.Connection, table: TablePlan, schema: str, catalog: Catalog
) -> list[Difference]:
    """An identity counts by one through all numbers of its type; the next one must be free.

    That is to say above every key, and above SQLite's high-water mark. So must that of a serial column, in a table that
    the target had, whose sequences may count as they like.
    """
    differences = []
    for column in table.columns:
        there = catalog.columns[table.name].get(column.name)
        planned = column.identity or table.way is Way.FILL
        if not planned or there is None or not (there.identity or table.way is Way.FILL):
            continue  # a column that is no identity is told by its columns
        name = f"{quoted(schema)}.{quoted(table.name)}"
        sequence = await _find(target, name, column.name, schema)
        if sequence is None and not column.identity:
            continue  # nor is it serial
        if sequence is None:
            told = [("an identity sequence", "nothing")]
        else:
            largest = await target.fetchval(f"select max({quoted(column.name)}) from {name}")
            counted = table.way is Way.CREATE or column.source.name == table.source.rowid_alias
            taken = max(largest or 0, (table.source.sequence if counted else None) or 0)
            (found,) = await target.fetch(_SEQUENCE.format(sequence=sequence), sequence)
            told = list(_compare(found, taken, str(there.type) if table.way is Way.CREATE else None))
        differences += [object_difference(table, column.name, *both, column.source.name) for both in told]
    return differences


async def _find(target: asyncpg.Connection, table: str, column: str, schema: str) -> str | None:
    """The sequence of a column, quoted; raises TargetError for one that the role may not read."""
    (found,) = await target.fetch(
        "select s as name, pg_catalog.has_sequence_privilege(s, 'select') as may_read, current_user::text as role"
        " from pg_catalog.pg_get_serial_sequence($1, $2) as s",
        table,
        column,
    )
    name: str | None = found["name"]
    if name is not None and not found["may_read"]:
        raise TargetError(
            f"the role {found['role']} may not read the sequence {name}, which tells what number comes next",
            f"grant select on all sequences in schema {quoted(schema)} to {quoted(found['role'])};",
        )
    return name


def _compare(found: asyncpg.Record, taken: int, kind: str | None) -> Iterator[tuple[str, str]]:
    """(expected, actual) of what is wrong; ``kind`` is the type of an identity, None for any other sequence."""
    if kind in LARGEST:
        wanted = _say(kind, 1, 1, 1, LARGEST[kind], cycles=False)
        names = ("kind", "start", "increment", "smallest", "largest", "cycles")
        actual = _say(**{name: found[name] for name in names})
        if actual != wanted:
            yield wanted, actual
    if found["next_value"] <= taken:
        yield f"a next value above {taken}", f"next value {found['next_value']}"


def _say(kind: str, start: int, increment: int, smallest: int, largest: int, *, cycles: bool) -> str:
    counted = f"a sequence as {kind} from {start} by {increment}, {smallest} to {largest}"
    return f"{counted}, round and round" if cycles else counted
