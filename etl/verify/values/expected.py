"""What PostgreSQL's binary COPY must send for a batch of source rows.

Invariant: vector rules write only what they prove; every other cell goes through `equivalents`, the specification.
A cell without equivalent gets a length that no field has, so its row can equal no row of the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.model import PLAIN_READING, PgType, Reading, StorageClass
from etl.verify.cells import Cells
from etl.verify.documents.canonical import canonical_documents
from etl.verify.documents.respelling import respell
from etl.verify.values.decimals import integers_as_numeric, reals_as_free_numeric, reals_as_numeric
from etl.verify.values.equivalents import expected_payload
from etl.verify.values.filled_cells import with_filled
from etl.verify.values.fixed_rules import FIXED, Fixed, Mask, fixed_rule, numbers_of, offsets_of, widths_of
from etl.verify.values.null_cells import without_nulls
from etl.verify.values.text_cells import untouched
from etl.verify.values.wire import DOCUMENT_TYPES, TEXT_TYPES

NULL_LENGTH, NO_EQUIVALENT = -1, -2

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


@dataclass(frozen=True, slots=True)
class DocumentField(VaryingField):
    """A column of canonical documents; ``sent`` is what the server must send for them, None where nobody knows."""

    sent: VaryingField | None = None


Field = FixedField | VaryingField


def expected_field(cells: Cells, kind: PgType, reading: Reading = PLAIN_READING) -> Field:
    """The expected fields of one column, for json and jsonb with canonical documents as payloads."""
    cells = with_filled(without_nulls(cells, kind, reading), reading)
    if kind.name in FIXED:
        return _fixed_field(cells, kind, reading)
    if is_document(kind):
        return _document_field(cells, kind, reading)
    return _varying_field(cells, kind, reading)


def _fixed_field(cells: Cells, kind: PgType, reading: Reading) -> FixedField:
    dtype = FIXED[kind.name]
    parts = cells.dense()
    if len(parts) == 1 and parts[0].rows is None:
        values, proven = _fixed_values(parts[0].storage, parts[0].array, kind, reading)
        lengths = None if proven is None else np.where(proven, dtype.itemsize, NO_EQUIVALENT).astype(np.int32)
        return FixedField(values, lengths)
    values = np.zeros(cells.row_count, dtype)
    lengths = np.full(cells.row_count, NULL_LENGTH, np.int32)
    for part in parts:
        some, proven = _fixed_values(part.storage, part.array, kind, reading)
        rows = slice(None) if part.rows is None else part.rows
        values[rows] = some
        lengths[rows] = dtype.itemsize if proven is None else np.where(proven, dtype.itemsize, NO_EQUIVALENT)
    return FixedField(values, lengths)


def _fixed_values(storage: StorageClass, array: pa.Array, kind: PgType, reading: Reading) -> Fixed:
    """Wire values of one storage class's cells, and which have an equivalent (None: all have one)."""
    dtype = FIXED[kind.name]
    rule = fixed_rule(storage, kind, reading)
    if rule is None:
        values, proven = np.zeros(len(array), dtype), np.zeros(len(array), np.bool_)
    else:
        given, known = rule(array)
        values = given.astype(dtype, copy=False)
        if known is None or known.all():
            return values, None
        proven = known.copy()
    odd = np.flatnonzero(~proven)
    payloads, which = _by_value(storage, array.take(pa.array(odd)), kind, reading)
    good = np.array([payload is not None for payload in payloads], np.bool_)
    filler = bytes(dtype.itemsize)
    table = np.frombuffer(b"".join(filler if payload is None else payload for payload in payloads), dtype)
    if not values.flags.writeable:
        values = values.copy()
    values[odd] = table[which]
    proven[odd] = good[which]
    return values, None if proven.all() else proven


def _by_value(
    storage: StorageClass, array: pa.Array, kind: PgType, reading: Reading
) -> tuple[list[bytes | None], NDArray[np.int32]]:
    """The specification for each distinct value, and which of them each cell has."""
    if storage is StorageClass.REAL:  # by bits, or -0.0 and 0.0 would be one
        array = pa.array(array.to_numpy(zero_copy_only=False).view(np.int64))
    encoded = array.dictionary_encode()
    distinct = encoded.dictionary
    if storage is StorageClass.REAL:
        distinct = pa.array(distinct.to_numpy(zero_copy_only=False).view(np.float64))
    payloads = [expected_payload(storage, value, kind, reading) for value in distinct.to_pylist()]
    return payloads, encoded.indices.to_numpy(zero_copy_only=False)


# --- columns of varying width ----------------------------------------------------------------------------------------


def _varying_field(cells: Cells, kind: PgType, reading: Reading) -> VaryingField:
    whole = _as_they_are(cells, kind, reading)
    if whole is not None:
        return whole
    parts = cells.dense()
    found = [_varying_values(part.storage, part.array, kind, reading) for part in parts]
    if len(parts) == 1:
        payloads, proven = found[0]
        if proven is None and not payloads.null_count:
            return _placed(payloads, parts[0].rows, cells.row_count)
        if parts[0].rows is None and proven is not None:
            return VaryingField(payloads, np.where(proven, widths_of(payloads), NO_EQUIVALENT))
    lengths = np.full(cells.row_count, NULL_LENGTH, np.int32)
    places = np.full(cells.row_count, -1, np.int64)
    start = 0
    for part, (payloads, proven) in zip(parts, found, strict=True):
        rows = slice(None) if part.rows is None else part.rows
        widths = widths_of(payloads)
        lengths[rows] = widths if proven is None else np.where(proven, widths, NO_EQUIVALENT)
        places[rows] = np.arange(start, start + len(payloads))
        start += len(payloads)
    joined = pa.concat_arrays([payloads for payloads, _ in found]) if found else pa.array([], pa.binary())
    return VaryingField(joined.take(pa.array(places, mask=places < 0)), lengths)


