"""Fill tables that the application has made: one transaction on one connection, the publish of a fill.

    lock ─► nothing in them? ─► triggers off, foreign keys and large indexes away, truncate ─► COPY table by table
         ─► indexes, foreign keys, triggers back ─► sequences, statistics ─► (verified on this connection) ─► commit

Invariant: whatever ends the transaction before its COMMIT, a kill included, leaves every row and every constraint as it
was; what was taken away is put back from the catalog's own words.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import asyncpg
from asyncpg.transaction import Transaction

from etl.counted_nouns import some
from etl.errors import TargetError, TargetOccupiedError
from etl.load.address import TargetAddress
from etl.load.commit import commit, uncommitted
from etl.load.connect import named_errors, quote
from etl.load.sequences import OwnSequence, read_sequences, restart_sequences
from etl.load.surroundings import (
    ROWS_WORTH_AN_INDEX,
    ForeignKey,
    Removable,
    read_foreign_keys,
    read_indexes,
    read_triggers,
    removable_key,
    remove,
    restore,
)
from etl.load.transaction import savepoint
from etl.load.violations import FOREIGN_KEY_VIOLATION, delete_rows
from etl.model import Plan, RefusedRow, Statement, TablePlan

MayEmpty = Callable[[str], bool]  # whether the rows of a table may give way

LOCK_TIMEOUT = "30s"
_TABLES = """
select c.oid, c.relname as name, c.relkind::text as kind, pg_catalog.pg_has_role(c.relowner, 'usage') as is_owned,
       pg_catalog.has_table_privilege(c.oid, 'truncate') as may_truncate
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = any($2::text[]) and c.relkind in ('r', 'p')
"""


_HEIRS = """
select p.relname as parent, n.nspname as schema, c.relname as name
from pg_catalog.pg_inherits i
join pg_catalog.pg_class p on p.oid = i.inhparent and p.relkind = 'r'
join pg_catalog.pg_class c on c.oid = i.inhrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where i.inhparent = any($1::oid[])
order by 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class OwnTable:
    """A table of the application's as this role has it."""

    oid: int
    name: str  # schema and name quoted
    is_plain: bool  # not partitioned
    is_owned: bool
    may_truncate: bool


def refuse_occupied(names: Sequence[str]) -> None:
    """Raise TargetOccupiedError for tables to be filled that hold rows, if there are any."""
    if names:
        raise TargetOccupiedError(
            f"the target's own tables hold rows already: {some(names)}",
            "--force empties them in the transaction that fills them, --empty NAME one of them, --keep NAME leaves it; "
            "or --mode replace, or another --target-schema, for tables of the run's own making",
        )


async def keys_in_place(connection: asyncpg.Connection, plan: Plan) -> set[tuple[str, str]]:
    """(table, name) of the foreign keys that the role cannot take away from the tables of the plan."""
    rows = await connection.fetch(_TABLES, plan.schema, [table.name for table in plan.tables])
    keys = await read_foreign_keys(connection, [row["oid"] for row in rows])
    return {(key.table, key.name) for key in keys if not key.is_ours}


