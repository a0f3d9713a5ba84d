"""The cells of records as Arrow columns; a serial type tells the storage class of its cell, so nothing is inferred.

A column of one storage class becomes a ``PlainColumn``, any other a ``SplitColumn``. What SQLite does to a value
between page and query is done here as well: an integer in a column of REAL affinity is a real.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from etl.extract.cell_texts import CellTexts, bitmap_of
from etl.extract.database_file import PageBlock, UnusualPageError
from etl.extract.records import ONE_BYTE, Integers, SerialTypes, StoredCells, body_bytes
from etl.model import Affinity, PlainColumn, SourceValues, SplitColumn

Mask = npt.NDArray[np.bool_]


class Stored(IntEnum):
    """What a cell is, by its serial type."""

    NULL = 0
    INTEGER = 1
    REAL = 2
    TEXT = 3
    BLOB = 4
    RESERVED = 5


CLASSES = np.array(
    [
        Stored.NULL,
        *[Stored.INTEGER] * 6,
        Stored.REAL,
        Stored.INTEGER,
        Stored.INTEGER,
        Stored.RESERVED,
        Stored.RESERVED,
        *[Stored.BLOB, Stored.TEXT] * ((ONE_BYTE - 12) // 2),
    ],
    np.uint8,
)
ZERO, ONE = 8, 9  # the serial types of these integers, which take no bytes
# how far eight loaded bytes are shifted to leave an integer of each type
SHIFTS = np.array([0, 56, 48, 40, 32, 16, 0, 0, 0, 0, 0, 0], np.int64)
EXACT_IN_DOUBLE = 2**53


class StoredValues:
    """Turns the columns of some rows into values."""

    def __init__(self, block: PageBlock, texts: CellTexts) -> None:
        self._words = block.values(">i8")
        self._texts = texts

    def values(self, cells: StoredCells, affinity: Affinity) -> SourceValues:
        """One column; raises UnusualPageError for what SQLite reserves or would not read as it stands."""
        classes = classes_of(cells.types)
        present = [kind for kind in Stored if (classes == kind).any()]
        if Stored.RESERVED in present:
            raise UnusualPageError("a serial type that SQLite reserves")
        match [kind for kind in present if kind != Stored.NULL]:
            case []:
                return PlainColumn(pa.nulls(len(classes), pa.int64()))
            case [Stored.INTEGER] | [Stored.INTEGER, Stored.REAL] if affinity is Affinity.REAL:
                return PlainColumn(self._reals_of_numbers(cells, classes))
            case [kind]:
                return PlainColumn(self._part(cells, classes, kind))
            case [Stored.INTEGER, Stored.REAL] if affinity is Affinity.NUMERIC:
                return self._numbers(cells, classes)
            case _:
                return self._split(cells, classes, affinity)

    def _split(self, cells: StoredCells, classes: npt.NDArray[np.uint8], affinity: Affinity) -> SplitColumn:
        integers = self._part(cells, classes, Stored.INTEGER)
        reals = self._part(cells, classes, Stored.REAL)
        if affinity is Affinity.REAL:
            reals = self._reals_of_numbers(cells, classes)
            integers = pa.nulls(len(classes), pa.int64())
        return SplitColumn(
            integers, reals, self._part(cells, classes, Stored.TEXT), self._part(cells, classes, Stored.BLOB)
        )

    def _part(self, cells: StoredCells, classes: npt.NDArray[np.uint8], kind: int) -> pa.Array:
        """The cells of one storage class, null elsewhere."""
        valid = classes == kind
        if kind == Stored.INTEGER:
            return fixed_array(pa.int64(), self._integers(cells), valid)
        if kind == Stored.REAL:
            return fixed_array(pa.float64(), self._reals(cells, valid), valid)
        lengths = body_bytes(cells.types)
        return self._texts.array(pa.string() if kind == Stored.TEXT else pa.binary(), cells.starts, lengths, valid)

    def _numbers(self, cells: StoredCells, classes: npt.NDArray[np.uint8]) -> SourceValues:
        """A NUMERIC column as one array of doubles where they tell INTEGER and REAL apart (``PlainColumn``)."""
        is_integer, is_real = classes == Stored.INTEGER, classes == Stored.REAL
        integers, reals = self._integers(cells), self._reals(cells, is_real)
        told_apart = (np.abs(integers) < EXACT_IN_DOUBLE) | ~is_integer
        told_apart &= (np.rint(reals) != reals) | ~is_real
        if not told_apart.all():
            return self._split(cells, classes, Affinity.NUMERIC)
        doubles = np.where(is_integer, integers, reals)
        return PlainColumn(fixed_array(pa.float64(), doubles, is_integer | is_real), integral_is_integer=True)

    def _reals_of_numbers(self, cells: StoredCells, classes: npt.NDArray[np.uint8]) -> pa.Array:
        """All numbers as doubles: in a column of REAL affinity SQLite stores 5.0 as the shorter 5."""
        is_integer, is_real = classes == Stored.INTEGER, classes == Stored.REAL
        doubles = np.where(is_integer, self._integers(cells), self._reals(cells, is_real))
        return fixed_array(pa.float64(), doubles, is_integer | is_real)

    def _integers(self, cells: StoredCells) -> Integers:
        """Anything may stand where a cell is no integer."""
        types = cells.types
        short = (types == ZERO) | (types == ONE)
        if (short | (types == 0)).all():
            return types.astype(np.int64) - ZERO
        shifts = SHIFTS.take(types, mode="clip")
        values: Integers = self._words[cells.starts].astype(np.int64) >> shifts
        if short.any():
            values = np.where(short, types.astype(np.int64) - ZERO, values)
        return values

    def _reals(self, cells: StoredCells, is_real: Mask) -> npt.NDArray[np.float64]:
        """Anything may stand where a cell is no real, but no NaN: what is one on disk is NULL to SQLite."""
        values = self._words[cells.starts].astype(np.int64).view(np.float64)
        odd = np.isnan(values)
        if odd.any():
            if (odd & is_real).any():
                raise UnusualPageError("a real that is no number")
            values[odd] = 0
        return values


def classes_of(types: SerialTypes) -> npt.NDArray[np.uint8]:
    """The storage class of each cell."""
    if types.dtype != np.uint8:
        types = np.where(types < ONE_BYTE, types, 12 + (types & 1))
    classes: npt.NDArray[np.uint8] = CLASSES.take(types)
    return classes


def fixed_array(arrow_type: pa.DataType, values: npt.NDArray[Any], valid: Mask) -> pa.Array:
    """An Arrow array of 64-bit values, null where not valid."""
    bitmap, nulls = bitmap_of(valid)
    return pa.Array.from_buffers(arrow_type, len(values), [bitmap, pa.py_buffer(values)], nulls)
