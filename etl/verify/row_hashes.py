"""One SHA-256 a row, the same on both sides: here of the bytes that are expected, in SQL of the bytes that are there.

Invariant: what is hashed is PostgreSQL's ``record_send`` of the row: the number of columns, then for each the number
of its type, its length (-1: NULL) and its payload. Two rows that differ in one bit, one NULL or one length hash apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.model import TablePlan
from etl.verify.cells import Cells, SourceRows
from etl.verify.documents.canonical import LARGE_DOCUMENT_BYTES
from etl.verify.documents.document_tokens import jsonb_document_by_token
from etl.verify.documents.respelling import VERSION, jsonb_document
from etl.verify.readings import quoted
from etl.verify.row_join import RowJoin
from etl.verify.rows import row_list, row_views
from etl.verify.values.expected import DocumentField, Field, VaryingField, expected_field
from etl.verify.values.fixed_rules import widths_of

Halves = NDArray[np.uint64]  # one row a row: the first and the second 8 bytes of its hash
HALF = np.dtype(">u8")
WORD = np.uint64(0xFFFFFFFF)


def hash_rows(source: SourceRows, table: TablePlan, type_numbers: Sequence[int]) -> Halves:
    """The halves of each row's hash, as the target must have them."""
    digests = b"".join([hashlib.sha256(row).digest() for row in row_views(_records(source, table, type_numbers))])
    return np.frombuffer(digests, HALF).reshape(-1, 4)[:, :2].astype(np.uint64)


def hashed_sql(table: TablePlan, query: str) -> str:
    """A SELECT of the two halves, as bigint ``first`` and ``second``, of each row of ``query``."""
    # offset 0 keeps the server from computing a hash once for every use of it
    return (
        "select ('x' || encode(substr(hash, 1, 8), 'hex'))::bit(64)::bigint as first,"
        " ('x' || encode(substr(hash, 9, 8), 'hex'))::bit(64)::bigint as second"
        f" from (select {_hash_sql(table)} as hash from ({query}) as asked offset 0) as hashed offset 0"
    )


def part_sql(table: TablePlan, parts: int) -> str:
    """The part of a row, as an expression over the columns of the table."""
    return f"('x' || encode(substr({_hash_sql(table)}, 9, 8), 'hex'))::bit(64)::bigint & {parts - 1}"


def parts_of(halves: Halves, parts: int) -> NDArray[np.int64]:
    """The part of each row: some bits of its hash, so that neither order nor pages have a say in it."""
    return (halves[:, 1] & np.uint64(parts - 1)).astype(np.int64)


class PartSums:
    """Of each part how many rows it has, and the sums of both halves of their hashes modulo 2^64."""

    def __init__(self, parts: int) -> None:
        self.rows = np.zeros(parts, np.int64)
        self.halves = np.zeros((parts, 2), np.uint64)

    def add(self, halves: Halves) -> None:
        """Rows of this side."""
        parts = len(self.rows)
        places = parts_of(halves, parts)
        self.rows += np.bincount(places, minlength=parts)
        for half in (0, 1):
            # in two words: a sum of fewer than 2^21 numbers below 2^32 is exact in a double
            low = np.bincount(places, (halves[:, half] & WORD).astype(np.float64), parts)
            high = np.bincount(places, (halves[:, half] >> np.uint64(32)).astype(np.float64), parts)
            self.halves[:, half] += low.astype(np.uint64) + (high.astype(np.uint64) << np.uint64(32))

    def set(self, part: int, rows: int, first: int, second: int) -> None:
        """What the server says of a part; its sums are of signed numbers."""
        self.rows[part] = rows
        self.halves[part] = (first % 2**64, second % 2**64)

    def unequal(self, other: PartSums) -> list[int]:
        """The parts in which the two sides differ."""
        same = (self.rows == other.rows) & (self.halves == other.halves).all(axis=1)
        return np.flatnonzero(~same).tolist()


def type_numbers_of(table: TablePlan, found: Mapping[str, int]) -> list[int]:
    """The number of each column's type, as the server's records have it."""
    return [found[column.name] for column in table.columns]


def _hash_sql(table: TablePlan) -> str:
    columns = ", ".join(quoted(column.name) for column in table.columns)
    return f"sha256(record_send(row({columns})))"


def _records(source: SourceRows, table: TablePlan, type_numbers: Sequence[int]) -> pa.Array:
    joined = RowJoin(source.row_count)
    joined.add_number(">i4", len(table.columns))
    for cells, column, number in zip(source.columns, table.columns, type_numbers, strict=True):
        joined.add_number(">u4", number)
        field = expected_field(cells, column.type, column.reading)
        is_jsonb = column.type.name == "jsonb"
        joined.add_field(_as_sent(field, cells, is_jsonb) if isinstance(field, DocumentField) else field)
    return joined.rows()


def _as_sent(field: DocumentField, cells: Cells, is_jsonb: bool) -> Field:
    """Documents as the server is likely to spell them; a wrong forecast is settled by reading the rows."""
    if field.sent is not None:
        return field.sent
    texts = cells.texts()
    documents = field.payloads if texts is None else pc.coalesce(texts, field.payloads) if texts.null_count else texts
    if (field.lengths < 0).any():
        documents = pc.if_else(pa.array(field.lengths >= 0), documents, pa.scalar(b"", pa.binary()))
    if is_jsonb:
        documents = pa.array([_as_jsonb(text) for text in row_list(documents)], pa.binary())
    return VaryingField(documents, np.where(field.lengths < 0, field.lengths, widths_of(documents)).astype(np.int32))


def _as_jsonb(text: bytes) -> bytes:
    if not text:
        return text
    if len(text) > LARGE_DOCUMENT_BYTES:  # its tree would be ten times as large: let it be in jsonb's spelling already
        return VERSION + text
    document = jsonb_document(text)
    return VERSION + (jsonb_document_by_token(text) or b"") if document is None else document
