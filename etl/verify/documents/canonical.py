"""JSON documents in one canonical form, so that two spellings of one document are equal bytes.

Invariant: the canonical form is exact. Keys are sorted by their UTF-8 bytes and the last of equal keys wins; numbers
are plain decimals with neither exponent nor padding, with every digit that was written; nothing is lost to binary64.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from io import BytesIO
from itertools import pairwise

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from etl.verify.documents.document_tokens import canonical_document_by_token
from etl.verify.documents.exact_numbers import respell
from etl.verify.documents.large_documents import canonical_large_document

# What orjson would spell otherwise than the canonical form does, or could not hold: 16 digits, an exponent,
# ``1.0``, ``0.0001`` (it may write 1e-4) and ``-0``. A false alarm costs only time, but much of it: what stands in
# strings everywhere (2024-01-05, 12:00:00.000Z, \\u00e9) must raise none, so a number is looked for where one begins.
_BEGIN, _END = r"(?:^|[\[:,\s-])", r"(?:[,\]}\s]|$)"
DOUBTFUL = "|".join(
    (
        r"[0-9.]{16}",
        rf"{_BEGIN}[0-9]+(?:\.[0-9]+)?[eE][-+]?[0-9]+{_END}",
        rf"{_BEGIN}0\.000",
        rf"[0-9]\.0+{_END}",
        rf"(?:^|[\[:,\s])-0{_END}",
    )
)
_DOUBTFUL = re.compile(DOUBTFUL.encode())

_REFUSED = (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError)


LARGE_DOCUMENT_BYTES = 1 << 20
LONG_BYTES = 600  # of a document: from there on it is cheaper to look for its numbers than for each of its tokens


def is_doubtful(text: bytes) -> bool:
    """Whether a number of the document may lose something on its way through orjson."""
    return _DOUBTFUL.search(text) is not None


def canonical_document(text: bytes) -> bytes | None:
    """The canonical bytes of one JSON text, or None when it is no document that JSON (RFC 8259) allows."""
    if len(text) > LARGE_DOCUMENT_BYTES:
        large = canonical_large_document(text)
        return None if large is None else bytes(large)
    if not is_doubtful(text):
        try:
            return _respell(text)
        except _REFUSED:
            pass  # too deep for orjson, or no JSON: the slow path knows
    return _canonical_exactly(text)


def _canonical_exactly(text: bytes) -> bytes | None:
    if len(text) < LONG_BYTES:
        return canonical_document_by_token(text)
    try:
        return respell(text)
    except (ValueError, ArithmeticError):
        return None


def canonical_documents(texts: pa.Array) -> pa.Array:
    """`canonical_document` of every cell of a binary array without nulls; null where there is none."""
    edges = np.frombuffer(texts.buffers()[1] or bytes(4), np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if np.diff(edges).max(initial=0) > LARGE_DOCUMENT_BYTES:
        return _respell_one_by_one(memoryview(texts.buffers()[2]), edges.tolist())
    doubtful = pc.match_substring_regex(texts, DOUBTFUL)
    listed = texts.to_numpy(zero_copy_only=False).tolist()
    if not pc.any(doubtful).as_py():
        with suppress(*_REFUSED):
            return _respell_all(listed)
    joined, ends, none = bytearray(), [0], []
    for text, doubt in zip(listed, doubtful.to_numpy(zero_copy_only=False).tolist(), strict=True):
        try:
            document = None if doubt else _respell(text)
        except _REFUSED:
            document = None
        if document is None and (document := _canonical_exactly(text)) is None:
            none.append(len(ends) - 1)
        joined += document or b""
        ends.append(len(joined))
    return _array(bytes(joined), ends, none)


def _respell_all(texts: list[bytes]) -> pa.Array:
    """Documents that orjson respells exactly, in one loop without a line of Python for any of them.

    Written away at once: kept one by one, orjson's results cost six times the work (each is the trimmed rest of a
    kilobyte). A document holds no line feed, so one behind each tells where it ends.
    """
    lines = BytesIO()
    lines.writelines(map(_respelled_line, map(orjson.loads, texts)))
    data = np.frombuffer(lines.getbuffer(), np.uint8)
    feeds = data == ord("\n")
    ends = np.flatnonzero(feeds) - np.arange(len(texts))
    offsets = pa.py_buffer(np.concatenate(([0], ends)).astype(np.int32))
    return pa.Array.from_buffers(pa.binary(), len(texts), [None, offsets, pa.py_buffer(data[~feeds])])


def _array(joined: bytes | bytearray, ends: list[int], none: list[int]) -> pa.Array:
    valid = np.ones(len(ends) - 1, np.bool_)
    valid[none] = False
    mask = pa.py_buffer(np.packbits(valid, bitorder="little")) if none else None
    offsets = pa.py_buffer(np.array(ends, np.int32))
    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, [mask, offsets, pa.py_buffer(joined)])


def _respell_one_by_one(data: memoryview, edges: list[int]) -> pa.Array:
    """The documents between these edges, without a copy of a large one."""
    joined, ends, none = bytearray(), [0], []
    for start, end in pairwise(edges):
        text = data[start:end]
        document = (
            canonical_large_document(text) if len(text) > LARGE_DOCUMENT_BYTES else canonical_document(bytes(text))
        )
        if document is None:
            none.append(len(ends) - 1)
        elif not joined and isinstance(document, bytearray):
            joined = document
        else:
            joined += document
        del document
        ends.append(len(joined))
    return _array(joined, ends, none)


_respelled_line = partial(orjson.dumps, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def _respell(text: bytes) -> bytes:
    return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)
