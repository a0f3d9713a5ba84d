"""Respells a stretch of JSON by orjson, and the numbers in it that orjson would spell otherwise by the exact rule.

Such a number goes through orjson as a string with a mark before it, which is random, so that no document holds it.

Invariant: `respell` gives what `documents.canonical_document_by_token` gives.
"""

from __future__ import annotations

import re
import secrets

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from etl.verify.documents.document_marks import Data, Places, quotes_of
from etl.verify.documents.document_tokens import CANONICAL, canonical_document_by_token, spelled_number

MARK = secrets.token_hex(8).encode()
_MARKED = re.compile(b'"' + MARK + b'([^"]*)"')
# as in `documents.DOUBTFUL`, which has to look for numbers too
_ODD = r"[0-9.]{16}|[eE]|^-?0\.000|\.0+$|^-0$"
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_IS_KEY = re.compile(rb"[ \t\n\r]*:")
LONG_BYTES = 1 << 21
_IN_NUMBER = np.zeros(256, np.bool_)
_IN_NUMBER[list(b"0123456789-+.eE")] = True
_BEGINS_NUMBER = np.zeros(256, np.bool_)
_BEGINS_NUMBER[list(b"0123456789-")] = True


_REFUSED = (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError)


def respell(text: bytes) -> bytes:
    """The canonical form of a document; raises ValueError where it is none."""
    marked = _with_marked_numbers(text)
    try:
        respelled = orjson.dumps(orjson.loads(marked), option=orjson.OPT_SORT_KEYS)
    except _REFUSED as error:  # too deep for orjson, or no JSON
        document = canonical_document_by_token(text)
        if document is None:
            raise ValueError("no document") from error
        return document
    return respelled if marked is text else _MARKED.sub(rb"\1", respelled)


def _with_marked_numbers(text: bytes) -> bytes:
    pieces, done = [], 0
    for start, end in _odd_numbers(np.frombuffer(text, np.uint8)):
        token = text[start:end]
        if _NUMBER.fullmatch(token) is None or _IS_KEY.match(text, end):
            raise ValueError("no number, or one where a key must be")
        pieces += [text[done:start], b'"', MARK, spelled_number(token, CANONICAL), b'"']
        done = end
    return b"".join([*pieces, text[done:]]) if pieces else text


def _odd_numbers(data: Data) -> list[tuple[int, int]]:
    """Where the numbers begin and end that orjson would not spell as the canonical form has them."""
    quotes = quotes_of(data)
    if len(data) < LONG_BYTES:
        return _odd_outside(data, quotes)
    edges = [0, *(quotes + np.arange(len(quotes)) % 2).tolist(), len(data)]  # a string of megabytes costs a view here
    return [
        (begin + start, begin + end)
        for begin, stop in zip(edges[::2], edges[1::2], strict=False)
        for start, end in _odd_outside(data[begin:stop], quotes[:0])
    ]


def _odd_outside(data: Data, quotes: Places) -> list[tuple[int, int]]:
    within = np.zeros(len(data) + 2, np.int8)
    within[1:-1] = _IN_NUMBER[data]
    edges = np.diff(within)
    starts, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    are_numbers = _BEGINS_NUMBER[data[starts]]
    starts, ends = starts[are_numbers], ends[are_numbers]
    are_outside = np.searchsorted(quotes, starts) % 2 == 0
    starts, ends = starts[are_outside], ends[are_outside]
    if not len(starts):
        return []
    limits = pa.py_buffer(np.stack((starts, ends), axis=1).astype(np.int32))
    pieces = pa.Array.from_buffers(pa.binary(), 2 * len(starts) - 1, [None, limits, pa.py_buffer(data)])
    numbers = pieces.take(pa.array(np.arange(0, 2 * len(starts), 2)))
    odd = np.flatnonzero(pc.match_substring_regex(numbers, _ODD).to_numpy(zero_copy_only=False))
    return list(zip(starts[odd].tolist(), ends[odd].tolist(), strict=True))
