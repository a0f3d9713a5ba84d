"""Describes every row that differs, where the report has only the first twenty.

Invariant: memory is that of `ROWS_PER_SCAN` places and `ROWS_AT_ONCE` rows, however many differ: both sides are read
once more for each `ROWS_PER_SCAN` of them, and the target's rows wait in a file, for their order may be another one.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from typing import BinaryIO

import asyncpg
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.errors import TargetError
from etl.model import Difference, TablePlan
from etl.verify.cells import Cells, SourceRows
from etl.verify.findings import (
    InThread,
    Payloads,
    StoredRow,
    describe_rows,
    rows_at_sql,
    short_payloads,
    stored_rows,
)
from etl.verify.multiset import ABSENT, Pairs, Unmatched, findings_of
from etl.verify.readings import quoted
from etl.verify.rows import whole_rows
from etl.verify.runs import LARGE_BYTES
from etl.verify.source import Connection, SourceTableReader, execute
from etl.verify.target import Chunk, CopyStream, ahead_of

ROWS_PER_SCAN = 1 << 19
ROWS_AT_ONCE = 5_000
ROWIDS_AT_ONCE = 65_536
READ_BYTES = 8 << 20  # of the rows in the file at once

OnDifferences = Callable[[Sequence[Difference]], None]
Places = NDArray[np.int64]


async def every_difference(
    unmatched: Unmatched,
    source: Connection,
    rejected: Places,
    target: asyncpg.Connection,
    query: str,
    table: TablePlan,
    in_thread: InThread,
) -> AsyncIterator[list[Difference]]:
    """All differences of a table that was settled, in bounded lists; of each scan in the order of the source."""
    for pairs in unmatched.every_pair(ROWS_PER_SCAN):
        with tempfile.TemporaryFile(prefix="etl-verify-") as file:
            theirs = TargetRows(file, np.unique(pairs["target"][pairs["target"] != ABSENT]))
            await theirs.read(target, query, table, in_thread)
            described = _describe(SourceTableReader(source, table, rejected), source, table, pairs, theirs)
            while (some := await in_thread(next, described, None)) is not None:
                yield some


class TargetRows:
    """Rows of the target by their places in its scan, kept in a file."""

    def __init__(self, file: BinaryIO, places: Places) -> None:
        """``places`` ascend, each once."""
        self._file = file
        self._places = places
        self._ends = np.zeros(len(places) + 1, np.int64)  # where each row begins in the file, and the last one ends
        self._count = 0

    async def read(self, target: asyncpg.Connection, query: str, table: TablePlan, in_thread: InThread) -> None:
        """Read them once more, in the order of the scan that ``query`` is."""
        if not len(self._places):
            return
        async with CopyStream(target, rows_at_sql(query, self._places.tolist(), table), ahead_of(table)) as stream:
            while chunk := await stream.take_rows():
                await in_thread(self._keep, chunk, table)
                stream.discard([chunk])
        if self._count != len(self._places):
            raise TargetError(f"{table.name}: {self._count} rows were read again where {len(self._places)} differ")

    def _keep(self, chunk: Chunk, table: TablePlan) -> None:
        rows = whole_rows(chunk, table)
        self._file.writelines(rows)
        first = self._ends[self._count]
        self._ends[self._count + 1 : self._count + 1 + len(rows)] = first + np.cumsum([len(row) for row in rows])
        self._count += len(rows)

    def at(self, places: Places) -> dict[int, Payloads]:
        """The payloads of the rows at these places."""
        if not len(places):
            return {}
        at = np.searchsorted(self._places, places)
        starts, ends = self._ends[at], self._ends[at + 1]
        first, size = int(starts.min()), int(ends.max() - starts.min())
        whole = self._read(first, size) if size <= READ_BYTES else None  # one for all of them, as they mostly lie
        found = {}
        for place, start, end in zip(places.tolist(), starts.tolist(), ends.tolist(), strict=True):
            row = self._read(start, end - start) if whole is None else whole[start - first : end - first]
            found[place] = short_payloads(row)
        return found

    def _read(self, start: int, size: int) -> memoryview:
        self._file.seek(start)
        return memoryview(self._file.read(size))


def _describe(
    reader: SourceTableReader, source: Connection, table: TablePlan, pairs: Pairs, theirs: TargetRows
) -> Iterator[list[Difference]]:
    """The differences of these pairs, which are in the order of the source: first what it has nothing of."""
    ours = int(np.searchsorted(pairs["source"], 0))
    for at in range(0, ours, ROWS_AT_ONCE):
        yield _described(pairs[at : min(at + ROWS_AT_ONCE, ours)], {}, theirs, table)
    done = ours
    for stored in _source_rows(reader, source, table, pairs["source"][ours:]):
        yield _described(pairs[done : done + len(stored)], stored, theirs, table)
        done += len(stored)


def _described(pairs: Pairs, stored: dict[int, StoredRow], theirs: TargetRows, table: TablePlan) -> list[Difference]:
    targets = pairs["target"]
    return describe_rows(findings_of(pairs), stored, theirs.at(targets[targets != ABSENT]), table)


def _source_rows(
    reader: SourceTableReader, source: Connection, table: TablePlan, wanted: Places
) -> Iterator[dict[int, StoredRow]]:
    """The rows at these places (ascending) among those that the reader hands out, found in one scan."""
    if not len(wanted):
        return
    rowids = None
    if not table.primary_key and table.source.rowid_name and not table.source.without_rowid:
        rowids = _rowids(reader, source, table, wanted)
    first = done = 0
    for rows in reader.batches():
        end = int(np.searchsorted(wanted, first + rows.row_count))
        at_once = ROWS_AT_ONCE if rows.bytes <= LARGE_BYTES else 1
        for low in range(done, end, at_once):
            high = min(low + at_once, end)
            stored = stored_rows(_taken(rows, wanted[low:high] - first), table)
            if rowids is not None:
                for row, rowid in zip(stored, rowids[low:high].tolist(), strict=True):
                    row.rowid = rowid
            yield dict(zip(wanted[low:high].tolist(), stored, strict=True))
        first, done = first + rows.row_count, end
        del rows  # a large one must not live on beside the next
        if done == len(wanted):
            return


def _taken(rows: SourceRows, places: Places) -> SourceRows:
    if len(places) == rows.row_count:
        return rows
    if rows.bytes > LARGE_BYTES:  # no copy of a large one
        return rows.slice(int(places[0]), 1)
    chosen = pa.array(places)
    columns = tuple(
        Cells(len(places), tuple((storage, array.take(chosen)) for storage, array in cells.arrays))
        for cells in rows.columns
    )
    return SourceRows(rows.first, len(places), columns, rows.bytes)


def _rowids(reader: SourceTableReader, source: Connection, table: TablePlan, wanted: Places) -> Places:
    """The rowids of the rows at these places, in the order of the same scan."""
    positions = reader.positions_of(wanted)
    found = np.zeros(len(wanted), np.int64)
    first = 0
    sql = f"select {table.source.rowid_name} from {quoted(table.source.name)} not indexed"
    with closing(execute(source, sql, ROWIDS_AT_ONCE)) as cursor:
        for batch in cursor.fetch_record_batch():
            low, high = np.searchsorted(positions, (first, first + batch.num_rows))
            found[low:high] = batch.column(0).take(pa.array(positions[low:high] - first)).to_numpy()
            first += batch.num_rows
            if high == len(wanted):
                break
    return found
