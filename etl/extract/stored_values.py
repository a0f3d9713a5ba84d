"""The cells of records as Arrow columns; a serial type tells the storage class of its cell, so nothing is inferred.

A column of one storage class becomes a ``PlainColumn``, any other a ``SplitColumn``. What SQLite does to a value
between page and query is done here as well: an integer in a column of REAL affinity is a real.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from etl.extract.cell_texts import CellTexts, bitmap_of
from etl.extract.database_file import PageBlock, UnusualPageError
from etl.extract.records import ONE_BYTE, Integers, Mask, StoredCells
from etl.model import Affinity, PlainColumn, SourceValues, SplitColumn

# What a cell is, by its serial type: one bit each, so that one pass over a column tells what all of it is.
NULL, INTEGER, BIT, REAL, TEXT, BLOB, RESERVED = (1 << place for place in range(7))
INTEGERS = INTEGER | BIT  # a BIT is the integer 0 or 1 that takes no bytes: its serial type says all
NUMBERS = INTEGERS | REAL
FLAGS = np.array(
    [NULL, *[INTEGER] * 6, REAL, BIT, BIT, RESERVED, RESERVED, *[BLOB, TEXT] * ((ONE_BYTE - 12) // 2)], np.uint8
)
ZERO = 8  # the serial type of the integer 0; that of 1 follows
SHIFTS = np.array([0, 56, 48, 40, 32, 16, 0, 0, 0, 0, 0, 0], np.int64)  # of eight loaded bytes, to leave the integer
EXACT_IN_DOUBLE = 2**53


@dataclass(frozen=True, slots=True)
class Column:
    """Cells with what they are: flags one by one, and those that occur."""

    cells: StoredCells
    flags: npt.NDArray[np.uint8] | np.uint8  # one for all where they are the same
    present: int

    def valid(self, kind: int) -> Mask | None:
        """Which cells are of this kind; None where all are."""
        return self.are(kind) if self.present & ~kind else None

    def are(self, kind: int) -> Mask:
        """Which cells are of this kind."""
        return np.broadcast_to((self.flags & np.uint8(kind)).astype(np.bool_), len(self.cells.types))


class StoredValues:
    """Turns the columns of some rows into values."""

    def __init__(self, block: PageBlock, texts: CellTexts) -> None:
        self._words = block.values(">i8")
        self._texts = texts

    def values(self, cells: StoredCells, affinity: Affinity) -> SourceValues:
        """One column; raises UnusualPageError for what SQLite reserves or would not read as it stands."""
        column = classified(cells)
        found = column.present & ~NULL
        if not found:
            return PlainColumn(pa.nulls(len(cells.starts), pa.int64()))
        if affinity is Affinity.REAL and found & INTEGERS and not found & ~NUMBERS:
            return PlainColumn(self._reals_of_numbers(column))
        for kind in (INTEGERS, REAL, TEXT, BLOB):
            if not found & ~kind:
                return PlainColumn(self._part(column, kind))
        if affinity is Affinity.NUMERIC and not found & ~NUMBERS:
            return self._numbers(column)
        return self._split(column, affinity)

    def split(self, cells: StoredCells, affinity: Affinity) -> SplitColumn:
        """One column by storage class, whatever it holds."""
        return self._split(classified(cells), affinity)

    def _split(self, column: Column, affinity: Affinity) -> SplitColumn:
        integers, reals = self._part(column, INTEGERS), self._part(column, REAL)
        if affinity is Affinity.REAL:
            integers, reals = pa.nulls(len(integers), pa.int64()), self._reals_of_numbers(column)
        return SplitColumn(integers, reals, self._part(column, TEXT), self._part(column, BLOB))

    def _part(self, column: Column, kind: int) -> pa.Array:
        """The cells of one storage class, null elsewhere."""
        valid = column.valid(kind)
        if kind == INTEGERS:
            return fixed_array(pa.int64(), self._integers(column), valid)
        if kind == REAL:
            return fixed_array(pa.float64(), self._reals(column), valid)
        return self._texts.array(pa.string() if kind == TEXT else pa.binary(), column.cells, valid)

    def _numbers(self, column: Column) -> SourceValues:
        """A NUMERIC column as one array of doubles where they tell INTEGER and REAL apart (``PlainColumn``)."""
        integers, reals, is_real = self._integers(column), self._reals(column), column.are(REAL)
        told_apart = np.where(is_real, np.rint(reals) != reals, np.abs(integers) < EXACT_IN_DOUBLE)
        told_apart |= column.are(NULL)
        if not told_apart.all():
            return self._split(column, Affinity.NUMERIC)
        doubles = np.where(is_real, reals, integers.astype(np.float64))
        return PlainColumn(fixed_array(pa.float64(), doubles, column.valid(NUMBERS)), integral_is_integer=True)

    def _reals_of_numbers(self, column: Column) -> pa.Array:
        """All numbers as doubles: in a column of REAL affinity SQLite stores 5.0 as the shorter 5."""
        doubles = self._integers(column).astype(np.float64)
        np.copyto(doubles, self._reals(column), where=column.are(REAL))
        return fixed_array(pa.float64(), doubles, column.valid(NUMBERS))

    def _integers(self, column: Column) -> Integers:
        """Anything may stand where a cell is no integer."""
        types = column.cells.types
        if not column.present & INTEGER:
            return types.astype(np.int64) - ZERO
        values = self._words[column.cells.starts].astype(np.int64)
        if column.cells.only_type is None:
            values >>= SHIFTS.take(types, mode="clip")
        else:
            values >>= SHIFTS[column.cells.only_type]
        if column.present & BIT:
            np.copyto(values, types.astype(np.int64) - ZERO, where=column.are(BIT))
        return values

    def _reals(self, column: Column) -> npt.NDArray[np.float64]:
        """Anything may stand where a cell is no real, but no NaN: what is one on disk is NULL to SQLite."""
        values = self._words[column.cells.starts].astype(np.int64).view(np.float64)
        odd = np.isnan(values)
        if odd.any():
            if (odd & column.are(REAL)).any():
                raise UnusualPageError("a real that is no number")
            values[odd] = 0
        return values


def classified(cells: StoredCells) -> Column:
    """What the cells are; raises UnusualPageError for a serial type that SQLite reserves."""
    flags: npt.NDArray[np.uint8] | np.uint8
    if cells.only_type is not None:
        flags = FLAGS[cells.only_type if cells.only_type < ONE_BYTE else 12 + (cells.only_type & 1)]
        present = int(flags)
    else:
        types = cells.types
        if types.dtype != np.uint8:
            types = np.where(types < ONE_BYTE, types, 12 + (types & 1))
        flags = FLAGS.take(types)
        present = int(np.bitwise_or.reduce(flags))
    if present & RESERVED:
        raise UnusualPageError("a serial type that SQLite reserves")
    return Column(cells, flags, present)


def fixed_array(arrow_type: pa.DataType, values: npt.NDArray[Any], valid: Mask | None) -> pa.Array:
    """An Arrow array of 64-bit values, null where not valid."""
    bitmap, nulls = bitmap_of(valid)
    return pa.Array.from_buffers(arrow_type, len(values), [bitmap, pa.py_buffer(values)], nulls)
