"""The staging schema of a run, and the journal in it that says what the run has made there.

Invariant: every object is journalled in the transaction that makes it, and clean-up drops only what the journal
names, never with CASCADE; a schema without our marker is never touched.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, TypeVar

import asyncpg

from etl.errors import TargetLostError, TargetOccupiedError
from etl.load.connect import Lender, literal, named_errors, quote
from etl.load.transaction import transaction
from etl.load.violations import delete_rows
from etl.model import RefusedRow, Statement, TablePlan

T = TypeVar("T")

PREFIX = "etl_loading_"
MARKER = "staging schema of an etl run: everything in it is named in its table etl_journal"
JOURNAL = "etl_journal"
JOURNAL_NAMES = frozenset({JOURNAL, f"{JOURNAL}_pkey", f"{JOURNAL}_number_seq"})
DROP_BATCH = 100  # 1,500 tables in one DROP exhaust the server's lock table


class Workplace(Protocol):
    """Where constraints and views are made: a staging schema, or the target schema in the transaction of a fill."""

    schema: str

    async def execute(self, connection: asyncpg.Connection, statements: Sequence[Statement]) -> None:
        """Run the statements, all of them or none."""

    async def drop_views(self, connection: asyncpg.Connection, names: Sequence[str]) -> None:
        """Drop views of this run; readers stand before what they read."""

    async def delete(
        self, connection: asyncpg.Connection, table: TablePlan, rows: Sequence[RefusedRow], row_count: int
    ) -> None:
        """Take loaded rows out of their table, which holds ``row_count`` from then on."""


class Staging:
    """A schema in which everything is built and verified before it is published; our own, or ``lent`` by a DBA."""

    def __init__(self, schema: str, *, lent: bool = False) -> None:
        self.schema = schema
        self.lent = lent

    async def execute(self, connection: asyncpg.Connection, statements: Sequence[Statement]) -> None:
        """Run the statements and journal what they make, in one transaction."""
        async with contextlib.AsyncExitStack() as stack:
            if len(statements) > 1:  # what goes to the server in one message is a transaction by itself
                await stack.enter_async_context(connection.transaction())
            for statement in statements:
                with named_errors(f"{statement.kind} {statement.name}"):
                    await connection.execute(f"{self._note_on(statement)}; {statement.sql}")

    async def execute_anew(self, connection: asyncpg.Connection, statement: Statement) -> None:
        """Drop the table of the statement's name, which is empty and has no keys yet, and make it again."""
        async with connection.transaction():
            with named_errors(f"{statement.kind} {statement.name}"):
                await connection.execute(f"drop table {quote(self.schema)}.{quote(statement.name)}")
                await connection.execute(statement.sql)
                await connection.execute(
                    f"delete from {self._journal} where kind = 'loaded' and name = $1", statement.name
                )

    async def drop_views(self, connection: asyncpg.Connection, names: Sequence[str]) -> None:
        """Drop views of this run; readers stand before what they read."""
        async with connection.transaction():
            for name in names:
                await connection.execute(f"drop view {quote(self.schema)}.{quote(name)}")
            await connection.execute(
                f"delete from {self._journal} where kind = 'view' and name = any($1::text[])", list(names)
            )

    @contextlib.asynccontextmanager
    async def table_transaction(self, connection: asyncpg.Connection, table: TablePlan) -> AsyncIterator[bool]:
        """The table's own transaction, which begins by emptying it: its rows may be frozen."""
        # what is committed here is flushed when the publish commits; until then a crash may take it
        asynchronous = "set local synchronous_commit = off"
        empty = f"truncate {quote(self.schema)}.{quote(table.name)}"
        async with transaction(connection, table.name, asynchronous, empty):
            yield True

    async def note_loaded(self, connection: asyncpg.Connection, table: str, row_count: int) -> None:
        """Journal a table as loaded; call it inside the table's transaction."""
        name = literal(table)
        await connection.execute(
            f"insert into {self._journal} (kind, name, table_name, row_count)"
            f" values ('loaded', {name}, {name}, {row_count})"
        )

    async def note_finished(self, connection: asyncpg.Connection, table: str, details: str) -> None:
        """Journal a loaded table as whole, with what a run that goes on from here has to know (JSON)."""
        name = literal(table)
        await connection.execute(
            f"insert into {self._journal} (kind, name, table_name, details)"
            f" values ('finished', {name}, {name}, {literal(details)})"
        )

    async def delete(
        self, connection: asyncpg.Connection, table: TablePlan, rows: Sequence[RefusedRow], row_count: int
    ) -> None:
        """Take loaded rows out of their table; the journal counts ``row_count`` from then on."""
        async with connection.transaction():
            await delete_rows(connection, self.schema, table, rows)
            await connection.execute(
                f"update {self._journal} set row_count = $2 where kind = 'loaded' and name = $1", table.name, row_count
            )

    async def ensure_loaded(self, connection: asyncpg.Connection, row_counts: Mapping[str, int]) -> None:
        """Raise TargetLostError unless every table's own transaction is still there.

        Tables are committed asynchronously: a server that crashes just then forgets rows that it had confirmed. What
        is committed after this is flushed, and everything before it with it.
        """
        rows = await connection.fetch(f"select name, row_count from {self._journal} where kind = 'loaded'")
        journalled = {row["name"]: row["row_count"] for row in rows}
        forgotten = sorted(name for name, count in row_counts.items() if journalled.get(name) != count)
        if forgotten:
            raise TargetLostError(
                f"the server restarted and has lost the rows of {', '.join(forgotten)}", "run the command again"
            )

    async def exists(self, connection: asyncpg.Connection) -> bool:
        """Whether the journal is still there: it goes with the publish."""
        return bool(await connection.fetchval("select to_regclass($1) is not null", self._journal))

    async def collations(self, connection: asyncpg.Connection) -> list[str]:
        """The names of the collations that the run has made."""
        rows = await connection.fetch(f"select name from {self._journal} where kind = 'collation' order by number")
        return [row["name"] for row in rows]

    async def dissolve(self, connection: asyncpg.Connection) -> None:
        """Drop the journal and the schema, which is empty by then; a lent schema stays."""
        await connection.execute(f"drop table {self._journal}")
        if not self.lent:
            await connection.execute(f"drop schema {quote(self.schema)}")

    @property
    def _journal(self) -> str:
        return f"{quote(self.schema)}.{JOURNAL}"

    def _note_on(self, statement: Statement) -> str:
        """The journal's entry as a statement without arguments: so it travels together with what it is about."""
        values = ", ".join(map(literal, (statement.kind, statement.name, statement.table)))
        return f"insert into {self._journal} (kind, name, table_name) values ({values})"


