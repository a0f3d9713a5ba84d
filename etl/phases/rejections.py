"""Rows that the target refuses although our rules let them through: found by place, named by the source, set aside.

    COPY or constraint ─► position in the load ─► ordinal in the scan ─► the source's row ─► reject file, or an error

The source is read once more, by the same pages, up to the last row that is asked for: that is seldom needed, and needs
no memory of what was loaded.

Invariant: the ordinals in a table's reject file are exactly the rows that are not in the target, and what was coerced
in them is neither in the table's account nor in the coercion log.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, MutableMapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

import numpy as np

from etl.errors import RefusedRowsError
from etl.extract.reader import Reader
from etl.extract.snapshot import Snapshot
from etl.load.rejects import RejectFile
from etl.model import LoadedTable, Refusal, RefusedRow, RejectedRow, SourcePage, StorageClass, TablePlan
from etl.phases.run import Run
from etl.phases.source_pages import read
from etl.threads import in_thread
from etl.transform.rows.rejection import describe_and_count, describe_rows
from etl.transform.rows.tally import without
from etl.transform.survey.problems import load_warnings

NAMED_ROWS = 20  # in an error

T = TypeVar("T")


async def set_aside(
    run: Run, reader: Reader, table: TablePlan, refused: Sequence[RefusedRow], file: RejectFile, loaded: LoadedTable
) -> LoadedTable:
    """Write the rows to the table's reject file; they are not, or no longer, in the target.

    Returns the account without what was coerced in them: it was counted before the target had seen them.
    """
    coercions, already = loaded.coercions, file.ordinals
    found = looked_up(run.snapshot, reader, table, refused, already, run.options.page_bytes, describe_and_count)
    async for rows, gone in found:
        file.write(rows)
        coercions = without(coercions, gone)
        if run.coercion_log is not None:
            run.coercion_log.leave_out(table.source.name, gone)
    still = {coercion.column for coercion in coercions}
    spans = {name: span for name, span in loaded.spans.items() if name in still}
    loaded = replace(loaded, coercions=coercions, spans=spans, rejected_rows=len(file.ordinals))
    return replace(loaded, warnings=load_warnings(table, loaded))


async def refused_error(
    run: Run,
    reader: Reader | None,
    table: TablePlan,
    refused: Sequence[RefusedRow],
    set_aside_already: Sequence[int] = (),
    count: int | None = None,
) -> RefusedRowsError:
    """The error that names the first of the rows; ``count`` of them there are, where ``refused`` is not all."""
    refusals: list[Refusal] = []
    named = refused[:NAMED_ROWS]
    async for rows in named_rows(run.snapshot, reader, table, named, set_aside_already, run.options.page_bytes):
        refusals += (_refusal(table, row) for row in rows)
    return RefusedRowsError(refusals, len(refused) if count is None else count)


def named_rows(
    snapshot: Snapshot,
    reader: Reader | None,
    table: TablePlan,
    refused: Sequence[RefusedRow],
    set_aside_already: Sequence[int],
    page_bytes: int,
) -> AsyncGenerator[list[RejectedRow]]:
    """The rows as the source has them, page by page; positions count without those that were set aside before."""
    return looked_up(snapshot, reader, table, refused, set_aside_already, page_bytes, describe_rows)


async def looked_up(
    snapshot: Snapshot,
    reader: Reader | None,
    table: TablePlan,
    refused: Sequence[RefusedRow],
    set_aside_already: Sequence[int],
    page_bytes: int,
    look: Callable[[SourcePage, TablePlan, int, Mapping[int, RefusedRow], MutableMapping[int, str]], T],
) -> AsyncGenerator[T]:
    """As ``named_rows``; what ``look`` sees in each page."""
    by_ordinal = _by_ordinal(refused, np.array(sorted(set_aside_already), np.int64))
    keys = {row.other: "" for row in by_ordinal.values() if row.other is not None}
    last = max((*by_ordinal, *keys), default=-1)
    ordinal, table = 0, table.loaded
    async with aclosing(read(snapshot, reader, table, page_bytes)) as pages:
        async for page in pages:
            yield await in_thread(look, page, table, ordinal, by_ordinal, keys)
            ordinal += page.row_count
            if ordinal > last:
                return


def _by_ordinal(refused: Sequence[RefusedRow], rejected: np.ndarray) -> dict[int, RefusedRow]:
    """The rows by their place in the table's scan, which counts the rejected rows too."""
    before = rejected - np.arange(len(rejected))  # rows loaded before each rejected one

    def ordinal(position: int) -> int:
        return position + int(np.searchsorted(before, position, side="right"))

    return {
        ordinal(row.position): RefusedRow(
            row.position, row.columns, row.reason, row.hint, None if row.other is None else ordinal(row.other)
        )
        for row in refused
    }


def _refusal(table: TablePlan, row: RejectedRow) -> Refusal:
    values = [row.values[name] for name in row.column.split(", ") if name in row.values]
    storage, text = values[0] if values else (StorageClass.NULL, None)
    known = storage in StorageClass.__members__.values()
    return Refusal(
        table.source.name,
        row.key,
        row.column,
        StorageClass(storage) if known else StorageClass.TEXT,
        text or "",
        row.reason,
        row.hint,
    )
