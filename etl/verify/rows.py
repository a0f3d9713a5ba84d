"""Whole rows in PostgreSQL's binary COPY format: joined from fields, hashed, and walked in a stream.

Invariant: a *canonical row* is the tuple of that format (field count, then length and payload of each field) with
every json or jsonb payload replaced by its canonical document. Where a table has no documents, its canonical rows
are the bytes that the server sends.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from etl.errors import TargetError
from etl.model import TablePlan
from etl.verify.cells import SourceRows
from etl.verify.documents.canonical import LARGE_DOCUMENT_BYTES, canonical_document, canonical_documents
from etl.verify.documents.large_documents import canonical_large_document
from etl.verify.pieces import interleaved
from etl.verify.row_join import RowJoin, cells_of
from etl.verify.values.expected import DocumentField, Field, VaryingField, expected_field, is_document
from etl.verify.values.fixed_rules import offsets_of

CHECKSUM_MODULUS = 1 << 128
_LENGTH = struct.Struct(">i")
_COUNT = struct.Struct(">H")
_END_OF_COPY = 0xFFFF
VIEWED_BYTES = 4_096  # a row
COPIED_BYTES = 1 << 20  # a chunk of the stream; one of more holds a row that a copy would double


@dataclass(frozen=True, slots=True)
class Documents:
    """A json or jsonb column of some rows."""

    texts: pa.Array | None  # as the source spells them, binary; null where it holds no text
    canonical: pa.Array  # binary
    lengths: NDArray[np.int32]  # of the canonical documents; -1 for NULL, -2 where there is no equivalent


@dataclass(frozen=True, slots=True)
class ExpectedRows:
    """What the target must hold for a batch of source rows."""

    source_bytes: int
    rows: pa.Array  # canonical rows, binary
    sent: pa.Array | None  # the rows as the server sends them, where that is known
    documents: tuple[Documents, ...] = ()
    gaps: NDArray[np.int32] | None = None  # per row: bytes before, between and after the documents

    @property
    def byte_count(self) -> int:
        """How much of the stream these rows take; about, where it is not known what the server sends."""
        if self.sent is not None:
            return span_of(self.sent)
        exact = span_of(self.rows)
        # PostgreSQL puts a space behind each comma and colon, and a version byte before jsonb
        return exact + sum(int(column.lengths.clip(0).sum()) // 6 + len(self.rows) for column in self.documents)


def expect_rows(source: SourceRows, table: TablePlan) -> ExpectedRows:
    """Build the canonical rows of a batch, and the rows as the server sends them where that is known."""
    fields = [
        expected_field(cells, column.type, column.reading)
        for cells, column in zip(source.columns, table.columns, strict=True)
    ]
    documents = [field for field in fields if isinstance(field, DocumentField)]
    runs = _runs(fields, source.row_count)
    rows = _with_documents(runs, documents)
    if not documents:
        return ExpectedRows(source.bytes, rows, rows)
    spelled_by_server = [field.sent for field in documents if field.sent is not None]
    sent = _with_documents(runs, spelled_by_server) if len(spelled_by_server) == len(documents) else None
    texts = [
        cells.texts() for cells, column in zip(source.columns, table.columns, strict=True) if is_document(column.type)
    ]
    pairs = zip(texts, documents, strict=True)
    spelled = tuple(Documents(text, field.payloads, field.lengths) for text, field in pairs)
    return ExpectedRows(source.bytes, rows, sent, spelled, _gaps(fields, source.row_count))


def _gaps(fields: Sequence[Field], row_count: int) -> NDArray[np.int32]:
    gaps = [np.full(row_count, _COUNT.size, np.int32)]
    for field in fields:
        if isinstance(field, DocumentField):
            gaps.append(np.zeros(row_count, np.int32))
        else:
            gaps[-1] += _LENGTH.size + _payload_widths(field)
    return np.stack(gaps, axis=1)


def _payload_widths(field: Field) -> NDArray[np.int32] | int:
    if field.lengths is None:
        return field.values.dtype.itemsize
    return np.maximum(field.lengths, 0)


def _runs(fields: Sequence[Field], row_count: int) -> list[pa.Array]:
    """What stands before, between and after the documents: the count of fields, then fields."""
    joins = [RowJoin(row_count)]
    joins[0].add_number(">u2", len(fields))
    for field in fields:
        if isinstance(field, DocumentField):
            joins.append(RowJoin(row_count))
        else:
            joins[-1].add_field(field)
    return [join.rows() for join in joins]


def _with_documents(runs: Sequence[pa.Array], documents: Sequence[VaryingField]) -> pa.Array:
    pieces = [runs[0]]
    for document, run in zip(documents, runs[1:], strict=True):
        pieces += [cells_of(document.lengths.astype(">i4")), document.payloads, run]
    return interleaved(pieces, len(runs[0]))


def span_of(rows: pa.Array) -> int:
    start, stop = _bounds(rows)
    return stop - start


def _bounds(rows: pa.Array) -> tuple[int, int]:
    offsets = np.frombuffer(rows.buffers()[1], np.int32)
    return int(offsets[rows.offset]), int(offsets[rows.offset + len(rows)])


def row_bytes(rows: pa.Array) -> pa.Buffer:
    """All rows one after the other."""
    start, stop = _bounds(rows)
    return rows.buffers()[2].slice(start, stop - start)


def row_list(rows: pa.Array) -> list[bytes]:
    """The rows one by one."""
    listed: list[bytes] = rows.to_numpy(zero_copy_only=False).tolist()
    return listed


def row_views(rows: pa.Array) -> Sequence[bytes | memoryview]:
    """The rows one by one, without a copy where a copy would cost more than a view."""
    if span_of(rows) < VIEWED_BYTES * len(rows):
        return row_list(rows)
    data = memoryview(rows.buffers()[2])
    return [data[start:end] for start, end in pairwise(offsets_of(rows).tolist())]


def digest(row: bytes | memoryview) -> int:
    """XXH3-128 of one canonical row."""
    value: int = xxhash.xxh3_128_intdigest(row)
    return value


def digests(rows: Sequence[bytes]) -> list[int]:
    """`digest` of each row."""
    return list(map(xxhash.xxh3_128_intdigest, rows))


def sum_digests(rows: Sequence[bytes | memoryview]) -> int:
    """The sum of the rows' digests; not yet reduced modulo 2^128."""
    quarters = np.frombuffer(b"".join(map(xxhash.xxh3_128_digest, rows)), ">u4").reshape(-1, 4)
    sums = quarters.sum(axis=0, dtype=np.uint64).tolist()  # no sum of fewer than 2^32 of them overflows
    return sum(value << shift for value, shift in zip(sums, (96, 64, 32, 0), strict=True))


