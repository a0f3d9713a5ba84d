"""Cells of the source in columns, each with the storage class that was proven for it.

Invariant: for every row of a column at most one array is not null.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.model import StorageClass
from etl.verify.short_values import Payload, shortened

Shown = int | float | Payload | None
BYTE_CLASSES = (StorageClass.TEXT, StorageClass.BLOB)


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

    def at(self, row: int) -> tuple[StorageClass, Shown]:
        """The value of one row as stored, a long one in short."""
        for storage, array in self.arrays:
            part = array.slice(row, 1)
            if not part.null_count:
                return storage, shortened(_bytes_of(part)) if storage in BYTE_CLASSES else part[0].as_py()
        return StorageClass.NULL, None


def _bytes_of(cell: pa.Array) -> memoryview:
    """The bytes of an array's only cell, where Arrow's own way of reading one copies it."""
    start, end = np.frombuffer(cell.buffers()[1], np.int32, 2, cell.offset * 4).tolist()
    return memoryview(cell.buffers()[2] or b"")[start:end]


@dataclass(frozen=True, slots=True)
class SourceRows:
    """A batch of rows of one table as SQLite holds them, in the order of its scan."""

    first: int  # position of the first row in the table, from 0
    row_count: int
    columns: tuple[Cells, ...]  # as TablePlan.columns
    bytes: int

    def slice(self, place: int, count: int) -> SourceRows:
        """Some rows from a place among these on, without a copy of them."""
        columns = tuple(
            Cells(count, tuple((storage, array.slice(place, count)) for storage, array in cells.arrays))
            for cells in self.columns
        )
        return SourceRows(self.first + place, count, columns, self.bytes)

    def without(self, positions: NDArray[np.int64]) -> SourceRows:
        """The rows that are not at these positions of the table (ascending); ``first`` stays."""
        low, high = np.searchsorted(positions, (self.first, self.first + self.row_count))
        if low == high:
            return self
        kept = np.ones(self.row_count, np.bool_)
        kept[positions[low:high] - self.first] = False
        mask, count = pa.array(kept), int(kept.sum())
        columns = tuple(
            Cells(count, tuple((storage, array.filter(mask)) for storage, array in cells.arrays))
            for cells in self.columns
        )
        return SourceRows(self.first, count, columns, self.bytes)
