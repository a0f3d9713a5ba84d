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

from etl.verify.rows import Documents, ExpectedRows, canonical_or_text, row_bytes
from etl.verify.values.expected import NO_EQUIVALENT, NULL_LENGTH
from etl.verify.values.fixed_rules import widths_of

LENGTH = struct.Struct(">i")


def match_documents(stream: bytes, expected: ExpectedRows, versioned: Sequence[bool]) -> int | None:
    """Where the expected rows end in the stream, or None when it does not begin with them.

    ``versioned`` tells for each column of documents whether it is jsonb, whose text follows a version byte. Raises
    struct.error when the stream is too short to tell.
    """
    gaps = expected.gaps
    if gaps is None or any((column.lengths == NO_EQUIVALENT).any() for column in expected.documents):
        return None
    lengths = _document_lengths(stream, gaps)
    limits = _limits(gaps, lengths, versioned)
    parts = 3 * len(versioned) + 1  # gap, head and text of a document, gap, …, gap
    row_count = int(np.searchsorted(limits[parts::parts], len(stream), side="right"))
    found = _pieces(pa.py_buffer(stream), limits[: row_count * parts + 1])
    wanted = _pieces(row_bytes(expected.rows), _canonical_limits(expected, gaps)[: row_count * parts + 1])
    for place in range(0, parts, 3):
        if not _every(found, place, parts).equals(_every(wanted, place, parts)):
            return None
    if row_count < len(expected.rows):
        if not _goes_on(stream[limits[row_count * parts] :], row_count, lengths, expected, gaps):
            return None
        raise struct.error("the stream ends within the rows")
    for place, column in enumerate(expected.documents):
        if not _same_documents(_every(found, 3 * place + 2, parts), column):
            return None
    return int(limits[-1])


def _document_lengths(stream: bytes, gaps: NDArray[np.int32]) -> NDArray[np.int64]:
    """The length words of the documents in the order of the stream, as far as it goes."""
    steps = gaps[:, :-1].copy()
    steps[1:, 0] += gaps[:-1, -1]
    lengths: list[int] = []
    add, read, at = lengths.append, LENGTH.unpack_from, 0
    try:
        for step in steps.ravel().tolist():
            at += step
            (length,) = read(stream, at)
            add(length)
            at += LENGTH.size + length if length > 0 else LENGTH.size
    except struct.error:
        pass
    return np.array(lengths, np.int64)


def _limits(gaps: NDArray[np.int32], lengths: NDArray[np.int64], versioned: Sequence[bool]) -> NDArray[np.int64]:
    """Where each gap, head and text ends, for the rows whose length words were all read; begins with 0."""
    columns = len(versioned)
    row_count = len(lengths) // columns
    written = np.maximum(lengths[: row_count * columns].reshape(row_count, columns), 0)
    widths = np.empty((row_count, 3 * columns + 1), np.int64)
    widths[:, 0::3] = gaps[:row_count]
    for place, version in enumerate(versioned):
        head = np.where(written[:, place] > 0, int(version), 0)
        widths[:, 3 * place + 1] = LENGTH.size + head
        widths[:, 3 * place + 2] = written[:, place] - head
    return np.concatenate(([0], np.cumsum(widths.ravel())))


def _canonical_limits(expected: ExpectedRows, gaps: NDArray[np.int32]) -> NDArray[np.int64]:
    """The same of the canonical rows, whose documents have no version byte."""
    lengths = np.stack([column.lengths for column in expected.documents], axis=1).astype(np.int64)
    return _limits(gaps, lengths.ravel(), [False] * len(expected.documents))


def _goes_on(
    rest: bytes, row: int, lengths: NDArray[np.int64], expected: ExpectedRows, gaps: NDArray[np.int32]
) -> bool:
    """Whether what there is of a row that is not whole is as expected, as far as it can be told."""
    wanted: bytes = expected.rows[row].as_py()
    ours = theirs = 0
    columns = len(expected.documents)
    for place in range(columns + 1):
        gap = int(gaps[row, place])
        if rest[theirs : theirs + gap] != wanted[ours : ours + gap][: len(rest) - theirs]:
            return False
        word = row * columns + place
        theirs += gap + LENGTH.size
        if place == columns or word >= len(lengths) or theirs >= len(rest):
            return True
        theirs += max(int(lengths[word]), 0)
        if theirs >= len(rest):
            return True
        ours += gap + LENGTH.size + max(int(expected.documents[place].lengths[row]), 0)
    return True


def _pieces(data: pa.Buffer, limits: NDArray[np.int64]) -> pa.Array:
    offsets = pa.py_buffer(limits.astype(np.int32))
    return pa.Array.from_buffers(pa.binary(), len(limits) - 1, [None, offsets, data])


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
