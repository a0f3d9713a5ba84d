"""The foreign keys of created tables onto tables that the target has, and the rows that have no parent there.

They can be made only when both ends are there: after the created tables have moved into the target schema, inside the
transaction that fills the others. What becomes of a row without its parent is as everywhere (--orphans).

Invariant: a table that loses rows here was verified with them, and is compared again.
"""

from __future__ import annotations

from collections.abc import Sequence

from etl.load.build import drop_foreign_keys
from etl.load.fill import Fill
from etl.model import LoadedTable, Plan, TablePlan
from etl.phases.constraints import Constraints
from etl.phases.run import Run
from etl.transform.schema import ddl


class OutwardKeys(Constraints):
    """``plan`` holds the created tables with all of their foreign keys; those among themselves are made already."""

    def __init__(self, run: Run, filled: Fill, plan: Plan, loaded: Sequence[LoadedTable]) -> None:
        super().__init__(run, filled, plan, loaded)
        self._before = {table.name: table.row_count for table in loaded}

    async def build(self) -> None:
        """Make them; where rows are set aside, all foreign keys give way first, so that nothing is deleted unseen."""
        names = {table.name for table in self.plan.tables}
        inner = {
            (table.name, key.name) for table in self.plan.tables for key in table.foreign_keys if key.parent in names
        }
        every = ddl.create_foreign_keys(self.plan, self._place.schema)
        among = [statement for statement in every if (statement.table, statement.name) in inner]
        outward = [statement for statement in every if statement not in among]
        while not await self._build_foreign_keys(outward):
            if among:
                await drop_foreign_keys(self._run.connections, self._place, among)
            outward, among = [*outward, *among], []
            await self._settle_orphans()

    @property
    def shrunk(self) -> list[TablePlan]:
        """The tables that have lost rows."""
        counts = {table.name: table.row_count for table in self.loaded}
        return [
            table for table in self.plan.tables if counts.get(table.source.name) != self._before.get(table.source.name)
        ]
