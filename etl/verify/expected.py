"""What PostgreSQL's binary COPY must send for a batch of source rows.

Invariant: vector rules write only what they prove; every other cell goes through `equivalents`, the specification.
A cell without equivalent gets a length that no field has, so its row can equal no row of the target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.model import PgType, StorageClass
from etl.verify.decimals import integers_as_numeric, reals_as_free_numeric, reals_as_numeric
from etl.verify.documents import canonical_documents
from etl.verify.equivalents import EXACT, UTC_SETTING, Setting, expected_payload
from etl.verify.instants import date_days, epoch_micros, time_micros, timestamp_micros
from etl.verify.source import Cells
from etl.verify.wire import DOCUMENT_TYPES, TEXT_TYPES

NULL_LENGTH, NO_EQUIVALENT = -1, -2

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
    "uuid": np.dtype("V16"),
}

Mask = NDArray[np.bool_]
Fixed = tuple[NDArray[Any], Mask | None]  # one value a cell, and which are proven (None: all)
Varying = tuple[pa.Array, Mask | None]  # one binary payload a cell, likewise


@dataclass(frozen=True, slots=True)
class FixedField:
    """A column whose values all have one width."""

    values: NDArray[Any]  # in the byte order of the wire
    lengths: NDArray[np.int32] | None  # per row: the width, -1 or -2; None when every row has the width


@dataclass(frozen=True, slots=True)
class VaryingField:
    """A column of payloads; ``payloads`` is null or anything where the length is negative."""

    payloads: pa.Array  # binary
    lengths: NDArray[np.int32]


Field = FixedField | VaryingField


def expected_field(cells: Cells, kind: PgType, setting: Setting = UTC_SETTING) -> Field:
    """The expected fields of one column, for json and jsonb with canonical documents as payloads."""
    if kind.name in FIXED:
        return _fixed_field(cells, kind, setting)
    return _varying_field(cells, kind, setting)


def _fixed_field(cells: Cells, kind: PgType, setting: Setting) -> FixedField:
    dtype = FIXED[kind.name]
    parts = cells.dense()
    if len(parts) == 1 and parts[0].rows is None:
        values, proven = _fixed_values(parts[0].storage, parts[0].array, kind, setting)
        lengths = None if proven is None else np.where(proven, dtype.itemsize, NO_EQUIVALENT).astype(np.int32)
        return FixedField(values, lengths)
    values = np.zeros(cells.row_count, dtype)
    lengths = np.full(cells.row_count, NULL_LENGTH, np.int32)
    for part in parts:
        some, proven = _fixed_values(part.storage, part.array, kind, setting)
        rows = slice(None) if part.rows is None else part.rows
        values[rows] = some
        lengths[rows] = dtype.itemsize if proven is None else np.where(proven, dtype.itemsize, NO_EQUIVALENT)
    return FixedField(values, lengths)


def _fixed_values(storage: StorageClass, array: pa.Array, kind: PgType, setting: Setting) -> Fixed:
    """Wire values of one storage class's cells, and which have an equivalent (None: all have one)."""
    dtype = FIXED[kind.name]
    rule = _fixed_rule(storage, kind, setting)
    if rule is None:
        values, proven = np.zeros(len(array), dtype), np.zeros(len(array), np.bool_)
    else:
        given, known = rule(array)
        values = given.astype(dtype, copy=False)
        if known is None or known.all():
            return values, None
        proven = known.copy()
    odd = np.flatnonzero(~proven)
    payloads, which = _by_value(storage, array.take(pa.array(odd)), kind, setting)
    good = np.array([payload is not None for payload in payloads], np.bool_)
    filler = bytes(dtype.itemsize)
    table = np.frombuffer(b"".join(filler if payload is None else payload for payload in payloads), dtype)
    if not values.flags.writeable:
        values = values.copy()
    values[odd] = table[which]
    proven[odd] = good[which]
    return values, None if proven.all() else proven


