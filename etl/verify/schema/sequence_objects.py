"""Compares the sequences behind columns with what an identity is, and looks whether their next numbers are free.

Invariant: one query for all tables, and one for every fifty sequences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import asyncpg

from etl.errors import TargetError
from etl.model import ColumnPlan, Difference, TablePlan, Way
from etl.verify.readings import quoted
from etl.verify.schema.catalog_columns import TABLES
from etl.verify.schema.catalog_rows import Catalog
from etl.verify.schema.object_differences import object_difference

LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
SEQUENCES_A_QUERY = 50  # each takes locks on its table and the table's indexes as well
# An identity owns its sequence, a serial column's default names it: whoever owns it then, it gives the numbers.
_SEQUENCES = f"""
with tables as ({TABLES}), uses as (
    select d.objid as sequence, d.refobjid as relation, d.refobjsubid as number, true as identity
    from pg_catalog.pg_depend d
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'i'
      and d.refobjsubid > 0
  union
    select d.refobjid, f.adrelid, f.adnum, false
    from pg_catalog.pg_attrdef f
    join pg_catalog.pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid
      and d.refclassid = 'pg_class'::regclass
)
select t.relname as table, a.attname as column, u.identity,
       pg_catalog.format('%I.%I', n.nspname, s.relname) as name,
       pg_catalog.has_sequence_privilege(s.oid, 'select') as may_read, current_user::text as role,
       pg_catalog.format_type(q.seqtypid, null) as kind, q.seqstart as start, q.seqincrement as increment,
       q.seqmin as smallest, q.seqmax as largest, q.seqcycle as cycles,
       s.relpersistence = 'u' and r.relpersistence <> 'u' as unlogged
from tables t
join pg_catalog.pg_class r on r.oid = t.oid
join uses u on u.relation = t.oid
join pg_catalog.pg_class s on s.oid = u.sequence and s.relkind = 'S'
join pg_catalog.pg_namespace n on n.oid = s.relnamespace
join pg_catalog.pg_sequence q on q.seqrelid = s.oid
join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = u.number
join pg_catalog.pg_type y on y.oid = a.atttypid and y.typcategory = 'N'
order by t.relname, a.attnum, s.relname
"""


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A column and the sequence that gives its numbers."""

    table: TablePlan
    column: ColumnPlan
    kind: str | None  # the type of a planned identity; None for whatever else gives numbers
    sequence: asyncpg.Record

    @property
    def given(self) -> int | None:
        """What SQLite's own counter had given out, where it counted this column."""
        counted = self.table.way is Way.CREATE or self.column.source.name == self.table.source.rowid_alias
        return self.table.source.sequence if counted else None


async def compare_sequences(
    target: asyncpg.Connection, tables: Sequence[TablePlan], schema: str, catalog: Catalog
) -> list[Difference]:
    """An identity counts by one through all numbers of its type; the next one must be free.

    That is to say above every key, and above SQLite's high-water mark. So must that of every column which takes its
    numbers from a sequence, in a table that the target had; those may count as they like, downwards too.
    """
    found: dict[tuple[str, str], list[asyncpg.Record]] = {}
    for row in await target.fetch(_SEQUENCES, schema, [table.name for table in tables]):
        found.setdefault((row["table"], row["column"]), []).append(row)
    differences = []
    numbered = []
    for table in tables:
        for column in table.columns:
            there = catalog.columns[table.name].get(column.name)
            if there is None or (table.way is Way.CREATE and not (column.identity and there.identity)):
                continue  # a column that is no identity is told by its columns
            kind = str(there.type) if table.way is Way.CREATE else None
            sequences = [one for one in found.get((table.name, column.name), ()) if one["identity"] or kind is None]
            if not sequences and column.identity:
                told = object_difference(table, column.name, "an identity sequence", "nothing", column.source.name)
                differences.append(told)
            numbered += [_Numbered(table, column, kind, sequence) for sequence in sequences]
    for start in range(0, len(numbered), SEQUENCES_A_QUERY):
        differences += await _compare(target, schema, numbered[start : start + SEQUENCES_A_QUERY])
    return differences


async def _compare(target: asyncpg.Connection, schema: str, numbered: Sequence[_Numbered]) -> list[Difference]:
    """What is wrong with some sequences; raises TargetError for one that the role may not read."""
    for one in numbered:
        if not one.sequence["may_read"]:
            _refuse(one.sequence, schema)
    states = await target.fetch(" union all ".join(_state(place, one, schema) for place, one in enumerate(numbered)))
    by_place = {state["place"]: state for state in states}
    return [
        object_difference(one.table, one.column.name, *both, one.column.source.name)
        for place, one in enumerate(numbered)
        for both in _told(one, by_place[place])
    ]


def _refuse(sequence: asyncpg.Record, schema: str) -> None:
    raise TargetError(
        f"the role {sequence['role']} may not read the sequence {sequence['name']}, which tells what number comes next",
        f"grant select on all sequences in schema {quoted(schema)} to {quoted(sequence['role'])};",
    )


def _state(place: int, one: _Numbered, schema: str) -> str:
    """A query for the sequence's next value and for the number in its column that stands furthest in its way."""
    furthest = "max" if one.sequence["increment"] > 0 else "min"
    held = f"(select {furthest}({quoted(one.column.name)})::numeric from {quoted(schema)}.{quoted(one.table.name)})"
    step = f"case when is_called then {one.sequence['increment']} else 0 end"
    return f"select {place} as place, last_value::numeric + {step} as next, {held} as held from {one.sequence['name']}"


def _told(one: _Numbered, state: asyncpg.Record) -> Iterator[tuple[str, str]]:
    """(expected, actual) of what is wrong."""
    names = ("kind", "start", "increment", "smallest", "largest", "cycles")
    if one.kind is not None and one.kind in LARGEST:
        wanted = _say(one.kind, 1, 1, 1, LARGEST[one.kind], cycles=False)
        actual = _say(**{name: one.sequence[name] for name in names})
        if one.sequence["unlogged"]:  # it begins anew after a crash
            actual += ", unlogged"
        if actual != wanted:
            yield wanted, actual
    coming, held = state["next"], state["held"]
    if one.sequence["increment"] < 0:
        if coming is not None and held is not None and coming >= held:
            yield f"a next value below {held}", f"next value {coming}"
        return
    taken = [number for number in (held, one.given) if number is not None]
    if coming is not None and taken and coming <= max(taken):
        yield f"a next value above {max(taken)}", f"next value {coming}"


def _say(kind: str, start: int, increment: int, smallest: int, largest: int, *, cycles: bool) -> str:
    counted = f"a sequence as {kind} from {start} by {increment}, {smallest} to {largest}"
    return f"{counted}, round and round" if cycles else counted
