"""Describes every row that differs, some at a time, where the report has only the first twenty.

Invariant: memory is that of `ROWS_AT_ONCE` rows, however many differ: both sides are read once more for as many.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing

import asyncpg
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.model import Difference, TablePlan
from etl.verify.cells import Cells, SourceRows
from etl.verify.findings import InThread, StoredRow, describe_rows, read_target_rows, stored_rows
from etl.verify.multiset import Unmatched
from etl.verify.readings import quoted
from etl.verify.source import Connection, SourceTableReader, execute

ROWS_AT_ONCE = 5_000
ROWIDS_AT_ONCE = 65_536

OnDifferences = Callable[[Sequence[Difference]], None]


async def every_difference(
    unmatched: Unmatched,
    source: Connection,
    rejected: NDArray[np.int64],
    target: asyncpg.Connection,
    query: str,
    table: TablePlan,
    in_thread: InThread,
) -> AsyncIterator[list[Difference]]:
    """All differences of a table that was settled, in bounded lists; within one in the order of the source."""
    for findings in unmatched.every_finding(ROWS_AT_ONCE):
        ours = [finding.source for finding in findings if finding.source is not None]
        theirs = [finding.target for finding in findings if finding.target is not None]
        stored = await in_thread(_read_source, SourceTableReader(source, table, rejected), source, table, ours)
        yield describe_rows(findings, stored, await read_target_rows(target, query, theirs, table), table)


def _read_source(
    reader: SourceTableReader, source: Connection, table: TablePlan, positions: Sequence[int]
) -> dict[int, StoredRow]:
    """The rows at these places among those that the reader hands out, found in one scan."""
    if not positions:
        return {}
    wanted = np.unique(np.array(positions, np.int64))
    found: dict[int, StoredRow] = {}
    first = 0
    for rows in reader.batches():
        low, high = np.searchsorted(wanted, (first, first + rows.row_count))
        if low < high:
            chosen = _taken(rows, wanted[low:high] - first)
            found |= dict(zip(wanted[low:high].tolist(), stored_rows(chosen, table), strict=True))
        first += rows.row_count
        if high == len(wanted):
            break
    if not table.primary_key and table.source.rowid_name and not table.source.without_rowid:
        for place, rowid in _rowids(reader, source, table, wanted):
            found[place].rowid = rowid
    return found


def _taken(rows: SourceRows, places: NDArray[np.int64]) -> SourceRows:
    chosen = pa.array(places)
    columns = tuple(
        Cells(len(places), tuple((storage, array.take(chosen)) for storage, array in cells.arrays))
        for cells in rows.columns
    )
    return SourceRows(rows.first, len(places), columns, rows.bytes)


def _rowids(
    reader: SourceTableReader, source: Connection, table: TablePlan, wanted: NDArray[np.int64]
) -> Iterator[tuple[int, int]]:
    """The rowids of the rows at these places, in the order of the same scan."""
    positions = reader.positions_of(wanted)
    first = 0
    sql = f"select {table.source.rowid_name} from {quoted(table.source.name)} not indexed"
    with closing(execute(source, sql, ROWIDS_AT_ONCE)) as cursor:
        for batch in cursor.fetch_record_batch():
            low, high = np.searchsorted(positions, (first, first + batch.num_rows))
            rowids = batch.column(0).take(pa.array(positions[low:high] - first)).to_pylist()
            yield from zip(wanted[low:high].tolist(), rowids, strict=True)
            first += batch.num_rows
            if high == len(wanted):
                return
