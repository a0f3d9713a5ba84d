"""Reads a source table once more, independently of the load: one cursor, own SELECT, own proof of storage classes.

Invariant: every cell that leaves this module has a proven storage class. ADBC-SQLite turns numbers into text and
blobs into strings without a word; so each SELECT carries a column that counts, row by row, how many cells are of the
class that they are taken for, and a batch whose sum falls short is read again with the doubtful columns split by
``typeof``. The connection's transaction is never ended: it is the run's snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.errors import SourceError
from etl.model import Affinity, ColumnPlan, StorageClass, TablePlan
from etl.verify.equivalents import EXACT
from etl.verify.runs import Run, plan_runs
from etl.verify.wire import DOCUMENT_TYPES, TEXT_TYPES

Connection = Any  # adbc_driver_manager.dbapi.Connection, which has no stubs

PROBED_ROWS = 1000  # enough to guess each column's class; a wrong guess costs one more cursor, never a wrong answer
NUMERIC_TARGETS = frozenset({"numeric", "double precision", "real"})
CLASSES = (StorageClass.INTEGER, StorageClass.REAL, StorageClass.TEXT, StorageClass.BLOB)
_ARROW = {
    StorageClass.INTEGER: pa.int64(),
    StorageClass.REAL: pa.float64(),
    StorageClass.TEXT: pa.string(),
    StorageClass.BLOB: pa.binary(),
}
# The first row of every SELECT: it settles the Arrow types, which ADBC infers from the first batch alone.
_SAMPLE = {
    StorageClass.INTEGER: "0",
    StorageClass.REAL: "0.0",
    StorageClass.TEXT: "'x'",
    StorageClass.BLOB: "x'00'",
}


class Reading(Enum):
    """How a column is read."""

    INTEGER = "integer"
    REAL = "real"
    TEXT = "text"
    BLOB = "blob"
    NUMBER = "number"  # INTEGER up to 2^53 and REAL, where the target does not tell 5 from 5.0
    SPLIT = "split"  # four columns, one a storage class


@dataclass(frozen=True, slots=True)
class Part:
    """The non-null cells of one storage class; ``rows`` are their places, None when that is every row."""

    storage: StorageClass
    array: pa.Array
    rows: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class Cells:
    """One column of a batch, by storage class: for every row at most one array is not null."""

    row_count: int
    arrays: tuple[tuple[StorageClass, pa.Array], ...]

    def dense(self) -> list[Part]:
        """The cells without their nulls; texts as bytes, not yet known to be UTF-8."""
        parts = []
        for storage, array in self.arrays:
            if array.null_count == len(array):
                continue
            kept = array.view(pa.binary()) if storage is StorageClass.TEXT else array
            if not kept.null_count:
                parts.append(Part(storage, kept, None))
            else:
                rows = np.flatnonzero(kept.is_valid().to_numpy(zero_copy_only=False))
                parts.append(Part(storage, kept.drop_null(), rows))
        return parts

    def texts(self) -> pa.Array | None:
        """The TEXT cells as bytes, one a row."""
        found = [array for storage, array in self.arrays if storage is StorageClass.TEXT]
        return found[0].view(pa.binary()) if found else None

    def at(self, row: int) -> tuple[StorageClass, int | float | bytes | None]:
        """The value of one row as stored."""
        for storage, array in self.arrays:
            cell = array[row]
            if cell.is_valid:
                return storage, bytes(cell.as_buffer()) if storage in _BYTES else cell.as_py()
        return StorageClass.NULL, None


_BYTES = (StorageClass.TEXT, StorageClass.BLOB)


@dataclass(frozen=True, slots=True)
class SourceRows:
    """A batch of rows of one table as SQLite holds them, in the order of its scan."""

    first: int  # position of the first row in the table, from 0
    row_count: int
    columns: tuple[Cells, ...]  # as TablePlan.columns
    bytes: int


class _Unproven(Exception):  # noqa: N818 - a turn in the road, not an error
    """The columns at these places are not of the class that they are read as."""

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(places)
        self.places = places


class SourceTableReader:
    """Reads one table from its first row to its last; for one thread at a time."""

    def __init__(self, connection: Connection, table: TablePlan) -> None:
        self._connection = connection
        self._table = table
        self._readings: list[Reading] = []

    def count(self) -> int:
        """SQLite's own count of the rows: what the cursor must deliver."""
        return int(self._one_row(f"select count(*) from {self._from()}")[0])

    def batches(self) -> Iterator[SourceRows]:
        """Every row of the table; batches of bounded bytes (a single larger row is a batch of its own)."""
        probes = self._probe(PROBED_ROWS, 0)
        pairs = zip(self._table.columns, probes, strict=True)
        self._readings = [_guess_reading(column, classes) for column, classes in pairs]
        for run in plan_runs(self._connection, self._table):
            yield from self._read_run(run)

    def rows_at(self, positions: Sequence[int]) -> Iterator[tuple[SourceRows, int | None]]:
        """Single rows by their positions, every column split, each with its rowid where there is one."""
        rowid = None if self._table.source.without_rowid else self._table.source.rowid_name
        readings = [Reading.SPLIT] * len(self._table.columns)
        for position in positions:
            names = ", ".join(quoted(column.source.name) for column in self._table.columns)
            inner = f"select {names} from {self._from()} not indexed limit 1 offset {position}"
            key = None
            if rowid:
                key = self._one_row(f"select {rowid} from {self._from()} not indexed limit 1 offset {position}")[0]
            sql = _select(self._table, readings, f"({inner})")
            with closing(self._execute(sql, 2)) as cursor:
                batch = pa.Table.from_batches(cursor.fetch_record_batch()).combine_chunks().to_batches()[0]
                yield self._cells(batch.slice(1), readings, position), key

    def _read_run(self, run: Run) -> Iterator[SourceRows]:
        done = run.first
        while done < run.end:
            before = list(self._readings)
            try:
                for rows in self._read_cursor(done, run):
                    done = rows.first + rows.row_count
                    yield rows
            except _Unproven as turn:
                for place in turn.places:
                    self._readings[place] = Reading.SPLIT
                if before == self._readings:
                    where = f"{self._table.source.name}: rows after the {done}th"
                    raise SourceError(f"{where}: the storage classes change between two reads") from turn
                continue
            return

    def _read_cursor(self, first: int, run: Run) -> Iterator[SourceRows]:
        """Batches from row ``first`` to the run's end; raises `_Unproven` before a doubtful batch."""
        inner = f"{self._from()} not indexed"
        if first or run.rows is not None:
            names = ", ".join(quoted(column.source.name) for column in self._table.columns)
            limit = -1 if run.rows is None else run.end - first
            inner = f"(select {names} from {inner} limit {limit} offset {first})"
        readings = list(self._readings)
        with closing(self._execute(_select(self._table, readings, inner), run.batch_rows)) as cursor:
            stream = cursor.fetch_record_batch()
            wrong = _wrong_types(readings, stream.schema)
            if wrong:
                raise _Unproven(wrong)
            sample_rows = 1
            while True:
                try:
                    batch = stream.read_next_batch()
                except StopIteration:
                    return
                except (OSError, pa.ArrowException) as error:
                    raise self._explain(error, readings, first, run.batch_rows) from error
                batch = batch.slice(sample_rows)
                sample_rows = 0
                if batch.num_rows:
                    self._prove(batch, readings, first)
                    yield self._cells(batch, readings, first)
                    first += batch.num_rows

    def _prove(self, batch: pa.RecordBatch, readings: Sequence[Reading], first: int) -> None:
        """Each cell of a guarded column counts one in the last column if it is of the class it is read as."""
        expected, at = 0, 0
        large = []
        for place, reading in enumerate(readings):
            array = batch.column(at)
            at += 4 if reading is Reading.SPLIT else 1
            if reading not in (Reading.SPLIT, Reading.INTEGER):
                expected += len(array) - array.null_count
            if reading is Reading.NUMBER and _reaches(array, EXACT):
                large.append(place)
        if large:
            raise _Unproven(large)
        if expected != pc.sum(batch.column(at)).as_py():
            raise _Unproven(self._misread(readings, first, batch.num_rows))

    def _explain(self, error: Exception, readings: Sequence[Reading], first: int, rows: int) -> Exception:
        """ADBC refuses a REAL or a text in an int64 column; any other failure is the file's."""
        places = self._misread(readings, first, rows)
        if places:
            return _Unproven(places)
        return SourceError(f"{self._table.source.name}: rows after the {first}th cannot be read: {error}")

    def _misread(self, readings: Sequence[Reading], first: int, rows: int) -> list[int]:
        pairs = zip(readings, self._probe(rows, first), strict=True)
        return [place for place, (reading, found) in enumerate(pairs) if not _fits(reading, found)]

    def _probe(self, rows: int, first: int) -> list[tuple[str, ...]]:
        """Each column's storage classes within some rows: the least and the greatest name, none when all null."""
        names = [quoted(column.source.name) for column in self._table.columns]
        terms = ", ".join(
            f"min(typeof({name})) filter (where {name} is not null), "
            f"max(typeof({name})) filter (where {name} is not null)"
            for name in names
        )
        inner = f"select {', '.join(names)} from {self._from()} not indexed limit {rows} offset {first}"
        row = self._one_row(f"select {terms} from ({inner})")
        pairs = zip(row[0::2], row[1::2], strict=True)
        return [() if low is None else tuple(dict.fromkeys((low, high))) for low, high in pairs]

    def _cells(self, batch: pa.RecordBatch, readings: Sequence[Reading], first: int) -> SourceRows:
        columns, at = [], 0
        for reading in readings:
            if reading is Reading.SPLIT:
                arrays = tuple((storage, batch.column(at + k)) for k, storage in enumerate(CLASSES))
                at += 4
            else:
                arrays = ((_storage(reading), batch.column(at)),)
                at += 1
            columns.append(Cells(batch.num_rows, arrays))
        return SourceRows(first, batch.num_rows, tuple(columns), batch.nbytes)

    def _from(self) -> str:
        return quoted(self._table.source.name)

    def _one_row(self, sql: str) -> tuple[Any, ...]:
        with closing(self._execute(sql, 16)) as cursor:
            row: tuple[Any, ...] = cursor.fetchone()
            return row

    def _execute(self, sql: str, batch_rows: int) -> Any:
        return execute(self._connection, sql, batch_rows)


