"""Reads a source table once more, independently of the load: one cursor, own SELECT, own proof of storage classes.

Invariant: every cell that leaves this module has a proven storage class. ADBC-SQLite turns numbers into text and
blobs into strings without a word; so each SELECT fails at the first row with a cell of another class than it is taken
for, and from the batch of that row on the doubtful columns are read again, split by ``typeof``. The connection's
transaction is never ended: it is the run's snapshot.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

import adbc_driver_manager
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.errors import SourceError
from etl.model import TablePlan
from etl.verify.cells import Cells, SourceRows
from etl.verify.readings import (
    CLASSES,
    Reading,
    fits,
    guess_reading,
    numbers_sql,
    quoted,
    reaches,
    select_rows_sql,
    storage_of,
    wrong_types,
)
from etl.verify.runs import LARGE_BYTES, Run, plan_runs
from etl.verify.values.equivalents import EXACT

Connection = Any  # adbc_driver_manager.dbapi.Connection, which has no stubs

NO_POSITIONS = np.zeros(0, np.int64)
PROBED_ROWS = 1000  # enough to guess each column's class; a wrong guess costs one more cursor, never a wrong answer
MESSAGE_LENGTH = 300  # the driver adds the whole statement
SMALL_ROW_BYTES = 4 << 10
PROBED_COLUMNS = 500  # at once: two terms each, and SQLite returns 2,000 at most


class _Unproven(Exception):  # noqa: N818 - a turn in the road, not an error
    """The columns at these places are not of the class that they are read as."""

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(places)
        self.places = places


class SourceTableReader:
    """Reads one table from its first row to its last; for one thread at a time."""

    def __init__(self, connection: Connection, table: TablePlan, rejected: NDArray[np.int64] = NO_POSITIONS) -> None:
        """``rejected`` are positions (ascending) of rows that are read and counted, but not handed out."""
        self._connection = connection
        self._table = table
        self._rejected = rejected
        self.rows_read = 0
        self._done = 0  # rows of the table that were read and proven
        self._is_light = False
        self._readings: list[Reading] = []

    def count(self) -> int:
        """SQLite's own count of the rows: what the cursor must deliver."""
        return int(self._one_row(f"select count(*) from {self._from()} not indexed")[0])

    def batches(self) -> Iterator[SourceRows]:
        """Every row of the table; batches of bounded bytes (a single larger row is a batch of its own)."""
        probes = self._probe(PROBED_ROWS, 0)
        pairs = zip(self._table.columns, probes, strict=True)
        self._readings = [guess_reading(column, classes) for column, classes in pairs]
        self._is_light = self._may_be_light()
        for run in plan_runs(self._connection, self._table):
            yield from filter(_has_rows, map(self._counted, self._read_run(run)))

    def _may_be_light(self) -> bool:
        """Whether cells may be read twice, since none is large, and texts as bytes, since they are UTF-8."""
        if not 0 < self._table.source.largest_row_bytes <= SMALL_ROW_BYTES:
            return False
        return bool(self._one_row("pragma encoding")[0] == "UTF-8")

    def _counted(self, rows: SourceRows) -> SourceRows:
        self.rows_read += rows.row_count
        return rows.without(self._rejected)

    def positions_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in the table the rows stand that are at these places among those handed out."""
        skipped = self._rejected - np.arange(len(self._rejected))  # rows handed out before each rejected one
        return places + np.searchsorted(skipped, places, side="right")

    def rows_at(self, positions: Sequence[int]) -> Iterator[tuple[SourceRows, int | None]]:
        """Single rows by their places among those handed out, every column split, with rowids where there are any.

        ``first`` of what is yielded is the place that was asked for.
        """
        rowid = self._rowid()
        readings = [Reading.SPLIT] * len(self._table.columns)
        pairs = zip(positions, self.positions_of(np.array(positions, np.int64)).tolist(), strict=True)
        for place, position in pairs:
            key = None
            inner = f"(select {self._names()} from {self._from()} not indexed limit 1 offset {position})"
            if rowid:
                key = self._one_row(f"select {rowid} from {self._from()} not indexed limit 1 offset {position}")[0]
                inner = f"{self._from()} not indexed where {rowid} = {key}"
            sql = select_rows_sql(self._table, readings, inner)
            with closing(self._execute(sql, 2)) as cursor:
                batch = pa.Table.from_batches(cursor.fetch_record_batch()).combine_chunks().to_batches()[0]
                handed = [self._cells(batch.slice(1), readings, place)]
                del batch
            yield handed.pop(), key

    def _read_run(self, run: Run) -> Iterator[SourceRows]:
        self._done = run.first
        while self._done < run.end:
            before = list(self._readings)
            try:
                at_end = yield from self._read_cursor(run)
                if at_end:
                    return
                continue
            except _Unproven as turn:
                for place in turn.places:
                    self._readings[place] = Reading.SPLIT
                if before == self._readings:
                    where = f"{self._table.source.name}: rows after the {self._done}th"
                    raise SourceError(f"{where}: the storage classes change between two reads") from turn

    def _read_cursor(self, run: Run) -> Generator[SourceRows, None, bool]:
        """Batches from the first row that is not done; raises `_Unproven` before a doubtful batch.

        Returns whether the run's end was reached. Behind a large row it is not: SQLite holds that as long as the
        cursor stands on it. For the same reason nothing here still names a batch while it is handed out.
        """
        first = self._done
        readings = list(self._readings)
        with closing(self._open_cursor(readings, self._stretch(first, run), run.batch_rows)) as cursor:
            stream = cursor.fetch_record_batch()
            wrong = wrong_types(readings, stream.schema, light=self._is_light)
            if self._is_light and not wrong:
                wrong = self._numbers_among_bytes(readings, first, run.batch_rows)
            if wrong:
                raise _Unproven(wrong)
            sample_rows = 1
            while True:
                try:
                    batch = stream.read_next_batch()
                except StopIteration:
                    return True
                except (OSError, pa.ArrowException) as error:
                    raise self._explain(error, readings, first, run.batch_rows) from error
                batch = batch.slice(sample_rows)
                sample_rows = 0
                if not batch.num_rows:
                    continue
                self._prove(batch, readings)
                handed = [self._cells(batch, readings, first)]
                first = self._done = first + batch.num_rows
                is_large = batch.nbytes > LARGE_BYTES
                del batch
                if is_large:
                    break
                yield handed.pop()
        yield handed.pop()
        return False

    def _numbers_among_bytes(self, readings: Sequence[Reading], first: int, rows: int) -> list[int]:
        """The columns of the first batch where ADBC, which infers the types there, has made bytes of a number."""
        sql = numbers_sql(self._table, readings, self._rows_from(first, rows))
        if sql is None or not self._one_row(sql)[0]:
            return []
        return self._misread(readings, first, rows)

    def _stretch(self, first: int, run: Run) -> str:
        """The rows of a run from a place of the table on, for a FROM; by rowid where there is one.

        A subquery with a limit would cost a copy more of a large row.
        """
        whole = f"{self._from()} not indexed"
        if not first and run.rows is None:
            return whole
        rowid = self._rowid()
        if rowid is None:
            limit = -1 if run.rows is None else run.end - first
            return self._rows_from(first, limit)
        bounds = [(">=", first)] + ([] if run.rows is None else [("<", run.end)])
        terms = (f"{rowid} {sign} (select {rowid} from {whole} limit 1 offset {place})" for sign, place in bounds)
        return f"{whole} where {' and '.join(terms)}"

    def _open_cursor(self, readings: Sequence[Reading], inner: str, batch_rows: int) -> Any:
        """The first batch is read at once, and what is wrong in it is found here."""
        try:
            return self._execute(select_rows_sql(self._table, readings, inner, light=self._is_light), batch_rows)
        except SourceError as error:
            raise self._explain(error, readings, self._done, batch_rows) from error

    def _prove(self, batch: pa.RecordBatch, readings: Sequence[Reading]) -> None:
        """What SQLite does not look at: an INTEGER read as a double must be one that a double holds."""
        large, at = [], 0
        for place, reading in enumerate(readings):
            if reading is Reading.NUMBER and reaches(batch.column(at), EXACT):
                large.append(place)
            at += 4 if reading is Reading.SPLIT else 1
        if large:
            raise _Unproven(large)

    def _explain(self, error: Exception, readings: Sequence[Reading], first: int, rows: int) -> Exception:
        """ADBC refuses a REAL or a text in an int64 column; any other failure is the file's."""
        places = self._misread(readings, first, rows)
        if places:
            return _Unproven(places)
        return SourceError(f"{self._table.source.name}: rows after the {first}th cannot be read: {error}")

    def _misread(self, readings: Sequence[Reading], first: int, rows: int) -> list[int]:
        pairs = zip(readings, self._probe(rows, first), strict=True)
        return [place for place, (reading, found) in enumerate(pairs) if not fits(reading, found)]

    def _probe(self, rows: int, first: int) -> list[tuple[str, ...]]:
        """Each column's storage classes within some rows: the least and the greatest name, none when all null."""
        names = [quoted(column.source.name) for column in self._table.columns]
        groups = [names[start : start + PROBED_COLUMNS] for start in range(0, len(names), PROBED_COLUMNS)]
        return [classes for group in groups for classes in self._probe_columns(group, rows, first)]

    def _probe_columns(self, names: Sequence[str], rows: int, first: int) -> list[tuple[str, ...]]:
        places = range(len(names))
        # their types alone come out of the subquery: with the values it would hold a large one three times
        inner = ", ".join(
            f"nullif(typeof({name}), 'null') as c{place}" for place, name in zip(places, names, strict=True)
        )
        terms = ", ".join(f"min(c{place}), max(c{place})" for place in places)
        scan = f"{self._from()} not indexed limit {rows} offset {first}"
        row = self._one_row(f"select {terms} from (select {inner} from {scan})")
        pairs = zip(row[0::2], row[1::2], strict=True)
        return [() if low is None else tuple(dict.fromkeys((low, high))) for low, high in pairs]

    def _cells(self, batch: pa.RecordBatch, readings: Sequence[Reading], first: int) -> SourceRows:
        columns, at = [], 0
        for reading in readings:
            if reading is Reading.SPLIT:
                arrays = tuple((storage, batch.column(at + k)) for k, storage in enumerate(CLASSES))
                at += 4
            else:
                array = batch.column(at)
                arrays = ((storage_of(reading), array.view(pa.string()) if reading is Reading.TEXT else array),)
                at += 1
            columns.append(Cells(batch.num_rows, arrays))
        return SourceRows(first, batch.num_rows, tuple(columns), batch.nbytes)

    def _rows_from(self, first: int, limit: int) -> str:
        """So many rows (-1: all) from a place of the table on, for a FROM."""
        return f"(select {self._names()} from {self._from()} not indexed limit {limit} offset {first})"

    def _rowid(self) -> str | None:
        return None if self._table.source.without_rowid else self._table.source.rowid_name

    def _names(self) -> str:
        """The columns for a subquery, without their collations: the application's own are not there."""
        names = (quoted(column.source.name) for column in self._table.columns)
        return ", ".join(f"{name} collate binary as {name}" for name in names)

    def _from(self) -> str:
        return quoted(self._table.source.name)

    def _one_row(self, sql: str) -> tuple[Any, ...]:
        with closing(self._execute(sql, 16)) as cursor:
            row: tuple[Any, ...] = cursor.fetchone()
            return row

    def _execute(self, sql: str, batch_rows: int) -> Any:
        return execute(self._connection, sql, batch_rows)


def _has_rows(rows: SourceRows) -> bool:
    return rows.row_count > 0


def execute(connection: Connection, sql: str, batch_rows: int) -> Any:
    """A cursor over the statement's rows, ``batch_rows`` at a time; the caller closes it."""
    cursor = connection.cursor()
    try:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": batch_rows})
        cursor.execute(sql)
    except adbc_driver_manager.Error as error:
        cursor.close()
        raise SourceError(f"the source cannot be read: {str(error)[:MESSAGE_LENGTH]}") from error
    return cursor