class Fill:
    """The tables of a plan that are there, from the lock to the commit; a destination for COPY."""

    def __init__(
        self, connection: asyncpg.Connection, transaction: Transaction, plan: Plan, may_empty: MayEmpty, *, alone: bool
    ) -> None:
        self.connection = connection
        self.transaction = transaction
        self.schema = plan.schema
        self._plan = plan
        self._may_empty = may_empty
        self._alone = alone
        self._tables: dict[str, OwnTable] = {}
        self._removed: list[Removable] = []
        self._in_place: list[ForeignKey] = []
        self._sequences: list[OwnSequence] = []

    # --- before the rows ----------------------------------------------------------------------------------------------

    async def take_down(self) -> None:
        """Lock the tables, take away what stands in the way of their rows, and empty them.

        Raises TargetOccupiedError where tables hold rows and nobody said that they may give way.
        """
        await self._lock()
        occupied = {name: table for name, table in self._tables.items() if await self._has_rows(table)}
        refuse_occupied([table.name for name, table in occupied.items() if not self._may_empty(name)])
        oids = [table.oid for table in self._tables.values()]
        await self._refuse_heirs(oids)
        self._sequences = await read_sequences(self.connection, oids)
        keys = await read_foreign_keys(self.connection, oids)
        ours = [key for key in keys if key.is_ours and (not self._alone or {key.child, key.parent} <= set(oids))]
        self._in_place = [key for key in keys if key not in ours]
        large = {table.name for table in self._plan.tables if table.source.rows_estimate > ROWS_WORTH_AN_INDEX}
        indexes = await read_indexes(self.connection, [self._tables[name].oid for name in large])
        triggers = await read_triggers(self.connection, oids)
        self._removed = [*indexes, *map(removable_key, ours), *triggers]
        await remove(self.connection, list(reversed(self._removed)))
        await self.connection.execute("set constraints all deferred")
        await self._empty(list(occupied.values()))

    async def _lock(self) -> None:
        names = [table.name for table in self._plan.tables]
        rows = await self.connection.fetch(_TABLES, self.schema, names)
        self._tables = {
            row["name"]: OwnTable(
                row["oid"],
                f"{quote(self.schema)}.{quote(row['name'])}",
                row["kind"] == "r",
                row["is_owned"],
                row["may_truncate"],
            )
            for row in rows
        }
        if gone := sorted(set(names) - set(self._tables)):
            raise TargetError(f"no longer in the target: {', '.join(gone)}", "run the command again")
        owned = [table.name for table in self._tables.values() if table.is_owned]
        await self.connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
        try:
            if owned:
                await self.connection.execute(f"lock table {', '.join(owned)} in access exclusive mode")
        except asyncpg.LockNotAvailableError:
            raise TargetError(
                f"the tables to fill have been in use by another session for {LOCK_TIMEOUT}",
                "stop the application (pg_stat_activity shows who it is), then run again",
            ) from None
        await self.connection.execute("set local lock_timeout = 0")

    async def _has_rows(self, table: OwnTable) -> bool:
        only = "only " if table.is_plain else ""
        return bool(await self.connection.fetchval(f"select exists (select from {only}{table.name})"))

    async def _refuse_heirs(self, oids: Sequence[int]) -> None:
        """Raise TargetOccupiedError for rows of tables that inherit from one to be filled, which shows them too."""
        for heir in await self.connection.fetch(_HEIRS, oids):
            name = f"{quote(heir['schema'])}.{quote(heir['name'])}"
            if await self.connection.fetchval(f"select exists (select from {name})"):
                raise TargetOccupiedError(
                    f"{name}, which inherits from {heir['parent']}, holds rows: {heir['parent']} shows them as well",
                    f"empty it yourself, or leave {heir['parent']} as it is with --keep",
                )

    async def _empty(self, occupied: Sequence[OwnTable]) -> None:
        """One TRUNCATE names them all, since foreign keys that the role cannot take away stand between them."""
        ours = {table.oid for table in self._tables.values()}
        for table in occupied:
            if outside := [key.shown for key in self._in_place if key.parent == table.oid and key.child not in ours]:
                raise TargetOccupiedError(
                    f"{table.name} holds rows, and {outside[0]}, which is not part of the run, references it",
                    "run as the owner of that table, with its triggers enabled, or empty both yourself",
                )
        if occupied:
            names = [f"{'only ' if table.is_plain else ''}{table.name}" for table in self._closed_by_keys(occupied)]
            with named_errors("truncate"):
                await self.connection.execute(f"truncate {', '.join(names)}")

    def _closed_by_keys(self, occupied: Sequence[OwnTable]) -> list[OwnTable]:
        """With the tables that reference them still: TRUNCATE wants those named too."""
        names = {table.oid: table for table in occupied}
        by_oid = {table.oid: table for table in self._tables.values()}
        while more := [key.child for key in self._in_place if key.parent in names and key.child not in names]:
            names.update({oid: by_oid[oid] for oid in more})
        return list(names.values())

    # --- the rows -----------------------------------------------------------------------------------------------------

    def in_order(self, tables: Sequence[TablePlan]) -> list[TablePlan]:
        """Parents before children, where foreign keys are checked row by row."""
        parents = {
            name: {key.parent for key in self._in_place if key.child == table.oid} - {table.oid}
            for name, table in self._tables.items()
        }
        ordered: list[TablePlan] = []
        waiting = list(tables)
        done: set[int] = set()
        ours = {table.oid for table in self._tables.values()}
        while waiting:
            ready = [table for table in waiting if not (parents[table.name] & ours) - done] or waiting
            ordered += ready
            done |= {self._tables[table.name].oid for table in ready}
            waiting = [table for table in waiting if table not in ready]
        return ordered

    @contextlib.asynccontextmanager
    async def table_transaction(self, connection: asyncpg.Connection, table: TablePlan) -> AsyncIterator[bool]:
        """A savepoint, so that a table may begin anew; rows are frozen where the table can be truncated in it."""
        own = self._tables[table.name]
        freeze = own.is_plain and own.may_truncate and all(key.parent != own.oid for key in self._in_place)
        async with savepoint(connection, table.name):
            if freeze:
                await connection.execute(f"truncate only {own.name}")
            yield freeze

    async def note_loaded(self, connection: asyncpg.Connection, table: str, row_count: int) -> None:
        """Nothing: it is loaded when the transaction is committed."""

    # --- after the rows -----------------------------------------------------------------------------------------------

    async def put_back(self, on_orphans: Callable[[Removable, TargetError], Awaitable[None]]) -> None:
        """Indexes, foreign keys (validated, where they were), triggers; then statistics.

        A foreign key that the rows contradict goes to ``on_orphans``, which makes it in its own way or raises.
        """
        with named_errors("foreign keys checked at the end"):
            await self.connection.execute("set constraints all immediate")
        for thing in self._removed:
            try:
                async with savepoint(self.connection, thing.name):
                    await restore(self.connection, thing)
            except TargetError as error:
                if error.sqlstate != FOREIGN_KEY_VIOLATION:
                    raise
                await on_orphans(thing, error)
        for table in self._tables.values():
            with named_errors(f"analyze {table.name}"):
                await self.connection.execute(f"analyze {table.name}")

    async def execute(self, connection: asyncpg.Connection, statements: Sequence[Statement]) -> None:
        """Run the statements under a savepoint: what the server refuses leaves nothing."""
        async with connection.transaction():
            for statement in statements:
                with named_errors(f"{statement.kind} {statement.name}"):
                    await connection.execute(statement.sql)

    async def drop_views(self, connection: asyncpg.Connection, names: Sequence[str]) -> None:
        """Drop views that this run has made; readers stand before what they read."""
        for name in names:
            await connection.execute(f"drop view {quote(self.schema)}.{quote(name)}")

    async def delete(
        self, connection: asyncpg.Connection, table: TablePlan, rows: Sequence[RefusedRow], row_count: int
    ) -> None:
        """Take loaded rows out of their table."""
        await delete_rows(connection, self.schema, table, rows)

    async def restart_sequences(self) -> list[tuple[str, str, int]]:
        """(target table, column, next value) of every sequence that the tables take numbers from."""
        tables = {table.name: table for table in self._plan.tables}
        return await restart_sequences(self.connection, self.schema, tables, self._sequences)

    async def commit(self, address: TargetAddress, decision: contextlib.AbstractContextManager[None]) -> None:
        """Commit; a connection lost just then is looked into: the server knows what became of the transaction."""
        await commit(self.connection, self.transaction, address, decision)


@contextlib.asynccontextmanager
async def filling(
    connection: asyncpg.Connection, plan: Plan, may_empty: MayEmpty, *, alone: bool = False
) -> AsyncIterator[Fill]:
    """The transaction of a fill: what is not committed when the block is left is rolled back.

    ``alone``: others are filled at the same time; foreign keys to them stay, and so do no locks on each other.
    """
    async with uncommitted(connection) as transaction:
        yield Fill(connection, transaction, plan, may_empty, alone=alone)
