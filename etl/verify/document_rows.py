"""Compares rows that hold documents: what stands around them as bytes, the documents as documents.

Invariant: a length in the stream is believed only behind bytes that are as expected, so a stream that is different is
never waited for.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.verify.expected import NO_EQUIVALENT, NULL_LENGTH
from etl.verify.fixed_rules import widths_of
from etl.verify.rows import Documents, ExpectedRows, canonical_or_text

LENGTH = struct.Struct(">i")


def match_documents(stream: bytes, expected: ExpectedRows, versioned: Sequence[bool]) -> int | None:
    """Where the expected rows end in the stream, or None when it does not begin with them.

    ``versioned`` tells for each column of documents whether it is jsonb, whose text follows a version byte. Raises
    struct.error when the stream is too short to tell.
    """
    if any((column.lengths == NO_EQUIVALENT).any() for column in expected.documents):
        return None
    widths = np.stack([widths_of(segment) for segment in expected.segments], axis=1)
    lengths = _document_lengths(stream, widths)
    limits = _limits(widths, lengths, versioned)
    parts = 3 * len(versioned) + 1  # segment, head and text of a document, segment, …, segment
    row_count = int(np.searchsorted(limits[parts::parts], len(stream), side="right"))
    pieces = _pieces(stream, limits[: row_count * parts + 1])
    for place, segment in enumerate(expected.segments):
        if not _every(pieces, 3 * place, parts).equals(segment.slice(0, row_count)):
            return None
    if row_count < len(expected.rows):
        if not _goes_on(stream, int(limits[row_count * parts]), row_count, lengths, expected):
            return None
        raise struct.error("the stream ends within the rows")
    for place, column in enumerate(expected.documents):
        if not _same_documents(_every(pieces, 3 * place + 2, parts), column):
            return None
    return int(limits[-1])


def _document_lengths(stream: bytes, widths: NDArray[np.int32]) -> NDArray[np.int64]:
    """The length words of the documents in the order of the stream, as far as it goes: segments have these widths."""
    gaps = widths[:, :-1].copy()
    gaps[1:, 0] += widths[:-1, -1]
    lengths: list[int] = []
    add, read, at = lengths.append, LENGTH.unpack_from, 0
    try:
        for gap in gaps.ravel().tolist():
            at += gap
            (length,) = read(stream, at)
            add(length)
            at += LENGTH.size + length if length > 0 else LENGTH.size
    except struct.error:
        pass
    return np.array(lengths, np.int64)


def _limits(widths: NDArray[np.int32], lengths: NDArray[np.int64], versioned: Sequence[bool]) -> NDArray[np.int64]:
    """Where each segment, head and text ends, for the rows whose length words were all read; begins with 0."""
    columns = len(versioned)
    row_count = len(lengths) // columns
    written = np.maximum(lengths[: row_count * columns].reshape(row_count, columns), 0)
    table = np.empty((row_count, 3 * columns + 1), np.int64)
    table[:, 0::3] = widths[:row_count]
    for place, version in enumerate(versioned):
        head = np.where(written[:, place] > 0, int(version), 0)
        table[:, 3 * place + 1] = LENGTH.size + head
        table[:, 3 * place + 2] = written[:, place] - head
    return np.concatenate(([0], np.cumsum(table.ravel())))


def _goes_on(stream: bytes, start: int, row: int, lengths: NDArray[np.int64], expected: ExpectedRows) -> bool:
    """Whether what there is of the first row that is not whole is as expected, as far as it can be told."""
    columns = len(expected.documents)
    for place, segments in enumerate(expected.segments):
        segment: bytes = segments[row].as_py()
        if stream[start : start + len(segment)] != segment[: max(len(stream) - start, 0)]:
            return False
        word = row * columns + place
        if place == columns or word >= len(lengths):
            return True
        start += len(segment) + LENGTH.size + max(int(lengths[word]), 0)
        if start >= len(stream):
            return True
    return True


def _pieces(stream: bytes, limits: NDArray[np.int64]) -> pa.Array:
    offsets = pa.py_buffer(limits.astype(np.int32))
    return pa.Array.from_buffers(pa.binary(), len(limits) - 1, [None, offsets, pa.py_buffer(stream)])


def _every(pieces: pa.Array, first: int, step: int) -> pa.Array:
    return pieces.take(pa.array(np.arange(first, len(pieces), step)))


def _same_documents(texts: pa.Array, expected: Documents) -> bool:
    """Whether the documents say what is expected: as the source spells them, else in canonical form."""
    nulls = widths_of(texts) == 0  # there is no empty document
    if not np.array_equal(nulls, expected.lengths == NULL_LENGTH):
        return False
    doubtful = ~nulls
    if expected.texts is not None:
        same = pc.fill_null(pc.equal(texts, expected.texts), False)
        doubtful &= ~same.to_numpy(zero_copy_only=False)
    mask = pa.array(doubtful)
    return bool(canonical_or_text(texts.filter(mask)).equals(expected.canonical.filter(mask)))
