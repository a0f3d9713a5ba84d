"""Put keys, indexes and foreign keys on loaded tables, and deal with the rows that they do not take.

    build ─► refused ─► find every row that breaks it ─┬─► stop: one error that names rows, keys and values
                                                       └─► reject: out of the table, into its reject file; build again

A rejected parent takes its children along, to the fixed point: before that, all foreign keys are taken away, so that
nothing is deleted by cascade, unseen.

Invariant: what is planned is there, whole, or the plan says that it is not; a row is in its table or in its file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from etl.load.build import Broken, analyze, build_all, drop_foreign_keys
from etl.load.connect import guarded
from etl.load.journal import Staging
from etl.load.violations import CHECK_VIOLATION, delete_rows, find_orphans, find_violations
from etl.model import LoadedTable, Plan, RefusedRow, Statement, TablePlan
from etl.rejections import refused_error, set_aside
from etl.run import Run
from etl.transform.schema import ddl
from etl.transform.schema.contradictions import with_unvalidated, without_checks


class Constraints:
    """The keys, indexes and foreign keys of one run, in its staging schema. ``plan`` and ``loaded`` follow the rows."""

    def __init__(self, run: Run, staging: Staging, plan: Plan, loaded: Sequence[LoadedTable]) -> None:
        self._run = run
        self._staging = staging
        self.plan = plan
        self._loaded = {table.name: table for table in loaded}

    @property
    def loaded(self) -> tuple[LoadedTable, ...]:
        return tuple(self._loaded.values())

    async def build(self) -> None:
        """Keys first (foreign keys need them), then indexes and statistics, then foreign keys."""
        for create in (ddl.create_keys, ddl.create_indexes):
            for broken in await self._build_all(create(self.plan, self._staging.schema)):
                await self._mend(broken)
        await analyze(self._run.connections, self._staging, self.plan.tables)
        while not await self._build_foreign_keys():
            await self._settle_orphans()

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

    async def _build_foreign_keys(self) -> bool:
        """One after the other, for each locks two tables; False when rows stand in the way that are to be rejected."""
        built: list[Statement] = []
        for statement in ddl.create_foreign_keys(self.plan, self._staging.schema):
            for broken in await self._build_all([statement]):
                table = self._table(statement.table)
                if self._run.options.orphan_rule == "reject":
                    await drop_foreign_keys(self._run.connections, self._staging, built)
                    return False
                found = await self._violations(table, broken)
                if self._run.options.orphan_rule == "stop":
                    await self._stop(table, found)
                await self._leave_unvalidated(table, statement, found)
            built.append(statement)
        return True

    async def _settle_orphans(self) -> None:
        """Set aside every row without a parent, then those whose parents these were, until none is left."""
        shrunk = {table.name for table in self.plan.tables}
        while shrunk:
            parents, shrunk = shrunk, set()
            for name, key in [(table.source.name, key) for table in self.plan.tables for key in table.foreign_keys]:
                if key.parent not in parents | shrunk:
                    continue
                table = next(table for table in self.plan.tables if table.source.name == name)
                async with self._run.connections.borrow() as connection:
                    found = await guarded(connection, find_orphans(connection, self._staging.schema, table, key))
                if found:
                    await self._remove(table, found)
                    shrunk.add(table.name)

    async def _leave_unvalidated(self, table: TablePlan, statement: Statement, found: Sequence[RefusedRow]) -> None:
        async with self._run.snapshot.reader() as reader:
            already = self._ordinals(table)
            first = (await refused_error(self._run, reader, table, found, already)).refusals[0]
        self.plan = with_unvalidated(self.plan, statement, len(found), f"({first.key}) {first.reason}")
        (weaker,) = (
            weaker
            for weaker in ddl.create_foreign_keys(self.plan, self._staging.schema)
            if (weaker.table, weaker.name) == (statement.table, statement.name)
        )
        for broken in await self._build_all([weaker]):
            raise broken.error

    async def _violations(self, table: TablePlan, broken: Broken) -> list[RefusedRow]:
        async with self._run.connections.borrow() as connection:
            work = find_violations(connection, self._staging.schema, table, broken.statement, broken.error.sqlstate)
            found = await guarded(connection, work)
        if not found:
            raise broken.error
        return found

    async def _remove(self, table: TablePlan, refused: Sequence[RefusedRow]) -> None:
        """Out of the table and into its reject file."""
        file = None if self._run.rejects is None else self._run.rejects.file_of(table.source.name)
        if file is None:
            raise ValueError(f"{table.name}: rows are to be rejected, and there is no folder for them")
        async with self._run.connections.borrow() as connection:
            await guarded(connection, delete_rows(connection, self._staging.schema, table, refused))
        async with self._run.snapshot.reader() as reader:
            await set_aside(self._run, reader, table, refused, file)
        account = self._loaded[table.source.name]
        self._loaded[table.source.name] = replace(
            account,
            row_count=account.row_count - len(refused),
            rejected_rows=account.rejected_rows + len(refused),
        )

    async def _stop(self, table: TablePlan, refused: Sequence[RefusedRow]) -> None:
        async with self._run.snapshot.reader() as reader:
            raise await refused_error(self._run, reader, table, refused, self._ordinals(table))

    def _ordinals(self, table: TablePlan) -> Sequence[int]:
        return () if self._run.rejects is None else self._run.rejects.file_of(table.source.name).ordinals

    def _table(self, target_name: str) -> TablePlan:
        return next(table for table in self.plan.tables if table.name == target_name)

    async def _build_all(self, statements: Sequence[Statement]) -> list[Broken]:
        return await build_all(self._run.connections, self._staging, statements, self._on_built)

    @property
    def _on_built(self) -> Callable[[Statement], None]:
        return lambda built: self._run.progress.finish_table(built.name)