def _by_value(
    storage: StorageClass, array: pa.Array, kind: PgType, setting: Setting
) -> tuple[list[bytes | None], NDArray[np.int32]]:
    """The specification for each distinct value, and which of them each cell has."""
    if storage is StorageClass.REAL:  # by bits, or -0.0 and 0.0 would be one
        array = pa.array(array.to_numpy(zero_copy_only=False).view(np.int64))
    encoded = array.dictionary_encode()
    distinct = encoded.dictionary
    if storage is StorageClass.REAL:
        distinct = pa.array(distinct.to_numpy(zero_copy_only=False).view(np.float64))
    payloads = [expected_payload(storage, value, kind, setting) for value in distinct.to_pylist()]
    return payloads, encoded.indices.to_numpy(zero_copy_only=False)


def _fixed_rule(storage: StorageClass, kind: PgType, setting: Setting) -> Callable[[pa.Array], Fixed] | None:
    zoned = kind.name in ("timestamp", "timestamptz") and setting != UTC_SETTING
    return None if zoned else _FIXED_RULES.get((storage, kind.name))


def _numbers(array: pa.Array) -> NDArray[Any]:
    return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _same(array: pa.Array) -> Fixed:
    return _numbers(array), None


def _within(dtype: str, array: pa.Array) -> Fixed:
    values, bounds = _numbers(array), np.iinfo(dtype)
    return values, (values >= bounds.min) & (values <= bounds.max)


def _integral(dtype: str, array: pa.Array) -> Fixed:
    values, bounds = _numbers(array), np.iinfo(dtype)
    proven = (np.rint(values) == values) & (np.abs(values) <= EXACT)
    proven &= (values >= bounds.min) & (values <= bounds.max)
    return np.where(proven, values, 0).astype(np.int64), proven


def _truth(array: pa.Array) -> Fixed:
    values = _numbers(array)
    proven = (values == 0) | (values == 1)
    return (values == 1).astype(np.uint8), proven


def _single(array: pa.Array) -> Fixed:
    values = _numbers(array).astype(np.float64)
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return single, np.isfinite(single) | np.isinf(values)


def _hexadecimal(array: pa.Array) -> Fixed:
    """uuid of 36 characters in either case; other spellings are odd cells."""
    count = len(array)
    if not (_widths(array) == 36).all():
        return np.zeros(count, "V16"), np.zeros(count, np.bool_)
    text = _square(array, 36)
    nibbles = _NIBBLES[text[:, _UUID_DIGITS]]
    proven = (nibbles <= 15).all(axis=1) & (text[:, _UUID_DASHES] == ord("-")).all(axis=1)
    return np.ascontiguousarray(nibbles[:, 0::2] << 4 | nibbles[:, 1::2]).view("V16")[:, 0], proven


def _sixteen_bytes(array: pa.Array) -> Fixed:
    if not (_widths(array) == 16).all():
        return np.zeros(len(array), "V16"), np.zeros(len(array), np.bool_)
    return np.ascontiguousarray(_square(array, 16)).view("V16")[:, 0], None


_NIBBLES = np.full(256, 255, np.uint8)
for _value, _digits in enumerate(
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "aA", "bB", "cC", "dD", "eE", "fF"]
):
    for _digit in _digits:
        _NIBBLES[ord(_digit)] = _value
_UUID_DASHES = np.array((8, 13, 18, 23))
_UUID_DIGITS = np.setdiff1d(np.arange(36), _UUID_DASHES)


def _offsets(array: pa.Array) -> NDArray[np.int32]:
    return np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]


def _widths(array: pa.Array) -> NDArray[np.int32]:
    return np.diff(_offsets(array)) if len(array) else np.zeros(0, np.int32)


def _square(array: pa.Array, width: int) -> NDArray[np.uint8]:
    """The bytes of cells that all have one width, one row a cell."""
    if not len(array):
        return np.zeros((0, width), np.uint8)
    offsets = _offsets(array)
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


def _of_numbers(rule: Callable[[NDArray[np.int64]], Fixed], array: pa.Array) -> Fixed:
    return rule(_numbers(array))


