"""Sequences of the application's own tables, set so that the next INSERT gets a free number.

One that counts up goes on above the largest number in use, one that counts down below the smallest.

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
       u.relation = any($1::oid[]) and y.typcategory = 'N' as is_filled, q.seqstart as start,
       q.seqincrement as increment, case when q.seqincrement > 0 then q.seqmax else q.seqmin end as last,
       pg_catalog.pg_has_role(s.relowner, 'usage') as is_owned,
       pg_catalog.has_sequence_privilege(s.oid, 'update') and pg_catalog.has_sequence_privilege(s.oid, 'select')
           as may_set
from uses u
join pg_catalog.pg_class s on s.oid = u.sequence and s.relkind = 'S'
join pg_catalog.pg_namespace n on n.oid = s.relnamespace
join pg_catalog.pg_sequence q on q.seqrelid = s.oid
join pg_catalog.pg_class c on c.oid = u.relation
join pg_catalog.pg_attribute a on a.attrelid = u.relation and a.attnum = u.number
join pg_catalog.pg_type y on y.oid = a.atttypid
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
    increment: int  # below zero: it counts down
    last: int  # number that it can give
    is_shared: bool  # other tables take numbers too
    is_owned: bool
    may_set: bool  # and look at it, which its verification does

    def beyond(self, taken: Sequence[int]) -> int:
        """The first of its own numbers that lies beyond all of those ``taken``, in its direction."""
        if not taken:
            return self.start
        last = max(taken) if self.increment > 0 else min(taken)
        return self.start + max((last - self.start) // self.increment + 1, 0) * self.increment

    def further(self, one: int, another: int) -> int:
        """Whichever of the two it comes to later."""
        return max(one, another) if self.increment > 0 else min(one, another)


async def read_sequences(connection: asyncpg.Connection, oids: Sequence[int]) -> list[OwnSequence]:
    """Those that give numbers to columns of these tables; what a number becomes within a text is nobody's matter."""
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
        if sequence.columns:
            sequences.append(sequence)
    return sequences


async def restart_sequences(
    connection: asyncpg.Connection, schema: str, tables: Mapping[str, TablePlan], sequences: Sequence[OwnSequence]
) -> list[tuple[str, str, int]]:
    """Let each go on beyond the numbers in use; returns (target table, column, next value)."""
    result = []
    for sequence in sequences:
        with named_errors(f"sequence {sequence.shown}"):
            taken = [
                number
                for table, column in sequence.columns
                for number in await _taken(connection, schema, tables[table], column, sequence)
            ]
            wanted = sequence.beyond(taken)
            if sequence.is_shared or not sequence.is_owned:
                wanted = sequence.further(wanted, await _next_value(connection, sequence))
            await _restart(connection, sequence, wanted)
        result += [(table, column, wanted) for table, column in sequence.columns]
    return result


async def _restart(connection: asyncpg.Connection, sequence: OwnSequence, wanted: int) -> None:
    """Let it go on with ``wanted``; where that lies beyond its last number, that one counts as given out."""
    is_through = wanted != sequence.last and sequence.further(wanted, sequence.last) == wanted
    number = sequence.last if is_through else wanted
    if sequence.is_owned:  # what setval does after this is part of the transaction too: the sequence is a new file
        await connection.execute(f"alter sequence {sequence.name} restart with {number}")
    if is_through or not sequence.is_owned:
        await connection.execute(
            "select pg_catalog.setval($1::text::regclass, $2, $3)", sequence.name, number, is_through
        )


async def _taken(
    connection: asyncpg.Connection, schema: str, table: TablePlan, column: str, sequence: OwnSequence
) -> list[int]:
    """The furthest number that the table holds, and, upwards, the one that SQLite had given out of its own counter."""
    furthest = "max" if sequence.increment > 0 else "min"
    held = await connection.fetchval(
        f"select {furthest}({quote(column)})::numeric from {quote(schema)}.{quote(table.name)}"
    )
    given = table.source.sequence if sequence.increment > 0 and _is_rowid(table, column) else None
    return [int(number) for number in (held, given) if number is not None]


def _is_rowid(table: TablePlan, column: str) -> bool:
    return any(one.name == column and one.source.name == table.source.rowid_alias for one in table.columns)


async def _next_value(connection: asyncpg.Connection, sequence: OwnSequence) -> int:
    last: int | None = await connection.fetchval(
        "select pg_catalog.pg_sequence_last_value($1::text::regclass)", sequence.name
    )
    return sequence.start if last is None else last + sequence.increment
