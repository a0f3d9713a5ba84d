"""The vector rules for columns of TEXT and BLOB, dates and JSON apart.

Invariant: a whole buffer is looked at once; a single cell only where the buffer shows that there is something to find.
"""

from __future__ import annotations

import binascii

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.model import PgType, StorageClass
from etl.transform.rows.booleans import FALSE_WORDS, TRUE_WORDS
from etl.transform.rows.buffers import (
    BoolMask,
    ByteMatrix,
    as_binary,
    as_string,
    boolean_array,
    cell_bytes,
    cell_offsets,
    code_points_over,
    fixed_array,
    matrix_of,
    only,
    rows_by_length,
    some,
    valid_mask,
)
from etl.transform.rows.characters import LARGEST_FIELD, longest_text
from etl.transform.rows.numerals import DECIMAL128_DIGITS, INTEGER_BOUNDS
from etl.transform.rows.vectors import Vector, VectorRule, all_odd

# --- text as text --------------------------------------------------------------------------------------------------


def texts_to_text(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    """Text passes without a copy; NUL, bad UTF-8 and what is too long is odd."""
    strings = as_string(array)
    odd = _any_of(unreadable(array), code_points_over(strings, longest_text(target)))
    return Vector(strings, odd)


def _blobs_to_text(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    vector = texts_to_text(array, target, arrow_type)
    return Vector(vector.values, vector.odd, (("blob-to-text", np.ones(len(array), np.bool_)),))


def unreadable(array: pa.Array) -> BoolMask | None:
    """Which cells hold a NUL or are not UTF-8; None for none."""
    offsets = cell_offsets(array)
    data = cell_bytes(array)[offsets[0] : offsets[-1]]
    if data.size == 0 or data.view(np.int8).min() > 0:  # ASCII without NUL, told in one pass: the rest is below 1
        return None
    nul = _cells_with_nul(array) if data.min() == 0 else None
    return _any_of(nul, None if data.max() < 0x80 else _cells_not_utf8(array))


def _cells_with_nul(array: pa.Array) -> BoolMask:
    offsets = cell_offsets(array)
    places = np.flatnonzero(cell_bytes(array)[offsets[0] : offsets[-1]] == 0) + offsets[0]
    mask = np.zeros(len(array), np.bool_)
    mask[np.searchsorted(offsets, places, side="right") - 1] = True
    return mask & valid_mask(array)


def _cells_not_utf8(array: pa.Array) -> BoolMask | None:
    if _is_whole_utf8(array):
        return None
    cells = as_binary(array).to_pylist()
    mask = np.fromiter((cell is not None and not _is_utf8(cell) for cell in cells), np.bool_, len(cells))
    return some(mask)  # what stands behind a null may be anything


def _is_whole_utf8(array: pa.Array) -> bool:
    """Whether all bytes are UTF-8 and no cell begins within a character: then each cell is UTF-8; a fifth faster."""
    offsets = cell_offsets(array)
    data = cell_bytes(array)[: offsets[-1]]
    starts = offsets[:-1][offsets[:-1] < offsets[-1]]  # what is empty at the end begins nowhere
    if ((data.take(starts) & np.uint8(0xC0)) == 0x80).any():
        return False
    whole = [None, pa.py_buffer(offsets[[0, -1]]), pa.py_buffer(data)]
    try:
        pa.Array.from_buffers(pa.string(), 1, whole).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True


def _any_of(*masks: BoolMask | None) -> BoolMask | None:
    present = [mask for mask in masks if mask is not None]
    return np.logical_or.reduce(present) if present else None


# --- text as numbers and booleans ----------------------------------------------------------------------------------


def _texts_to_integers(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    # Eighteen digits always fit 64 bits. Arrow by itself would also take 0x10.
    plain, integers = _cast_matching(array, "^-?[0-9]{1,18}$", pa.int64())
    values = np.asarray(integers.fill_null(0))
    low, high = INTEGER_BOUNDS[target.name]
    plain &= (values >= low) & (values <= high)
    return Vector(integers.cast(arrow_type, safe=False), _rest(array, plain), (("text-to-integer", plain),))


def _texts_to_doubles(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    if target.name != "double precision":
        return all_odd(array, target, arrow_type)
    plain, doubles = _cast_matching(array, r"^-?[0-9]{1,99}(\.[0-9]{1,99})?$", arrow_type)
    return Vector(doubles, _rest(array, plain), (("text-to-real", plain),))


def _texts_to_numeric(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    if target.precision is None:
        # As PostgreSQL would write it back: no zeros before the number, no sign before zero.
        written = r"^(-?[1-9][0-9]{0,99}(\.[0-9]{1,99})?|0|0\.[0-9]{1,99}|-0\.[0-9]{0,99}[1-9])$"
        plain = _matches(array, written)
        return Vector(as_string(array), _rest(array, plain), (("text-to-numeric", plain),))
    scale = target.scale or 0
    whole = target.precision - scale
    if target.precision > DECIMAL128_DIGITS or whole < 1 or scale < 0:
        return all_odd(array, target, arrow_type)
    fraction = rf"(\.[0-9]{{1,{scale}}})?" if scale else ""
    plain, decimals = _cast_matching(array, rf"^-?[0-9]{{1,{whole}}}{fraction}$", arrow_type)
    return Vector(decimals, _rest(array, plain), (("text-to-numeric", plain),))


def _cast_matching(array: pa.Array, pattern: str, arrow_type: pa.DataType) -> tuple[BoolMask, pa.Array]:
    """Which cells match, and those cast; the pattern lets only ASCII through."""
    plain = _matches(array, pattern)
    return plain, as_string(only(as_binary(array), plain | ~valid_mask(array))).cast(arrow_type)


def _matches(array: pa.Array, pattern: str) -> BoolMask:
    found = pc.match_substring_regex(as_binary(array), pattern).fill_null(False)
    mask: BoolMask = found.to_numpy(zero_copy_only=False)
    # The view that Arrow hands out is read-only, and a trailing newline is none of its business: see the anchors.
    return mask.copy()


def _rest(array: pa.Array, done: BoolMask) -> BoolMask | None:
    return some(valid_mask(array) & ~done)


def _texts_to_booleans(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    binary = as_binary(array)
    # A spelling is found by its bytes; case variants beyond the three usual ones are odd.
    true, false = _isin(binary, TRUE_WORDS), _isin(binary, FALSE_WORDS)
    known = true | false
    values = boolean_array(true, valid_mask(array))
    return Vector(values, _rest(array, known), (("text-to-boolean", known),))


def _isin(array: pa.Array, words: frozenset[bytes]) -> BoolMask:
    spellings = [spelling for word in words for spelling in {word, word.upper(), word.capitalize()}]
    found = pc.is_in(array, value_set=pa.array(spellings, pa.binary()))
    mask: BoolMask = found.to_numpy(zero_copy_only=False)
    return mask


# --- uuid and bytea ------------------------------------------------------------------------------------------------

# Where the digits stand in the two spellings, by length.
_DIGIT_PLACES = {
    36: np.r_[0:8, 9:13, 14:18, 19:23, 24:36],
    32: np.arange(32),
}
_DASHES = (8, 13, 18, 23)


def _texts_to_uuids(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    count = len(array)
    uuids = np.zeros((count, 16), np.uint8)
    read, respelled = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    for length, rows in rows_by_length(array, set(_DIGIT_PLACES)):
        text = matrix_of(array, length, rows)
        places = slice(None) if rows is None else rows
        uuids[places], read[places], upper = _hex_pairs(text)
        respelled[places] = upper if length == 36 else True
    valid = valid_mask(array)
    return Vector(fixed_array(arrow_type, uuids, valid), _rest(array, read), (("uuid-spelling", respelled),))


def _hex_pairs(cells: ByteMatrix) -> tuple[ByteMatrix, BoolMask, BoolMask]:
    """The 16 bytes of each uuid; which cells are one; which have capital letters. Any case, 32 or 36 characters."""
    length = cells.shape[1]
    digits = cells.take(_DIGIT_PLACES[length], axis=1)
    pairs, known = _read_digits(digits)
    if length == 36:
        for place in _DASHES:
            known &= cells[:, place] == ord("-")
    small = _whole_lines((digits & np.uint8(0x20)) != 0)  # a digit has that bit too, a capital letter has not
    return pairs, known, ~small


def _read_digits(digits: ByteMatrix) -> tuple[ByteMatrix, BoolMask]:
    """The bytes that lines of hexadecimal digits stand for, and which lines are nothing else."""
    try:
        pairs = np.frombuffer(binascii.unhexlify(digits.data), np.uint8)
        return pairs.reshape(len(digits), -1), np.ones(len(digits), np.bool_)
    except binascii.Error:  # which lines it was is told by us
        letter = ((digits | np.uint8(0x20)) - np.uint8(ord("a"))) <= 5  # unsigned: what is below wraps to far above
        known = _whole_lines(letter | ((digits - np.uint8(ord("0"))) <= 9))
        values = (digits & np.uint8(0x0F)) + letter.view(np.uint8) * np.uint8(9)  # 'a' is 0x61
        pairs = (values[:, ::2] << np.uint8(4)) | values[:, 1::2]
        return pairs, known


def _whole_lines(mask: BoolMask) -> BoolMask:
    """Which lines of the matrix are set throughout; nearly always all, which is told for a tenth of the price."""
    return np.ones(len(mask), np.bool_) if mask.all() else np.logical_and.reduce(mask, axis=1)


def _blobs_to_uuids(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    sixteen = np.diff(cell_offsets(array)) == 16
    values = only(array, sixteen | ~valid_mask(array)).cast(arrow_type)
    return Vector(values, _rest(array, sixteen), (("blob-to-uuid", sixteen),))


def _blobs_to_bytea(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    over = np.diff(cell_offsets(array)) > LARGEST_FIELD
    return Vector(as_binary(array), over & valid_mask(array) if over.any() else None)


def _texts_to_bytea(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    vector = _blobs_to_bytea(array, target, arrow_type)
    return Vector(vector.values, vector.odd, (("text-to-bytes", np.ones(len(array), np.bool_)),))


_TEXT_RULES: dict[str, VectorRule] = {
    "smallint": _texts_to_integers,
    "integer": _texts_to_integers,
    "bigint": _texts_to_integers,
    "real": _texts_to_doubles,
    "double precision": _texts_to_doubles,
    "numeric": _texts_to_numeric,
    "boolean": _texts_to_booleans,
    "text": texts_to_text,
    "varchar": texts_to_text,
    "char": texts_to_text,
    "citext": texts_to_text,
    "uuid": _texts_to_uuids,
    "bytea": _texts_to_bytea,
}
_BLOB_RULES: dict[str, VectorRule] = {
    "text": _blobs_to_text,
    "varchar": _blobs_to_text,
    "char": _blobs_to_text,
    "citext": _blobs_to_text,
    "uuid": _blobs_to_uuids,
    "bytea": _blobs_to_bytea,
}
TEXT_RULES = {StorageClass.TEXT: _TEXT_RULES, StorageClass.BLOB: _BLOB_RULES}
