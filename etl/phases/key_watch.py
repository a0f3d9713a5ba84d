"""While a table is loaded: do its keys take every row? Asked of the source at the first sign that they may not.

Nothing is asked of a table in whose keys no value is coerced. Where one is, the key's columns alone are read once more,
beside the load, so that the run stops then, and not when the table is through and its keys are built.

Invariant: what stops a run here the server would have refused; what does not is left to the server's own answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from etl.model import RefusedRow, SourcePage, TablePlan, TargetPage, Way
from etl.phases.key_search import ContradictedPlanError, search_keys
from etl.phases.rejections import refused_error
from etl.phases.run import Run
from etl.phases.source_pages import read
from etl.table_keys import doubtful_keys, long_entry, long_indexes
from etl.tasks import first_failure
from etl.threads import in_thread
from etl.transform.survey.entry_sizes import long_rows


class KeyWatch:
    """Sees every page of one load; raises RefusedRowsError, or has it raised by the search that it begins."""

    def __init__(self, run: Run, table: TablePlan, group: asyncio.TaskGroup) -> None:
        self._run = run
        self._table = table
        self._group = group
        self._long = long_indexes(table)
        self._coerced: set[str] = set()
        self._asked: set[str] = set()  # indexes

    async def see(self, page: TargetPage, first: int) -> None:
        """Take a page whose first row is the table's row ``first``."""
        if self._long:
            await self._refuse_long(page, first)
        coerced = {coercion.column for coercion in page.coercions}
        if page.number and coerced <= self._coerced:
            return
        self._coerced |= coerced
        doubtful = {index.name for index in doubtful_keys(self._table, self._coerced)}
        if doubtful - self._asked:
            self._asked |= doubtful
            self._group.create_task(self._search())

    async def _search(self) -> None:
        def pages_of(part: TablePlan) -> AsyncGenerator[SourcePage]:
            return read(self._run.snapshot, reader, part, self._run.options.page_bytes)

        async with self._run.snapshot.spare_reader() as reader:
            try:
                found = await search_keys(pages_of, self._table, frozenset(self._coerced), is_settled=False)
            except ContradictedPlanError:  # the load comes upon it by itself, and begins anew
                return
            for finding in found:
                if finding.is_certain:
                    raise await refused_error(self._run, reader, self._table, finding.rows, (), finding.count)

    async def _refuse_long(self, page: TargetPage, first: int) -> None:
        arrays = dict(zip(page.batch.schema.names, page.batch.columns, strict=True))
        for index in self._long:
            surely, _ = await in_thread(long_rows, self._table, index, arrays)
            if surely:
                rows: list[RefusedRow] = [long_entry(self._table, index, first + row) for row in surely]
                async with self._run.snapshot.spare_reader() as reader:
                    raise await refused_error(self._run, reader, self._table, rows)


@contextlib.asynccontextmanager
async def watched(run: Run, table: TablePlan) -> AsyncIterator[KeyWatch | None]:
    """The watch over one load, which ends when its searches have; None where rows are set aside, or keys are there."""
    if run.options.on_error != "stop" or table.way is not Way.CREATE:
        yield None
        return
    with first_failure():
        async with asyncio.TaskGroup() as group:
            yield KeyWatch(run, table, group)