def whole_rows(chunk: bytes | bytearray | memoryview, table: TablePlan) -> list[bytes]:
    """The canonical rows of some whole ones of a COPY stream; raises TargetError where the last one is not whole."""
    rows, starts = walk_rows(viewed(chunk), table)
    if len(chunk) - starts[-1] not in (0, _COUNT.size):  # the trailer is as long as a count
        raise TargetError(f"{table.name}: the server's COPY stream ends within a row")
    return rows


def viewed(chunk: bytes | bytearray | memoryview) -> bytes | memoryview:
    """The chunk for `walk_rows`: so that its rows are views where it is large, and bytes, which are cheaper, else."""
    return bytes(chunk) if len(chunk) < COPIED_BYTES else memoryview(chunk)


def walk_rows(stream: bytes | memoryview, table: TablePlan, limit: int | None = None) -> tuple[list[bytes], list[int]]:
    """Cut a COPY stream into canonical rows: the complete ones, and where each begins and the last ends.

    Stops at the end of the copy, after ``limit`` rows, or before a row that is not complete. Rows without documents are
    views where the stream is one.
    """
    starts = [0]
    most = len(stream) if limit is None else limit
    read_count, read_length = _COUNT.unpack_from, _LENGTH.unpack_from
    try:
        while len(starts) <= most:
            at = starts[-1]
            (count,) = read_count(stream, at)
            if count == _END_OF_COPY:
                break
            at += 2
            for _ in range(count):
                (length,) = read_length(stream, at)
                at += 4 + length if length > 0 else 4
            starts.append(at)
    except struct.error:
        pass  # the last row is not complete
    if starts[-1] > len(stream):
        starts.pop()
    versioned = {
        place: column.type.name == "jsonb" for place, column in enumerate(table.columns) if is_document(column.type)
    }
    rows = [cast(bytes, stream[start:end]) for start, end in pairwise(starts)]  # any buffer does
    return (_canonical_rows(rows, versioned) if versioned else rows), starts


def _canonical_rows(rows: list[bytes], versioned: dict[int, bool]) -> list[bytes]:
    """Rows as the server sends them, their documents made canonical (True: jsonb, with its version byte)."""
    split = [split_row(row) for row in rows]
    for place, skip in versioned.items():
        texts = [row[place] for row in split]
        found = [text[int(skip) :] for text in texts if text is not None]
        is_large = any(len(text) > LARGE_DOCUMENT_BYTES for text in found)
        documents = map(_target_document, found) if is_large else iter(_target_documents(found))
        for row, text in zip(split, texts, strict=True):
            row[place] = None if text is None else next(documents)
    return list(map(join_row, split))


def split_row(row: bytes) -> list[bytes | None]:
    """The payloads of one row; None for NULL, and for what has no equivalent."""
    payloads: list[bytes | None] = []
    read_length = _LENGTH.unpack_from
    (count,), at = _COUNT.unpack_from(row), 2
    for _ in range(count):
        (length,) = read_length(row, at)
        at += 4
        if length < 0:
            payloads.append(None)
        else:
            payloads.append(row[at : at + length])
            at += length
    return payloads


def join_row(payloads: Sequence[bytes | None]) -> bytes:
    """A canonical row of its payloads."""
    parts = [_COUNT.pack(len(payloads))]
    for payload in payloads:
        parts.append(_LENGTH.pack(-1 if payload is None else len(payload)))
        parts.append(payload or b"")
    return b"".join(parts)


def _target_document(text: bytes) -> bytes:
    """One document without a copy of it, where it is large."""
    document = canonical_large_document(text) if len(text) > LARGE_DOCUMENT_BYTES else canonical_document(bytes(text))
    return text if document is None else cast(bytes, document)  # any buffer does


def _target_documents(texts: list[bytes]) -> list[bytes]:
    listed: list[bytes] = (
        canonical_or_text(pa.array(map(bytes, texts), pa.binary())).to_numpy(zero_copy_only=False).tolist()
    )
    return listed


def canonical_or_text(texts: pa.Array) -> pa.Array:
    """Canonical documents; what is none (json may hold it) stays as it is."""
    return pc.coalesce(canonical_documents(texts), texts)