def execute(connection: Connection, sql: str, batch_rows: int) -> Any:
    """A cursor over the statement's rows, ``batch_rows`` at a time; the caller closes it."""
    cursor = connection.cursor()
    try:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": batch_rows})
        cursor.execute(sql)
    except BaseException:
        cursor.close()
        raise
    return cursor


def quoted(name: str) -> str:
    """An identifier of SQLite or PostgreSQL."""
    return '"' + name.replace('"', '""') + '"'


def _guess_reading(column: ColumnPlan, classes: tuple[str, ...]) -> Reading:
    """How to read a column whose first rows hold these classes; only a guess, every batch proves it."""
    textual = column.type.name in TEXT_TYPES or column.type.name in DOCUMENT_TYPES
    mixed = column.source.affinity is not Affinity.REAL and not textual
    match classes:
        case ():
            return _usual_reading(column.source.affinity, textual)
        case ("integer",):
            return Reading.NUMBER if mixed and column.type.name in NUMERIC_TARGETS else Reading.INTEGER
        case ("real",):
            return Reading.NUMBER if mixed else Reading.REAL
        case ("integer", "real"):
            return Reading.NUMBER if mixed else Reading.SPLIT
        case (one,):
            return Reading(one)
        case _:
            return Reading.SPLIT


def _usual_reading(affinity: Affinity, textual: bool) -> Reading:
    if affinity is Affinity.NUMERIC:
        return Reading.SPLIT if textual else Reading.NUMBER
    return Reading(affinity.value)


