"""Put keys, indexes and foreign keys on loaded tables, and deal with the rows that they do not take.

    build ─► refused ─► find every row that breaks it ─┬─► stop: one error that names rows, keys and values
                                                       └─► reject: out of the table, into its reject file; build again

A rejected parent takes its children along, to the fixed point: before that, all foreign keys are taken away, so that
nothing is deleted by cascade, unseen.

Invariant: what is planned is there, whole, or the plan says that it is not; a row is in its table or in its file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from etl.extract.reader import Reader
from etl.load.build import Broken, analyze, build_all, drop_foreign_keys
from etl.load.connect import guarded
from etl.load.journal import Workplace
from etl.load.violations import (
    CHECK_VIOLATION,
    find_collisions,
    find_long_entries,
    find_orphans,
    find_violations,
)
from etl.model import IndexPlan, LoadedTable, Plan, RefusedRow, Statement, TablePlan
from etl.phases.rejections import refused_error, set_aside
from etl.phases.run import Run
from etl.table_keys import doubtful_keys, long_indexes
from etl.transform.schema import ddl
from etl.transform.schema.contradictions import with_unvalidated, without_checks


class Constraints:
    """The keys, indexes and foreign keys of one run's tables. ``plan`` and ``loaded`` follow the rows."""

    def __init__(self, run: Run, place: Workplace, plan: Plan, loaded: Sequence[LoadedTable]) -> None:
        self._run = run
        self._place = place
        self.plan = plan
        self._loaded = {table.name: table for table in loaded}
        self.before_refusal: Callable[[], object] = lambda: None  # what reads beside us must give its reader back
        self._missing_keys: dict[str, set[Statement]] = {}  # of each table that has any
        self._keyed = {table.name: asyncio.Event() for table in plan.tables}

    @property
    def loaded(self) -> tuple[LoadedTable, ...]:
        return tuple(self._loaded.values())

    def work_on(self, run: Run) -> None:
        """Go on with other connections."""
        self._run = run

    async def build_keys(self) -> None:
        """Primary keys, UNIQUE constraints and CHECKs: each locks its table for everybody else."""
        keys = ddl.create_keys(self.plan, self._place.schema)
        for key in keys:
            self._missing_keys.setdefault(key.table, set()).add(key)
        for name in self._keyed.keys() - self._missing_keys.keys():
            self._keyed[name].set()
        await self._build_or_mend(keys)
        for event in self._keyed.values():  # what was not made is no longer planned
            event.set()

    async def keys_of(self, table: TablePlan) -> None:
        """Wait until `build_keys` is through with the table: from then on others may read it."""
        await self._keyed[table.name].wait()

    async def build_on_keys(self) -> None:
        """Indexes and statistics, then foreign keys: all of them let others read the tables."""
        await self._build_or_mend(ddl.create_indexes(self.plan, self._place.schema))
        await analyze(self._run.connections, self._place, self.plan.tables)
        while not await self._build_foreign_keys(ddl.create_foreign_keys(self.plan, self._place.schema)):
            await self._settle_orphans()

    async def _build_or_mend(self, statements: Sequence[Statement]) -> None:
        for broken in await self._build_all(statements):
            await self._mend(broken)

    async def _mend(self, broken: Broken) -> None:
        """Make what was refused after all, without the rows that stood against it."""
        rejects = self._run.options.on_error == "reject"
        if broken.statement.kind == "check" and not (rejects and broken.error.sqlstate == CHECK_VIOLATION):
            self.plan = without_checks(self.plan, [broken.statement])
            return
        again: list[Broken] = [broken]
        while again:
            table = self._table(broken.statement.table)
            found = await self._violations(table, again[0])
            await self._remove(table, found) if rejects else await self._stop(table, found)
            again = await self._build_all([broken.statement])

    async def _build_foreign_keys(self, statements: Sequence[Statement]) -> bool:
        """One after the other, for each locks two tables; False when rows stand in the way that are to be rejected."""
        built: list[Statement] = []
        for statement in statements:
            for broken in await self._build_all([statement]):
                table = self._table(statement.table)
                if self._run.options.orphan_rule == "reject":
                    await drop_foreign_keys(self._run.connections, self._place, built)
                    return False
                found = await self._violations(table, broken)
                if self._run.options.orphan_rule == "stop":
                    await self._stop(table, found)
                await self._leave_unvalidated(table, statement, found)
            built.append(statement)
        return True

    async def _settle_orphans(self) -> None:
        """Set aside every row without a parent, then those whose parents these were, until none is left."""
        shrunk = {key.parent for table in self.plan.tables for key in table.foreign_keys}
        while shrunk:
            parents, shrunk = shrunk, set()
            for name, key in [(table.source.name, key) for table in self.plan.tables for key in table.foreign_keys]:
                if key.parent not in parents | shrunk:
                    continue
                table = next(table for table in self.plan.tables if table.source.name == name)
                async with self._run.connections.borrow() as connection:
                    found = await guarded(connection, find_orphans(connection, self._place.schema, table, key))
                if found:
                    await self._remove(table, found)
                    shrunk.add(table.name)

    async def _leave_unvalidated(self, table: TablePlan, statement: Statement, found: Sequence[RefusedRow]) -> None:
        async with self._run.snapshot.reader() as reader:
            already = ordinals_of(self._run, table)
            first = (await refused_error(self._run, reader, table, found, already)).refusals[0]
        self.plan = with_unvalidated(self.plan, statement, len(found), f"({first.key}) {first.reason}")
        for broken in await self._build_all([self._weaker(statement)]):
            raise broken.error

    def _weaker(self, statement: Statement) -> Statement:
        """The same foreign key, NOT VALID, as the plan has it by now."""
        return next(
            weaker
            for weaker in ddl.create_foreign_keys(self.plan, self._place.schema)
            if (weaker.table, weaker.name) == (statement.table, statement.name)
        )

    async def _violations(self, table: TablePlan, broken: Broken) -> list[RefusedRow]:
        async with self._run.connections.borrow() as connection:
            work = find_violations(connection, self._place.schema, table, broken.statement, broken.error.sqlstate)
            found = await guarded(connection, work)
        if not found:
            raise broken.error
        return found

    async def _remove(self, table: TablePlan, refused: Sequence[RefusedRow]) -> None:
        async with self._run.snapshot.reader() as reader:
            account = self._loaded[table.source.name]
            account = await remove(self._run, self._place, reader, table, refused, account)
        self._loaded[table.source.name] = account

    async def _stop(self, table: TablePlan, refused: Sequence[RefusedRow]) -> None:
        self.before_refusal()
        async with self._run.snapshot.reader() as reader:
            raise await refused_error(self._run, reader, table, refused, ordinals_of(self._run, table))

    def _table(self, target_name: str) -> TablePlan:
        return next(table for table in self.plan.tables if table.name == target_name)

    async def _build_all(self, statements: Sequence[Statement]) -> list[Broken]:
        return await build_all(self._run.connections, self._place, statements, self._on_built)

    def _on_built(self, built: Statement) -> None:
        self._run.progress.finish_table(built.name)
        missing = self._missing_keys.get(built.table, set())
        missing.discard(built)
        if not missing and built.table in self._keyed:
            self._keyed[built.table].set()


