"""Which rows of a loaded table break a constraint, once the server has said that there is one.

The server names one row, if any; here it is asked for all of them. Works in any schema and in any transaction.

Invariant: the server decides, by the constraint's own terms; a row is named by its place in the order of the load,
which leads back to the source's row.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from etl.load.connect import literal, named_errors, quote
from etl.model import CheckPlan, ForeignKeyPlan, IndexPlan, RefusedRow, Statement, TablePlan
from etl.table_keys import SURELY_SMALL_ENTRY, bare, collision, key_index, long_entry

UNIQUE_VIOLATION, NOT_NULL_VIOLATION, FOREIGN_KEY_VIOLATION, CHECK_VIOLATION = "23505", "23502", "23503", "23514"
PROGRAM_LIMIT_EXCEEDED = "54000"
CONSTRAINT_STATES = frozenset(
    {UNIQUE_VIOLATION, NOT_NULL_VIOLATION, FOREIGN_KEY_VIOLATION, CHECK_VIOLATION, PROGRAM_LIMIT_EXCEEDED}
)
# the rows in the order of the load: no scan that joins another one in the middle, no parallel workers
IN_ORDER = "set local synchronize_seqscans = off; set local max_parallel_workers_per_gather = 0"


async def find_violations(
    connection: asyncpg.Connection, schema: str, table: TablePlan, statement: Statement, sqlstate: str | None
) -> list[RefusedRow]:
    """The rows for which the statement failed with ``sqlstate``, in the order of the load; empty where none is found.

    Of rows that collide the first one stays: it is the ``other`` of all that follow.
    """
    index = _index_of(table, statement)
    match sqlstate:
        case "23505" if index is not None:
            return await find_collisions(connection, schema, table, index)
        case "23502" if index is not None:
            return await find_nulls_in_key(connection, schema, table)
        case "54000" if index is not None:
            return await find_long_entries(connection, schema, table, index)
        case "23514":
            check = next(check for check in table.checks if check.name == statement.name)
            return await find_contradictions(connection, schema, table, check)
        case "23503":
            key = next(key for key in table.foreign_keys if key.name == statement.name)
            return await find_orphans(connection, schema, table, key)
    return []


def _index_of(table: TablePlan, statement: Statement) -> IndexPlan | None:
    """The index that the statement makes; a primary key is one too."""
    if statement.kind == "primary key":
        return key_index(table)
    return next((index for index in table.indexes if index.name == statement.name), None)


async def find_collisions(
    connection: asyncpg.Connection, schema: str, table: TablePlan, index: IndexPlan
) -> list[RefusedRow]:
    """All rows but the first of each set that a unique index takes for the same; NULLs are never the same."""
    names = [f"k{place}" for place in range(len(index.terms))]
    terms = ", ".join(f"{bare(term)} as {name}" for term, name in zip(index.terms, names, strict=True))
    keys = ", ".join(names)
    known = " and ".join(f"{name} is not null" for name in names)
    sql = (
        "select position, place, first from (select position, place, first_value(position) over same as first,"
        " row_number() over same as number"
        f" from (select ctid::text as place, row_number() over () - 1 as position, {terms},"
        f" coalesce(({index.predicate or 'true'}), false) as included from only {quote(schema)}.{quote(table.name)})"
        f" as numbered where included and {known} window same as (partition by {keys} order by position)) as ranked"
        " where number > 1 order by position"
    )
    return [
        collision(table, index, row["position"], row["first"], row["place"])
        for row in await _fetch(connection, table, sql)
    ]


async def find_nulls_in_key(connection: asyncpg.Connection, schema: str, table: TablePlan) -> list[RefusedRow]:
    """Rows with a NULL in the primary key."""
    condition = " or ".join(f"{quote(name)} is null" for name in table.primary_key)
    reason = "{values} is NULL in the primary key"
    hint = "correct the row in SQLite, or set it aside with --on-error reject"
    return await _where(connection, schema, table, condition, table.primary_key, reason, hint)


async def find_contradictions(
    connection: asyncpg.Connection, schema: str, table: TablePlan, check: CheckPlan
) -> list[RefusedRow]:
    """Rows that make a CHECK false: SQLite can be told to ignore it."""
    columns = tuple(column.name for column in table.columns if quote(column.name) in check.condition)
    reason = f"{{values}} breaks the check {check.name}: {check.condition}"
    hint = "correct the row in SQLite, or set it aside with --on-error reject"
    return await _where(connection, schema, table, f"not ({check.condition})", columns, reason, hint)


async def find_orphans(
    connection: asyncpg.Connection, schema: str, table: TablePlan, key: ForeignKeyPlan
) -> list[RefusedRow]:
    """Rows whose foreign key has no parent; one with a NULL in it needs none."""
    given = " and ".join(f"child.{quote(name)} is not null" for name in key.columns)
    pairs = zip(key.parent_columns, key.columns, strict=True)
    same = " and ".join(f"parent.{quote(theirs)} = child.{quote(ours)}" for theirs, ours in pairs)
    parents = f"select from only {quote(schema)}.{quote(key.parent)} as parent where {same}"
    reason = f"{{values}} has no parent in {key.parent}"
    hint = (
        "correct or delete the row in SQLite, set it aside with --orphans reject, or leave the foreign key NOT VALID"
        " with --orphans not-valid"
    )
    condition = f"{given} and not exists ({parents})"
    return await _where(connection, schema, table, condition, key.columns, reason, hint)


async def find_long_entries(
    connection: asyncpg.Connection, schema: str, table: TablePlan, index: IndexPlan
) -> list[RefusedRow]:
    """Rows whose entry the index cannot hold: the server tries those that are not surely small, one by one."""
    rows = f"only {quote(schema)}.{quote(table.name)}"
    terms = ", ".join(index.terms)
    stored = " + ".join(f"coalesce(pg_column_size({bare(term)}), 0)" for term in index.terms)
    predicate = f" where {index.predicate}" if index.predicate else ""
    trial = (
        f"create temp table etl_probe on commit drop as table {quote(schema)}.{quote(table.name)} with no data",
        "create temp table etl_too_long (place tid) on commit drop",
        f"create index on pg_temp.etl_probe ({terms}){predicate}",
        "do "
        + literal(
            "declare found record; begin"
            f" for found in select ctid as place from {rows} where {stored} > {SURELY_SMALL_ENTRY} loop begin"
            f" insert into pg_temp.etl_probe select * from {rows} where ctid = found.place;"
            " exception when program_limit_exceeded then"
            " insert into pg_temp.etl_too_long values (found.place); end; end loop; end"
        ),
    )
    larger = f"select exists (select from {rows} where {stored} > {SURELY_SMALL_ENTRY})"
    async with connection.transaction():  # inside a running one a savepoint
        if not await connection.fetchval(larger):
            return []
        with named_errors(table.name):
            for statement in trial:
                await connection.execute(statement)
        found = await _where(
            connection, schema, table, "etl_place in (select place from pg_temp.etl_too_long)", (), "", ""
        )
        await connection.execute("drop table pg_temp.etl_probe, pg_temp.etl_too_long")
    return [long_entry(table, index, row.position, row.place) for row in found]


async def delete_rows(
    connection: asyncpg.Connection, schema: str, table: TablePlan, rows: Sequence[RefusedRow]
) -> None:
    """Take the rows out of the table."""
    with named_errors(table.name):
        await connection.execute(
            f"delete from only {quote(schema)}.{quote(table.name)} where ctid = any($1::text[]::tid[])",
            [row.place for row in rows],
        )


async def _where(
    connection: asyncpg.Connection,
    schema: str,
    table: TablePlan,
    condition: str,
    columns: tuple[str, ...],
    reason: str,
    hint: str,
) -> list[RefusedRow]:
    """The rows of which a condition holds; in it the table is called ``child``, and a ctid ``etl_place``."""
    rows = await _fetch(
        connection,
        table,
        "select etl_position as position, etl_place::text as place"
        " from (select ctid as etl_place, row_number() over () - 1 as etl_position, *"
        f" from only {quote(schema)}.{quote(table.name)}) as child where {condition} order by etl_position",
    )
    return [RefusedRow(row["position"], columns, reason, hint, None, row["place"]) for row in rows]


async def _fetch(connection: asyncpg.Connection, table: TablePlan, sql: str) -> list[asyncpg.Record]:
    with named_errors(table.name):
        async with connection.transaction():
            await connection.execute(IN_ORDER)
            rows: list[asyncpg.Record] = await connection.fetch(sql)
    return rows
