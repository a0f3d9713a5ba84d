"""Sequences of the application's own tables, set so that the next INSERT gets a free number.

Invariant: `alter sequence … restart` is part of the transaction and goes with it; setval is not, and is used only
upwards, where the role may do no more: what a rollback leaves of it is a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from etl.load.connect import named_errors, quote
from etl.model import TablePlan

# Whose numbers a sequence gives: identities own theirs, every other default names it.
_USES = """
with uses as (
    select d.objid as sequence, d.refobjid as relation, d.refobjsubid as number
    from pg_catalog.pg_depend d
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'i'
      and d.refobjsubid > 0
  union
    select d.refobjid, f.adrelid, f.adnum
    from pg_catalog.pg_attrdef f
    join pg_catalog.pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid
      and d.refclassid = 'pg_class'::regclass
)
select s.oid, n.nspname as schema, s.relname as name, c.relname as table, a.attname as column,
       u.relation = any($1::oid[]) as is_filled, q.seqstart as start, q.seqincrement as increment, q.seqmax as last,
       pg_catalog.pg_has_role(s.relowner, 'usage') as is_owned,
       pg_catalog.has_sequence_privilege(s.oid, 'update') and pg_catalog.has_sequence_privilege(s.oid, 'select')
           as may_set
from uses u
join pg_catalog.pg_class s on s.oid = u.sequence and s.relkind = 'S'
join pg_catalog.pg_namespace n on n.oid = s.relnamespace
join pg_catalog.pg_sequence q on q.seqrelid = s.oid
join pg_catalog.pg_class c on c.oid = u.relation
join pg_catalog.pg_attribute a on a.attrelid = u.relation and a.attnum = u.number
where s.oid in (select sequence from uses where relation = any($1::oid[]))
order by n.nspname, s.relname, c.relname
"""


@dataclass(frozen=True, slots=True)
class OwnSequence:
    """A sequence that gives numbers to columns of the run's tables."""

    name: str  # schema and name quoted
    shown: str
    columns: tuple[tuple[str, str], ...]  # (table, column) among the filled
    start: int
    increment: int
    last: int  # number that it can give
    is_shared: bool  # other tables take numbers too
    is_owned: bool
    may_set: bool  # and look at it, which its verification does


async def read_sequences(connection: asyncpg.Connection, oids: Sequence[int]) -> list[OwnSequence]:
    """Those that give numbers upwards: one that counts down is nobody's key."""
    grouped: dict[int, list[asyncpg.Record]] = {}
    for row in await connection.fetch(_USES, oids):
        grouped.setdefault(row["oid"], []).append(row)
    sequences = []
    for rows in grouped.values():
        first = rows[0]
        sequence = OwnSequence(
            name=f"{quote(first['schema'])}.{quote(first['name'])}",
            shown=f"{first['schema']}.{first['name']}",
            columns=tuple((row["table"], row["column"]) for row in rows if row["is_filled"]),
            start=first["start"],
            increment=first["increment"],
            last=first["last"],
            is_shared=len(rows) > 1,
            is_owned=first["is_owned"],
            may_set=first["may_set"],
        )
        if sequence.increment > 0:
            sequences.append(sequence)
    return sequences


async def restart_sequences(
    connection: asyncpg.Connection, schema: str, tables: Mapping[str, TablePlan], sequences: Sequence[OwnSequence]
) -> list[tuple[str, str, int]]:
    """Let each go on after the largest number in use; returns (target table, column, next value)."""
    result = []
    for sequence in sequences:
        with named_errors(f"sequence {sequence.shown}"):
            taken = [await _taken(connection, schema, tables[table], column) for table, column in sequence.columns]
            wanted = max([sequence.start, *(number + 1 for number in taken if number is not None)])
            if sequence.is_shared or not sequence.is_owned:
                wanted = max(wanted, await _next_value(connection, sequence))
            await _restart(connection, sequence, wanted)
        result += [(table, column, wanted) for table, column in sequence.columns]
    return result


async def _restart(connection: asyncpg.Connection, sequence: OwnSequence, wanted: int) -> None:
    """Let it go on with ``wanted``; where that lies beyond its last number, that one counts as given out."""
    is_through = wanted > sequence.last
    number = min(wanted, sequence.last)
    if sequence.is_owned:  # what setval does after this is part of the transaction too: the sequence is a new file
        await connection.execute(f"alter sequence {sequence.name} restart with {number}")
    if is_through or not sequence.is_owned:
        await connection.execute(
            "select pg_catalog.setval($1::text::regclass, $2, $3)", sequence.name, number, is_through
        )


async def _taken(connection: asyncpg.Connection, schema: str, table: TablePlan, column: str) -> int | None:
    """The largest number that the table holds, or that SQLite had given out of its own counter."""
    largest: int | None = await connection.fetchval(
        f"select max({quote(column)})::bigint from {quote(schema)}.{quote(table.name)}"
    )
    given = table.source.sequence if _is_rowid(table, column) else None
    return max((number for number in (largest, given) if number is not None), default=None)


def _is_rowid(table: TablePlan, column: str) -> bool:
    return any(one.name == column and one.source.name == table.source.rowid_alias for one in table.columns)


async def _next_value(connection: asyncpg.Connection, sequence: OwnSequence) -> int:
    last: int | None = await connection.fetchval(
        "select pg_catalog.pg_sequence_last_value($1::text::regclass)", sequence.name
    )
    return sequence.start if last is None else last + sequence.increment
