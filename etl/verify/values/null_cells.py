"""Cells that a reading turns into NULL: the empty text, dates of zero.

Invariant: such a cell equals NULL and nothing else; it is taken out before any rule of values sees it.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.model import PgType, Reading, StorageClass
from etl.verify.cells import Cells
from etl.verify.values.number_moments import EPOCHS, plain_number
from etl.verify.values.wire import TEXT_TYPES

DATED_TYPES = frozenset({"date", "timestamp", "timestamptz"})
ZERO_DATE = r"0000-00-00(?: 00:00(?::00(?:\.0+)?)?)?"
_ZERO_DATE = re.compile(ZERO_DATE.encode())
_PERHAPS_ZERO = r"^[ \t\n\r\f\v]*-?0[0.]*[ \t\n\r\f\v]*$"


def reads_as_null(storage: StorageClass, value: int | float | bytes | None, kind: PgType, reading: Reading) -> bool:
    """Whether the column's reading makes NULL of this cell, or SQLite has done so."""
    if value is None:
        return True
    if reading.empty_as_null and storage is StorageClass.TEXT and value == b"" and kind.name not in TEXT_TYPES:
        return True
    return reading.zero_dates_as_null and kind.name in DATED_TYPES and _is_zero_date(storage, value, reading)


def _is_zero_date(storage: StorageClass, value: int | float | bytes, reading: Reading) -> bool:
    if not isinstance(value, bytes):
        return value == 0
    if storage is not StorageClass.TEXT:
        return False
    if _ZERO_DATE.fullmatch(value):
        return True
    number = plain_number(storage, value) if reading.how in EPOCHS else None
    return number is not None and number[0] == 0


def without_nulls(cells: Cells, kind: PgType, reading: Reading) -> Cells:
    """The column with NULL where the reading says so."""
    if not reading.empty_as_null and not reading.zero_dates_as_null:
        return cells
    arrays = tuple((storage, _emptied(storage, array, kind, reading)) for storage, array in cells.arrays)
    return replace(cells, arrays=arrays)


def _emptied(storage: StorageClass, array: pa.Array, kind: PgType, reading: Reading) -> pa.Array:
    if storage is StorageClass.TEXT:
        array = array.view(pa.binary())
    doubtful = _doubtful(storage, array, kind, reading)
    if doubtful is None:
        return array
    rows = np.flatnonzero(pc.fill_null(doubtful, False).to_numpy(zero_copy_only=False))
    distinct = array.take(pa.array(rows)).dictionary_encode()
    verdicts = [reads_as_null(storage, value, kind, reading) for value in distinct.dictionary.to_pylist()]
    gone = np.zeros(len(array), np.bool_)
    if verdicts:
        gone[rows] = np.array(verdicts)[distinct.indices.to_numpy(zero_copy_only=False)]
    return pc.if_else(pa.array(gone), pa.scalar(None, array.type), array) if gone.any() else array


def _doubtful(storage: StorageClass, array: pa.Array, kind: PgType, reading: Reading) -> pa.Array | None:
    """A mask that has every cell which may be NULL, and few others."""
    dates = reading.zero_dates_as_null and kind.name in DATED_TYPES
    if storage in (StorageClass.INTEGER, StorageClass.REAL):
        return pc.equal(array, 0) if dates else None
    if storage is StorageClass.BLOB:
        return None
    found = pc.equal(array, b"")
    if dates:
        found = pc.or_(found, pc.match_substring_regex(array, f"^(?:{ZERO_DATE})$"))
        if reading.how in EPOCHS:
            found = pc.or_(found, pc.match_substring_regex(array, _PERHAPS_ZERO))
    return found