_FIXED_RULES: dict[tuple[StorageClass, str], Callable[[pa.Array], Fixed]] = {
    **_number_rules(StorageClass.INTEGER),
    **_number_rules(StorageClass.REAL),
    (StorageClass.INTEGER, "timestamp"): partial(_of_numbers, epoch_micros),
    (StorageClass.INTEGER, "timestamptz"): partial(_of_numbers, epoch_micros),
    (StorageClass.TEXT, "date"): date_days,
    (StorageClass.TEXT, "time"): time_micros,
    (StorageClass.TEXT, "timestamp"): timestamp_micros,
    (StorageClass.TEXT, "timestamptz"): timestamp_micros,
    (StorageClass.TEXT, "uuid"): _hexadecimal,
    (StorageClass.BLOB, "uuid"): _sixteen_bytes,
}


# --- columns of varying width ----------------------------------------------------------------------------------------


def _varying_field(cells: Cells, kind: PgType, setting: Setting) -> VaryingField:
    parts = cells.dense()
    if len(parts) == 1 and parts[0].rows is None:
        payloads, proven = _varying_values(parts[0].storage, parts[0].array, kind, setting)
        lengths = _widths(payloads)
        return VaryingField(payloads, lengths if proven is None else np.where(proven, lengths, NO_EQUIVALENT))
    found = [_varying_values(part.storage, part.array, kind, setting) for part in parts]
    lengths = np.full(cells.row_count, NULL_LENGTH, np.int32)
    places = np.full(cells.row_count, -1, np.int64)
    start = 0
    for part, (payloads, proven) in zip(parts, found, strict=True):
        rows = slice(None) if part.rows is None else part.rows
        widths = _widths(payloads)
        lengths[rows] = widths if proven is None else np.where(proven, widths, NO_EQUIVALENT)
        places[rows] = np.arange(start, start + len(payloads))
        start += len(payloads)
    joined = pa.concat_arrays([payloads for payloads, _ in found]) if found else pa.array([], pa.binary())
    return VaryingField(joined.take(pa.array(places, mask=places < 0)), lengths)


def _varying_values(storage: StorageClass, array: pa.Array, kind: PgType, setting: Setting) -> Varying:
    payloads, known = _varying_rule(storage, array, kind)
    if known is None or known.all():
        return payloads, None
    proven = known.copy()
    odd = np.flatnonzero(~proven)
    values, which = _by_value(storage, array.take(pa.array(odd)), kind, setting)
    good = np.array([value is not None for value in values], np.bool_)
    proven[odd] = good[which]
    exact = pa.array([value or b"" for value in values], pa.binary()).take(pa.array(which))
    merged = exact if len(odd) == len(array) else pc.replace_with_mask(payloads, pa.array(~known), exact)
    return merged, None if proven.all() else proven


def _varying_rule(storage: StorageClass, array: pa.Array, kind: PgType) -> Varying:
    nothing = np.zeros(len(array), np.bool_)
    match storage, kind.name:
        case (StorageClass.INTEGER, "numeric"):
            return integers_as_numeric(_numbers(array), kind.precision, kind.scale or 0)
        case (StorageClass.REAL, "numeric") if kind.precision is None:
            return reals_as_free_numeric(_numbers(array))
        case (StorageClass.REAL, "numeric"):
            return reals_as_numeric(_numbers(array), kind.precision or 0, kind.scale or 0)
        case (StorageClass.TEXT, "json" | "jsonb"):
            return _documents(array)
        case (StorageClass.TEXT | StorageClass.BLOB, "bytea"):
            return array, None
        case (StorageClass.TEXT, name) if name in TEXT_TYPES and name != "char":
            return array, None  # bad UTF-8, a NUL and too long a text cannot be in the target: the bytes differ
        case (StorageClass.INTEGER, name) if name in TEXT_TYPES and name != "char":
            return array.cast(pa.string()).view(pa.binary()), None
        case _:
            return array, nothing


def _documents(array: pa.Array) -> Varying:
    documents = canonical_documents(array)
    if not documents.null_count:
        return documents, None
    return documents, documents.is_valid().to_numpy(zero_copy_only=False)


def is_document(kind: PgType) -> bool:
    """Whether values are compared as documents and not by their bytes."""
    return kind.name in DOCUMENT_TYPES
