"""The vector rules for types whose values all have one width: numbers, booleans, dates and times, uuid.

Invariant: a rule gives values in any byte order and a mask of what it has proven; it proves only what `equivalents`
says too.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.model import PgType, Reading, StorageClass
from etl.verify.values.equivalents import EXACT
from etl.verify.values.moment_rules import MOMENTS, moment_rule

FIXED: dict[str, np.dtype[Any]] = {
    "smallint": np.dtype(">i2"),
    "integer": np.dtype(">i4"),
    "bigint": np.dtype(">i8"),
    "double precision": np.dtype(">f8"),
    "real": np.dtype(">f4"),
    "boolean": np.dtype("u1"),
    "date": np.dtype(">i4"),
    "time": np.dtype(">i8"),
    "timestamp": np.dtype(">i8"),
    "timestamptz": np.dtype(">i8"),
    "interval": np.dtype("V16"),
    "uuid": np.dtype("V16"),
}

Mask = NDArray[np.bool_]
Fixed = tuple[NDArray[Any], Mask | None]  # one value a cell, and which are proven (None: all)


def fixed_rule(storage: StorageClass, kind: PgType, reading: Reading) -> Callable[[pa.Array], Fixed] | None:
    """The rule for cells of one storage class, or None where they are read cell by cell."""
    if kind.name in MOMENTS:
        return moment_rule(storage, kind, reading)
    if kind.name == "boolean" and reading.how is not None:
        return None
    return _FIXED_RULES.get((storage, kind.name))


def numbers_of(array: pa.Array) -> NDArray[Any]:
    return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _same(array: pa.Array) -> Fixed:
    return numbers_of(array), None


def _within(dtype: str, array: pa.Array) -> Fixed:
    values, bounds = numbers_of(array), np.iinfo(dtype)
    return values, (values >= bounds.min) & (values <= bounds.max)


def _integral(dtype: str, array: pa.Array) -> Fixed:
    values, bounds = numbers_of(array), np.iinfo(dtype)
    proven = (np.rint(values) == values) & (np.abs(values) <= EXACT)
    proven &= (values >= bounds.min) & (values <= bounds.max)
    return np.where(proven, values, 0).astype(np.int64), proven


def _truth(array: pa.Array) -> Fixed:
    values = numbers_of(array)
    proven = (values == 0) | (values == 1)
    return (values == 1).astype(np.uint8), proven


def _single(array: pa.Array) -> Fixed:
    values = numbers_of(array)
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)  # at once: by way of a double integers would be rounded twice
    return single, np.isfinite(single) | np.isinf(values)


def _hexadecimal(array: pa.Array) -> Fixed:
    """uuid of 36 characters in either case; other spellings are odd cells."""
    count = len(array)
    if not (widths_of(array) == 36).all():
        return np.zeros(count, "V16"), np.zeros(count, np.bool_)
    text = _square(array, 36)
    if (text[:, _UUID_DASHES] == ord("-")).all():
        digits = np.concatenate([text[:, first:end] for first, end in _UUID_GROUPS], axis=1)
        with suppress(binascii.Error):  # strict: neither spaces nor signs
            return np.frombuffer(binascii.unhexlify(digits.tobytes()), "V16"), None
    nibbles = _NIBBLES[text[:, _UUID_DIGITS]]
    proven = (nibbles <= 15).all(axis=1) & (text[:, _UUID_DASHES] == ord("-")).all(axis=1)
    return np.ascontiguousarray(nibbles[:, 0::2] << 4 | nibbles[:, 1::2]).view("V16")[:, 0], proven


def _sixteen_bytes(array: pa.Array) -> Fixed:
    if not (widths_of(array) == 16).all():
        return np.zeros(len(array), "V16"), np.zeros(len(array), np.bool_)
    return np.ascontiguousarray(_square(array, 16)).view("V16")[:, 0], None


_NIBBLES = np.full(256, 255, np.uint8)
for _value, _digits in enumerate(
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "aA", "bB", "cC", "dD", "eE", "fF"]
):
    for _digit in _digits:
        _NIBBLES[ord(_digit)] = _value
_UUID_DASHES = np.array((8, 13, 18, 23))
_UUID_GROUPS = ((0, 8), (9, 13), (14, 18), (19, 23), (24, 36))
_UUID_DIGITS = np.setdiff1d(np.arange(36), _UUID_DASHES)


def offsets_of(array: pa.Array) -> NDArray[np.int32]:
    return np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]


def widths_of(array: pa.Array) -> NDArray[np.int32]:
    return np.diff(offsets_of(array)) if len(array) else np.zeros(0, np.int32)


def _square(array: pa.Array, width: int) -> NDArray[np.uint8]:
    """The bytes of cells that all have one width, one row a cell."""
    if not len(array):
        return np.zeros((0, width), np.uint8)
    offsets = offsets_of(array)
    return np.frombuffer(array.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].reshape(len(array), width)


def _number_rules(storage: StorageClass) -> dict[tuple[StorageClass, str], Callable[[pa.Array], Fixed]]:
    rules: dict[tuple[StorageClass, str], Callable[[pa.Array], Fixed]] = {
        (storage, "boolean"): _truth,
        (storage, "real"): _single,
        (storage, "double precision"): _same,
    }
    for name, dtype in (("smallint", "i2"), ("integer", "i4"), ("bigint", "i8")):
        rules[storage, name] = partial(_within if storage is StorageClass.INTEGER else _integral, dtype)
    return rules


_FIXED_RULES: dict[tuple[StorageClass, str], Callable[[pa.Array], Fixed]] = {
    **_number_rules(StorageClass.INTEGER),
    **_number_rules(StorageClass.REAL),
    (StorageClass.TEXT, "uuid"): _hexadecimal,
    (StorageClass.BLOB, "uuid"): _sixteen_bytes,
}