def _as_they_are(cells: Cells, kind: PgType, reading: Reading) -> VaryingField | None:
    """The column where its own bytes are the payloads of all its cells; None where there is more to do."""
    held = [(storage, array) for storage, array in cells.arrays if array.null_count < len(array)]
    if len(held) != 1 or not _keeps_bytes(held[0][0], kind):
        return None
    array = held[0][1].view(pa.binary())
    if kind.name in TEXT_TYPES and untouched(array, kind, reading) is not None:
        return None
    lengths = widths_of(array)
    if array.null_count:
        lengths[~array.is_valid().to_numpy(zero_copy_only=False)] = NULL_LENGTH
    return VaryingField(array, lengths)


def _keeps_bytes(storage: StorageClass, kind: PgType) -> bool:
    """Whether a cell's own bytes are what the server must send."""
    if storage is StorageClass.BLOB:
        return kind.name == "bytea"
    return storage is StorageClass.TEXT and (kind.name == "bytea" or (kind.name in TEXT_TYPES and kind.name != "char"))


def _document_field(cells: Cells, kind: PgType, reading: Reading) -> DocumentField:
    parts = cells.dense()
    if len(parts) == 1 and parts[0].storage is StorageClass.TEXT:
        part = parts[0]
        spelled = respell(part.array)
        if spelled is not None:
            sent = spelled.jsonb if kind.name == "jsonb" else part.array
            canonical = _placed(spelled.canonical, part.rows, cells.row_count)
            return DocumentField(canonical.payloads, canonical.lengths, _placed(sent, part.rows, cells.row_count))
    field = _varying_field(cells, kind, reading)
    texts = cells.texts()
    if kind.name != "json" or texts is None or any(part.storage is not StorageClass.TEXT for part in parts):
        return DocumentField(field.payloads, field.lengths)
    lengths = np.where(field.lengths < 0, field.lengths, widths_of(texts)).astype(np.int32)
    return DocumentField(field.payloads, field.lengths, VaryingField(texts, lengths))  # json keeps its spelling


def _placed(payloads: pa.Array, rows: NDArray[np.int64] | None, row_count: int) -> VaryingField:
    """Payloads of some rows (None: of all), with NULL in the others."""
    if rows is None:
        return VaryingField(payloads, widths_of(payloads))
    widths = widths_of(payloads)
    lengths = np.full(row_count, NULL_LENGTH, np.int32)
    lengths[rows] = widths
    return VaryingField(_spread(payloads, widths, rows, row_count), lengths)


def _spread(payloads: pa.Array, widths: NDArray[np.int32], rows: NDArray[np.int64], row_count: int) -> pa.Array:
    """Payloads without nulls at these rows (ascending), and empty ones in the others, over the same bytes."""
    edges = np.zeros(row_count + 1, np.int32)
    edges[rows + 1] = widths
    edges[0] = offsets_of(payloads)[0]
    np.cumsum(edges, out=edges)
    data = payloads.buffers()[2] or pa.py_buffer(b"")  # none where all are empty
    return pa.Array.from_buffers(pa.binary(), row_count, [None, pa.py_buffer(edges), data])


def _varying_values(storage: StorageClass, array: pa.Array, kind: PgType, reading: Reading) -> Varying:
    payloads, known = _varying_rule(storage, array, kind, reading)
    if known is None or known.all():
        return payloads, None
    proven = known.copy()
    odd = np.flatnonzero(~proven)
    values, which = _by_value(storage, array.take(pa.array(odd)), kind, reading)
    good = np.array([value is not None for value in values], np.bool_)
    proven[odd] = good[which]
    exact = pa.array([value or b"" for value in values], pa.binary()).take(pa.array(which))
    merged = exact if len(odd) == len(array) else pc.replace_with_mask(payloads, pa.array(~known), exact)
    return merged, None if proven.all() else proven


def _varying_rule(storage: StorageClass, array: pa.Array, kind: PgType, reading: Reading) -> Varying:
    nothing = np.zeros(len(array), np.bool_)
    match storage, kind.name:
        case (StorageClass.INTEGER, "numeric"):
            return integers_as_numeric(numbers_of(array), kind.precision, kind.scale or 0)
        case (StorageClass.REAL, "numeric") if kind.precision is None:
            return reals_as_free_numeric(numbers_of(array))
        case (StorageClass.REAL, "numeric"):
            return reals_as_numeric(numbers_of(array), kind.precision or 0, kind.scale or 0)
        case (StorageClass.TEXT, "json" | "jsonb"):
            return _documents(array)
        case _ if _keeps_bytes(storage, kind) and kind.name == "bytea":
            return array, None
        case _ if _keeps_bytes(storage, kind):
            # where no flag acts: bad UTF-8, a NUL and too long a text cannot be in the target, so the bytes differ
            return array, untouched(array, kind, reading)
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
