"""How many rows a batch of the source may have, so that memory stays flat whatever the rows hold.

Invariant: a batch's cells have at most `BATCH_BYTES` more bytes than the table's largest row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from etl.model import TablePlan

if TYPE_CHECKING:
    from etl.verify.source import Connection

BATCH_BYTES = 4 << 20
MAX_BATCH_ROWS = 16_384  # of narrow rows: the fewer batches, the less each value costs, and the more memory
FEW_ROWS = 512  # batches smaller than this cost time, so there the lengths of all rows are worth a look
WINDOW_ROWS = 1_024  # how finely the lengths are looked at, and the largest batch where that is needed
TERMS_A_SUM = 50
MAX_RUNS = 64  # each run skips the rows before it: beyond this the smallest batches rule for the rest
LARGE_BYTES = 32 << 20  # a batch of so many, which is a single row, is held once and alone
_UNBOUNDED = 1 << 62


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of a table that is read with one cursor; ``rows`` is None for all that follows ``first``."""

    first: int
    rows: int | None
    batch_rows: int

    @property
    def end(self) -> int:
        return _UNBOUNDED if self.rows is None else self.first + self.rows


def plan_runs(connection: Connection, table: TablePlan) -> list[Run]:
    """The stretches in which to read a table: one when its largest row is small, else cut by summed lengths."""
    largest = table.source.largest_row_bytes
    if largest and _rows_of(largest) >= FEW_ROWS:
        return [Run(0, None, _rows_of(largest))]
    sizes, before, largest = [], np.zeros(0, np.int64), 1
    for window in _windows(connection, table):
        sizes.append(_largest_batch(np.concatenate((before, window))))
        largest = max(largest, int(window.max()))
        before = window
    if sizes and _rows_of(largest) >= FEW_ROWS:  # the catalog did not know
        return [Run(0, None, _rows_of(largest))]
    return _merge(sizes)


def _rows_of(largest_row_bytes: int) -> int:
    """How many rows of that size are one batch."""
    return min(MAX_BATCH_ROWS, BATCH_BYTES // largest_row_bytes)


def _windows(connection: Connection, table: TablePlan) -> Iterator[NDArray[np.int64]]:
    """The bytes of the rows, `WINDOW_ROWS` at a time; lengths are read without the values behind them."""
    from etl.verify.readings import quoted
    from etl.verify.source import execute

    names = [quoted(column.source.name) for column in table.columns]
    lengths = [f"ifnull(octet_length({name}),0)" for name in names]
    # a sum of sums: SQLite reads an expression only up to a depth of 1,000
    sums = ("+".join(lengths[start : start + TERMS_A_SUM]) for start in range(0, len(lengths), TERMS_A_SUM))
    sql = f"select ({')+('.join(sums)}) from {quoted(table.source.name)} not indexed"
    with closing(execute(connection, sql, WINDOW_ROWS)) as cursor:
        for batch in cursor.fetch_record_batch():
            if batch.num_rows:
                yield batch.column(0).to_numpy(zero_copy_only=False) + 8 * len(names)


def _largest_batch(lengths: NDArray[np.int64]) -> int:
    """The most rows (a power of four) that a batch may have wherever it begins in a window or the one before."""
    rows = WINDOW_ROWS
    allowed = BATCH_BYTES + int(lengths.max())
    ends = np.concatenate(([0], np.cumsum(lengths)))
    while rows > 1:
        reach = min(rows, len(lengths))
        if int((ends[reach:] - ends[:-reach]).max()) <= allowed:
            return rows
        rows //= 4
    return 1


def _merge(sizes: list[int]) -> list[Run]:
    """Neighbouring windows with the same batch size become one run."""
    runs: list[Run] = []
    for window, size in enumerate(sizes):
        first = window * WINDOW_ROWS
        if runs and (runs[-1].batch_rows == size or len(runs) == MAX_RUNS):
            last = runs[-1]
            runs[-1] = Run(last.first, (last.rows or 0) + WINDOW_ROWS, min(size, last.batch_rows))
        else:
            runs.append(Run(first, WINDOW_ROWS, size))
    if runs:
        runs[-1] = Run(runs[-1].first, None, runs[-1].batch_rows)
    return runs
