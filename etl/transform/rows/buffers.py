"""Arrow arrays as numpy sees them: masks, offsets, bytes in; arrays built from raw buffers out.

Invariant: no copy of cell contents where a view will do, and no trust in what stands behind a null.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BoolMask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]  # row numbers, ascending
ByteMatrix = npt.NDArray[np.uint8]  # (n, length): the cells of one length, a line each


def valid_mask(array: pa.Array) -> BoolMask:
    """Which cells are not null, shape (n,)."""
    if array.null_count == 0:
        return np.ones(len(array), np.bool_)
    mask: BoolMask = array.is_valid().to_numpy(zero_copy_only=False)
    return mask


def fixed_values(array: pa.Array, dtype: Any) -> npt.NDArray[Any]:
    """The raw values of an int64 or float64 array, shape (n,); anything may stand behind a null."""
    data = array.buffers()[1]
    if data is None or len(array) == 0:
        return np.zeros(len(array), dtype)
    return np.frombuffer(data, dtype, count=array.offset + len(array))[array.offset :]


def cell_offsets(array: pa.Array) -> npt.NDArray[np.int32]:
    """Where the cells of a string or binary array begin in its data buffer, and where the last ends: (n + 1,)."""
    offsets = array.buffers()[1]
    if offsets is None or len(array) == 0:
        return np.zeros(len(array) + 1, np.int32)
    return np.frombuffer(offsets, np.int32, count=array.offset + len(array) + 1)[array.offset :]


def cell_bytes(array: pa.Array) -> npt.NDArray[np.uint8]:
    """The data buffer of a string or binary array from its beginning, for use with ``cell_offsets``."""
    data = array.buffers()[2]
    return np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)


def matrix_of(array: pa.Array, length: int, rows: Rows | None) -> ByteMatrix:
    """The cells as lines of bytes: all of them (``rows`` None: all have this length, none is null), or some."""
    data, offsets = cell_bytes(array), cell_offsets(array)
    count = len(array) if rows is None else len(rows)
    if offsets[-1] - offsets[0] != count * length:  # else there is nothing between them: the others are empty
        cells = array.take(pa.array(rows))
        data, offsets = cell_bytes(cells), cell_offsets(cells)
    return data[offsets[0] : offsets[-1]].reshape(-1, length)


def rows_by_length(array: pa.Array, lengths: set[int]) -> Iterator[tuple[int, Rows | None]]:
    """The rows of each of the given lengths; None in place of all rows."""
    found = np.diff(cell_offsets(array))
    if len(found) and array.null_count == 0 and found.min() == found.max():
        if int(found[0]) in lengths:
            yield int(found[0]), None
        return
    valid = valid_mask(array)
    present = np.flatnonzero(np.bincount(np.minimum(found, max(lengths) + 1)))
    for length in sorted(lengths & set(present.tolist())):
        rows = np.flatnonzero(valid & (found == length))
        if rows.size:
            yield length, rows


def some(mask: BoolMask) -> BoolMask | None:
    """The mask; None where nothing is set."""
    return mask if mask.any() else None


def empty_cells(array: pa.Array) -> BoolMask | None:
    """Which cells of a string array are '' and not null; None where none is."""
    empty: BoolMask = np.diff(cell_offsets(array)) == 0
    empty &= valid_mask(array)
    return some(empty)


def as_binary(array: pa.Array) -> pa.Array:
    """A string array as binary, sharing its buffers."""
    return _retyped(array, pa.binary())


def as_string(array: pa.Array) -> pa.Array:
    """A binary array as string, sharing its buffers; it need not be UTF-8 as long as nobody reads it."""
    return _retyped(array, pa.string())


def _retyped(array: pa.Array, arrow_type: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(arrow_type, len(array), array.buffers(), array.null_count, array.offset)


def fixed_array(arrow_type: pa.DataType, values: npt.NDArray[Any], valid: BoolMask) -> pa.Array:
    """An array of any fixed-width type from its raw little-endian values; null where not valid."""
    values = np.ascontiguousarray(values)
    nulls = len(valid) - int(np.count_nonzero(valid))
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little")) if nulls else None
    return pa.Array.from_buffers(arrow_type, len(valid), [bitmap, pa.py_buffer(values)], nulls)


def boolean_array(values: BoolMask, valid: BoolMask) -> pa.Array:
    """A boolean array; null where not valid."""
    return fixed_array(pa.bool_(), np.packbits(values, bitorder="little"), valid)


def decimal_array(arrow_type: pa.DataType, unscaled: npt.NDArray[np.int64], valid: BoolMask) -> pa.Array:
    """A decimal128 array from its digits as 64-bit integers: two little-endian words, the upper one all sign."""
    words = np.empty((len(unscaled), 2), np.int64)
    words[:, 0] = unscaled
    np.right_shift(unscaled, 63, out=words[:, 1])
    return fixed_array(arrow_type, words, valid)


def only(array: pa.Array, mask: BoolMask) -> pa.Array:
    """The array with null where the mask is not set; itself where that changes nothing."""
    if bool(mask.all()):
        return array
    return pc.if_else(pa.array(mask), array, pa.scalar(None, array.type))


def code_points_over(array: pa.Array, longest: int | None) -> BoolMask | None:
    """Which cells of a string array have more code points than ``longest``; None where none has."""
    if longest is None or len(array) == 0:
        return None
    # A text never has more characters than bytes: the offsets alone settle most columns.
    if int(np.diff(cell_offsets(array)).max()) <= longest:
        return None
    over = pc.greater(pc.utf8_length(array), longest).fill_null(False).to_numpy(zero_copy_only=False)
    return some(over)
