"""What a role may not do to the tables that it is to fill, asked before anything is built or filled.

Invariant: all that is missing is named at once, with the statements that give it: nobody runs again for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import asyncpg

from etl.counted_nouns import some
from etl.errors import TargetError
from etl.load.connect import quote
from etl.load.sequences import read_sequences
from etl.model import Plan

_TABLES = """
select c.oid, c.relname as name, c.relkind = 'r' as is_plain, current_user::text as role,
       pg_catalog.has_table_privilege(c.oid, 'select') as may_read,
       pg_catalog.has_table_privilege(c.oid, 'insert') as may_fill,
       pg_catalog.has_table_privilege(c.oid, 'truncate') as may_empty
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = any($2::text[]) and c.relkind in ('r', 'p')
order by c.relname
"""


async def check_fill_rights(connection: asyncpg.Connection, plan: Plan, may_empty: Callable[[str], bool]) -> None:
    """Raise TargetError for the rights that the role lacks on tables to fill and on the sequences of their columns.

    ``may_empty``: whether the rows of a table may be taken away (--force, --empty).
    """
    rows = await connection.fetch(_TABLES, plan.schema, [table.name for table in plan.tables])
    if not rows:
        return
    schema, role = plan.schema, rows[0]["role"]
    unfilled = [row["name"] for row in rows if not (row["may_read"] and row["may_fill"])]
    stuck = [row for row in rows if row["may_read"] and not row["may_empty"] and may_empty(row["name"])]
    kept = [row["name"] for row in stuck if await _has_rows(connection, schema, row)]
    sequences = await read_sequences(connection, [row["oid"] for row in rows])
    unset = [sequence for sequence in sequences if not (sequence.is_owned or sequence.may_set)]
    problems, hints = [], []
    if unfilled:
        problems.append(f"may not read and fill {_shown(schema, unfilled)}")
        hints.append(f"grant select, insert on {_quoted(schema, unfilled)} to {quote(role)};")
    if kept:
        problems.append(f"may not empty {_shown(schema, kept)}")
        hints.append(f"grant truncate on {_quoted(schema, kept)} to {quote(role)};")
    if unset:
        shown = some([sequence.shown for sequence in unset])
        problems.append(f"may not read and set the sequences that give the next numbers: {shown}")
        hints.append(f"grant select, update on sequence {', '.join(one.name for one in unset)} to {quote(role)};")
    if problems:
        raise TargetError(f"the role {role} {', '.join(problems)}", " ".join(hints))


async def _has_rows(connection: asyncpg.Connection, schema: str, row: asyncpg.Record) -> bool:
    only = "only " if row["is_plain"] else ""
    return bool(await connection.fetchval(f"select exists (select from {only}{quote(schema)}.{quote(row['name'])})"))


def _shown(schema: str, names: Sequence[str]) -> str:
    return some([f"{schema}.{name}" for name in names])


def _quoted(schema: str, names: Sequence[str]) -> str:
    return ", ".join(f"{quote(schema)}.{quote(name)}" for name in names)