async def check_keys(run: Run, place: Workplace, reader: Reader, table: TablePlan, loaded: LoadedTable) -> LoadedTable:
    """Look at the keys of a table as soon as it is loaded, where its values make a failure likely: not after hours.

    Values that were coerced may have become the same, and long ones may not fit into an index.
    """
    for index in doubtful_keys(table, {coercion.column for coercion in loaded.coercions}):
        loaded = await _check(run, place, reader, table, loaded, index, find_collisions)
    for index in long_indexes(table):
        loaded = await _check(run, place, reader, table, loaded, index, find_long_entries)
    return loaded


async def _check(
    run: Run,
    place: Workplace,
    reader: Reader,
    table: TablePlan,
    loaded: LoadedTable,
    index: IndexPlan,
    find: Callable[..., Coroutine[Any, Any, list[RefusedRow]]],
) -> LoadedTable:
    async with run.connections.borrow() as connection:
        found = await guarded(connection, find(connection, place.schema, table, index))
    if not found:
        return loaded
    if run.options.on_error != "reject":
        raise await refused_error(run, reader, table, found, ordinals_of(run, table))
    return await remove(run, place, reader, table, found, loaded)


async def remove(
    run: Run, place: Workplace, reader: Reader, table: TablePlan, refused: Sequence[RefusedRow], loaded: LoadedTable
) -> LoadedTable:
    """Take loaded rows out of their table and into its reject file; returns the account without them."""
    file = None if run.rejects is None else run.rejects.file_of(table.source.name)
    if file is None:
        raise ValueError(f"{table.name}: rows are to be rejected, and there is no folder for them")
    async with run.connections.borrow() as connection:
        row_count = loaded.row_count - len(refused)
        await guarded(connection, place.delete(connection, table, refused, row_count))
    return await set_aside(run, reader, table, refused, file, replace(loaded, row_count=row_count))


def ordinals_of(run: Run, table: TablePlan) -> Sequence[int]:
    """The rows of a table that were set aside so far."""
    return () if run.rejects is None else run.rejects.file_of(table.source.name).ordinals
