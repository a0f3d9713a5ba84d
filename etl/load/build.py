"""Build what stands on the rows: keys, indexes, foreign keys, sequences, statistics.

Invariant: everything is built inside the staging schema and journalled there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncpg

from etl.errors import TargetError
from etl.load.connect import Lender, guarded, is_beyond_its_type, literal, named_errors, quote, retrying
from etl.load.journal import Staging, Workplace
from etl.load.violations import CONSTRAINT_STATES
from etl.model import ColumnPlan, LoadedTable, Plan, Statement, TablePlan
from etl.tasks import together

STATEMENTS_A_TRANSACTION = 100


async def create_tables(connections: Lender, staging: Staging, statements: Sequence[Statement]) -> None:
    """The empty tables, in batches that the server's lock table can hold."""
    async with connections.borrow() as connection:
        for start in range(0, len(statements), STATEMENTS_A_TRANSACTION):
            await staging.execute(connection, statements[start : start + STATEMENTS_A_TRANSACTION])


async def create_collations(connections: Lender, staging: Staging, statements: Sequence[Statement]) -> None:
    """The collations that columns will name; those of a run that is resumed are there already."""
    async with connections.borrow() as connection:
        there = await staging.collations(connection)
        for statement in statements:
            if statement.name not in there:
                await staging.execute(connection, [statement])


async def execute(connection: asyncpg.Connection, statements: Sequence[Statement]) -> None:
    """Run the statements in the connection's transaction."""
    for statement in statements:
        with named_errors(f"{statement.kind} {statement.name}"):
            await connection.execute(statement.sql)


async def ensure_loaded(connections: Lender, staging: Staging, plan: Plan, loaded: Sequence[LoadedTable]) -> None:
    """Raise TargetLostError when a crash of the server has cost rows that it had confirmed."""
    names = {table.source.name: table.name for table in plan.tables}
    async with connections.borrow() as connection:
        await staging.ensure_loaded(connection, {names[table.name]: table.row_count for table in loaded})


@dataclass(frozen=True, slots=True)
class Broken:
    """A statement that the server refused because of the rows."""

    statement: Statement
    error: TargetError


async def build_all(
    connections: Lender, place: Workplace, statements: Sequence[Statement], on_built: Callable[[Statement], None]
) -> list[Broken]:
    """Run independent statements on as many connections as there are, each in a transaction of its own.

    Returns those that the rows contradict: what these make is not there. Every other failure is raised.
    """

    async def build(statement: Statement) -> Broken | None:
        try:
            async for attempt in retrying():
                with attempt:
                    async with connections.borrow() as connection:
                        await guarded(connection, place.execute(connection, [statement]))
        except TargetError as error:
            unheld = statement.kind == "check" and is_beyond_its_type(error)
            if unheld or error.sqlstate in CONSTRAINT_STATES:
                return Broken(statement, error)
            raise
        on_built(statement)
        return None

    return [broken for broken in await together(*map(build, statements)) if broken]


async def drop_foreign_keys(connections: Lender, place: Workplace, statements: Sequence[Statement]) -> None:
    """Take foreign keys away again: while rows are set aside, nothing may cascade."""
    async with connections.borrow() as connection:
        for statement in statements:
            with named_errors(f"{statement.kind} {statement.name}"):
                await connection.execute(
                    f"alter table {quote(place.schema)}.{quote(statement.table)}"
                    f" drop constraint {quote(statement.name)}"
                )


async def reset_sequences(connections: Lender, staging: Staging, plan: Plan) -> list[tuple[str, str, int]]:
    """Let every identity go on after its largest value, or after SQLite's high-water mark where that is larger.

    Returns (target table, column, next value).
    """
    identities = [(table, column) for table in plan.tables for column in table.columns if column.identity]
    result = []
    async with connections.borrow() as connection:
        for start in range(0, len(identities), STATEMENTS_A_TRANSACTION):
            with named_errors("sequences"):
                result += await _reset(connection, staging.schema, identities[start : start + STATEMENTS_A_TRANSACTION])
    return result


async def _reset(
    connection: asyncpg.Connection, schema: str, identities: Sequence[tuple[TablePlan, ColumnPlan]]
) -> list[tuple[str, str, int]]:
    """Two statements for all of them: the largest values, and the sequences that follow them."""
    names = [f"{quote(schema)}.{quote(table.name)}" for table, _ in identities]
    columns = [column.name for _, column in identities]
    asked = ", ".join(f"(select max({quote(column)}) from {name})" for name, column in zip(names, columns, strict=True))
    largest = await connection.fetchrow(f"select {asked}")
    last = [max(n or 0, table.source.sequence or 0) for n, (table, _) in zip(largest or (), identities, strict=True)]
    calls = [
        f"setval(pg_get_serial_sequence({literal(name)}, {literal(column)}), {number})"
        for name, column, number in zip(names, columns, last, strict=True)
        if number > 0  # an empty table, or one with negative keys only, starts at 1
    ]
    if calls:
        await connection.execute(f"select {', '.join(calls)}")
    return [(table.name, column.name, number + 1) for (table, column), number in zip(identities, last, strict=True)]


async def analyze(connections: Lender, place: Workplace, tables: Sequence[TablePlan]) -> None:
    """Statistics, so that the first query after the publish has a plan worth having."""

    async def analyze_one(table: TablePlan) -> None:
        async with connections.borrow() as connection:
            with named_errors(f"analyze {table.name}"):
                await guarded(connection, connection.execute(f"analyze {quote(place.schema)}.{quote(table.name)}"))

    await together(*map(analyze_one, tables))