def _fits(reading: Reading, classes: tuple[str, ...]) -> bool:
    if reading is Reading.SPLIT:
        return True
    allowed = {"integer", "real"} if reading is Reading.NUMBER else {reading.value}
    return set(classes) <= allowed


def _storage(reading: Reading) -> StorageClass:
    return StorageClass.REAL if reading is Reading.NUMBER else StorageClass(reading.value)


def _select(table: TablePlan, readings: Sequence[Reading], inner: str) -> str:
    """The SELECT with its sample row in front and, as the last column, the count of cells that are as expected."""
    samples, terms, guards = [], [], []
    for column, reading in zip(table.columns, readings, strict=True):
        name = quoted(column.source.name)
        if reading is Reading.SPLIT:
            samples += [_SAMPLE[storage] for storage in CLASSES]
            terms += [f"iif(typeof({name})='{storage}',{name},null)" for storage in CLASSES]
            continue
        samples.append(_SAMPLE[_storage(reading)])
        terms.append(f"cast({name} as real)" if reading is Reading.NUMBER else name)
        if reading is Reading.NUMBER:
            guards.append(f"(typeof({name})='integer')+(typeof({name})='real')")
        elif reading is not Reading.INTEGER:  # ADBC never takes anything else for int64
            guards.append(f"(typeof({name})='{reading.value}')")
    guard = "+".join(guards) or "0"
    return f"select {', '.join(samples)}, 0 union all select {', '.join(terms)}, {guard} from {inner}"


def _wrong_types(readings: Sequence[Reading], schema: pa.Schema) -> list[int]:
    """Columns whose first batch was taken for something else than the sample row's type."""
    wrong, at = [], 0
    for place, reading in enumerate(readings):
        wanted = [_ARROW[s] for s in CLASSES] if reading is Reading.SPLIT else [_ARROW[_storage(reading)]]
        if [schema.field(at + k).type for k in range(len(wanted))] != wanted:
            wrong.append(place)
        at += len(wanted)
    return wrong


def _reaches(array: pa.Array, bound: float) -> bool:
    extremes = pc.min_max(array)
    low, high = extremes["min"].as_py(), extremes["max"].as_py()
    return low is not None and (low <= -bound or high >= bound)
