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
    limits, whole = _cut(stream, expected, versioned)
    parts = 3 * len(expected.documents) + 1  # segment, head and text of a document, segment, …, segment
    row_count = (len(limits) - 1) // parts
    pieces = _pieces(stream, limits[: row_count * parts + 1])
    for place, segment in enumerate(expected.segments):
        if not _every(pieces, 3 * place, parts).equals(segment.slice(0, row_count)):
            return None
    if not whole:
        if not _goes_on(stream, limits, parts, expected):
            return None
        raise struct.error("the stream ends within the rows")
    for place, column in enumerate(expected.documents):
        if not _same_documents(_every(pieces, 3 * place + 2, parts), column):
            return None
    return limits[-1]


def _cut(stream: bytes, expected: ExpectedRows, versioned: Sequence[bool]) -> tuple[list[int], bool]:
    """The limits of segments, heads and texts in the stream, and whether it holds all of them."""
    limits, at = [0], 0
    add, read = limits.append, LENGTH.unpack_from
    widths = [widths_of(segment).tolist() for segment in expected.segments]
    heads = [LENGTH.size + int(version) for version in versioned]
    try:
        for *before, last in zip(*widths, strict=True):
            for width, head in zip(before, heads, strict=True):
                at += width
                add(at)
                (length,) = read(stream, at)
                if length > 0:
                    add(at + head)
                    at += LENGTH.size + length
                else:
                    at += LENGTH.size
                    add(at)
                add(at)
            at += last
            add(at)
    except struct.error:
        pass
    while limits[-1] > len(stream):
        limits.pop()
    return limits, len(limits) == len(expected.rows) * (3 * len(versioned) + 1) + 1


def _goes_on(stream: bytes, limits: list[int], parts: int, expected: ExpectedRows) -> bool:
    """Whether what there is of the first row that is not whole is as expected, as far as it can be told."""
    row, cut = divmod(len(limits) - 1, parts)
    start = limits[row * parts]
    for place in range(len(expected.segments)):
        segment: bytes = expected.segments[place][row].as_py()
        if stream[start : start + len(segment)] != segment[: len(stream) - start]:
            return False
        if 3 * place + 3 > cut:
            return True
        start = limits[row * parts + 3 * place + 3]
    return True


def _pieces(stream: bytes, limits: list[int]) -> pa.Array:
    offsets = pa.py_buffer(np.array(limits, np.int32))
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
