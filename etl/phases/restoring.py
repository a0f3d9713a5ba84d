"""The foreign keys of tables that were filled, and the rows that have no parent (--orphans).

Invariant: as in ``constraints.py``, with the constraints that the application had: each is back as it was, or the plan
says that it is NOT VALID now.
"""

from __future__ import annotations

from collections.abc import Sequence

from etl.errors import TargetError
from etl.load.connect import guarded
from etl.load.fill import Fill
from etl.load.surroundings import Removable
from etl.load.violations import find_orphans
from etl.model import LoadedTable, Plan, Statement
from etl.phases.constraints import Constraints
from etl.phases.run import Run


class RestoredConstraints(Constraints):
    """What a fill has taken away, put back around the new rows; everything happens in its transaction."""

    def __init__(self, run: Run, filled: Fill, plan: Plan, loaded: Sequence[LoadedTable]) -> None:
        super().__init__(run, filled, plan, loaded)
        self._filled = filled

    async def build(self) -> None:
        """Rows to be rejected go first: nothing that is put back stands upon them then."""
        if self._run.options.orphan_rule == "reject":
            await self._settle_orphans()
        await self._filled.put_back(self._deal_with_orphans)

    async def _deal_with_orphans(self, thing: Removable, error: TargetError) -> None:
        table = next((table for table in self.plan.tables if table.name == thing.table), None)
        key = next((key for key in table.foreign_keys if key.name == thing.name), None) if table else None
        if table is None or key is None:  # a table beside the run, or a parent in another schema
            raise error
        async with self._run.connections.borrow() as connection:
            found = await guarded(connection, find_orphans(connection, self._filled.schema, table, key))
        if not found:
            raise error
        if self._run.options.orphan_rule != "not-valid":
            await self._stop(table, found)
        constraint, *comments = thing.restore
        await self._leave_unvalidated(table, Statement(thing.kind, thing.name, thing.table, constraint), found)
        comment = [Statement("comment", thing.name, thing.table, sql) for sql in comments]
        async with self._run.connections.borrow() as connection:
            await self._filled.execute(connection, comment)

    def _weaker(self, statement: Statement) -> Statement:
        return Statement(statement.kind, statement.name, statement.table, f"{statement.sql} not valid")