def target_lock(target_schema: str) -> str:
    """The name of the lock of a run that publishes there."""
    return f"etl publishes into {target_schema}"


async def claim_target(connection: asyncpg.Connection, target_schema: str) -> None:
    """Keep a second run out of the same target schema while the connection lives; raises TargetOccupiedError."""
    if not await connection.fetchval(
        "select pg_try_advisory_lock(hashtextextended($1, 0))", target_lock(target_schema)
    ):
        raise TargetOccupiedError(
            f"another etl run is loading into the schema {target_schema} of this database",
            "wait for it to end, or choose another --target-schema",
        )


async def create_staging(
    connection: asyncpg.Connection, source: str, target_schema: str, lent: str | None = None
) -> Staging:
    """Create the run's schema with marker and journal; a lock of the connection says that the run is alive.

    ``lent`` is a schema that a DBA has prepared, for roles that may not create one. Raises TargetOccupiedError when
    another run uses it, or anybody else's objects are in it.
    """
    if lent is not None:
        return await borrow_staging(connection, lent, source, target_schema)
    schema = f"{PREFIX}{secrets.token_hex(6)}"
    await connection.execute("select pg_advisory_lock(hashtextextended($1, 0))", schema)
    with named_errors(f"staging schema {schema}"):
        async with connection.transaction():
            await connection.execute(f"create schema {quote(schema)}")
            await connection.execute(f"comment on schema {quote(schema)} is {literal(MARKER)}")
            await create_journal(connection, schema, source, target_schema)
    return Staging(schema)


async def borrow_staging(connection: asyncpg.Connection, schema: str, source: str, target_schema: str) -> Staging:
    """Begin in a prepared schema; what a run that was killed has left in it is dropped first."""
    if not await connection.fetchval("select pg_try_advisory_lock(hashtextextended($1, 0))", schema):
        raise TargetOccupiedError(
            f"another etl run builds in the staging schema {schema}", "wait for it to end, or name another one"
        )
    staging = Staging(schema, lent=True)
    if await staging.exists(connection):
        await drop_staging(connection, staging)
    found = await connection.fetchval(
        "select relname from pg_catalog.pg_class where relnamespace = to_regnamespace($1) limit 1", quote(schema)
    )
    if found is not None:
        raise TargetOccupiedError(
            f"the staging schema {schema} is not empty: it holds {found}", "name an empty one with --staging-schema"
        )
    with named_errors(f"staging schema {schema}"):
        await create_journal(connection, schema, source, target_schema)
    return staging


async def create_journal(connection: asyncpg.Connection, schema: str, source: str, target_schema: str) -> None:
    """The journal, whose first entry says what is moved and where to."""
    await connection.execute(
        f"create table {quote(schema)}.{JOURNAL} (number bigint generated always as identity primary key,"
        " kind text not null, name text not null, table_name text not null, row_count bigint,"
        " details text, at timestamptz not null default clock_timestamp())"
    )
    await connection.execute(
        f"insert into {quote(schema)}.{JOURNAL} (kind, name, table_name) values ('run', $1, $2)", target_schema, source
    )


async def drop_staging(connection: asyncpg.Connection, staging: Staging) -> None:
    """Drop what the journal names, the journal, and a schema of our own, which must be empty by then."""
    schema = staging.schema
    journal = f"{quote(schema)}.{JOURNAL}"
    rows = await connection.fetch(
        f"select kind, name, table_name from {journal} where kind in ('table', 'foreign key', 'view') order by number"
    )
    for view in reversed([row["name"] for row in rows if row["kind"] == "view"]):  # readers before what they read
        await connection.execute(f"drop view if exists {quote(schema)}.{quote(view)}")
    foreign_keys = [(row["table_name"], row["name"]) for row in rows if row["kind"] == "foreign key"]
    for batch in batches(foreign_keys):
        async with connection.transaction():
            for table, name in batch:
                await connection.execute(
                    f"alter table if exists {quote(schema)}.{quote(table)} drop constraint if exists {quote(name)}"
                )
    for tables in batches([row["name"] for row in rows if row["kind"] == "table"]):
        names = ", ".join(f"{quote(schema)}.{quote(name)}" for name in tables)
        await connection.execute(f"drop table if exists {names}")
    for collation in await staging.collations(connection):  # after the columns that are of it
        await connection.execute(f"drop collation if exists {quote(schema)}.{quote(collation)}")
    async with connection.transaction():
        await staging.dissolve(connection)


async def discard(connections: Lender, staging: Staging) -> None:
    """Leave nothing behind after a failure; a new connection if need be."""
    async with connections.borrow() as connection:
        if await staging.exists(connection):
            await drop_staging(connection, staging)


def batches(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + DROP_BATCH] for start in range(0, len(items), DROP_BATCH)]
