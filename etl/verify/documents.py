"""JSON documents in one canonical form, so that two spellings of one document are equal bytes.

Invariant: the canonical form is exact. Keys are sorted by their UTF-8 bytes and the last of equal keys wins; numbers
are plain decimals with neither exponent nor padding, with every digit that was written; nothing is lost to binary64.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from io import BytesIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

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

_TOKEN = re.compile(
    rb"[ \t\n\r]*(?:(?P<mark>[{}\[\],:])|(?P<string>\"(?:[^\"\\\x00-\x1f]|\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4}))*+\")"
    rb"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)|(?P<word>true|false|null))"
)
_BLANK = re.compile(rb"[ \t\n\r]*")
MAX_EXPONENT = 200_000  # PostgreSQL's numeric ends at 131,072 digits before the point and 16,383 after it


def is_doubtful(text: bytes) -> bool:
    """Whether a number of the document may lose something on its way through orjson."""
    return _DOUBTFUL.search(text) is not None


def canonical_document(text: bytes) -> bytes | None:
    """The canonical bytes of one JSON text, or None when it is no document that JSON (RFC 8259) allows."""
    if not is_doubtful(text):
        try:
            return _respell(text)
        except _REFUSED:
            pass  # too deep for orjson, or no JSON: the slow path knows
    return canonical_document_by_token(text)


def canonical_documents(texts: pa.Array) -> pa.Array:
    """`canonical_document` of every cell of a binary array without nulls; null where there is none."""
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
        if document is None and (document := canonical_document_by_token(text)) is None:
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


def _array(joined: bytes, ends: list[int], none: list[int]) -> pa.Array:
    valid = np.ones(len(ends) - 1, np.bool_)
    valid[none] = False
    mask = pa.py_buffer(np.packbits(valid, bitorder="little")) if none else None
    offsets = pa.py_buffer(np.array(ends, np.int32))
    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, [mask, offsets, pa.py_buffer(joined)])


_respelled_line = partial(orjson.dumps, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def _respell(text: bytes) -> bytes:
    return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)


def canonical_document_by_token(text: bytes) -> bytes | None:
    """The slow, exact path: tokens and a stack of our own, so that depth does not matter."""
    return _spelled_by_token(text, _CANONICAL)


def jsonb_document_by_token(text: bytes) -> bytes | None:
    """One document as jsonb_out prints it, every digit included; None when it is none."""
    return _spelled_by_token(text, _JSONB)


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How the tokens of a document are put together again."""

    comma: bytes
    colon: bytes
    order: Callable[[bytes], tuple[int, bytes]]  # of the keys of an object
    pads: bool  # whether zeros at the end of a number stay


_CANONICAL = _Spelling(b",", b":", lambda key: (0, key), pads=False)
_JSONB = _Spelling(b", ", b": ", lambda key: (len(key), key), pads=True)


def _spelled_by_token(text: bytes, spelling: _Spelling) -> bytes | None:
    try:
        text.decode()
        return _parse(text, spelling)
    except (ValueError, ArithmeticError):
        return None


class _Open:
    """An object or an array that is not closed yet."""

    __slots__ = ("items", "key", "members", "spelling", "state")

    def __init__(self, mark: bytes, spelling: _Spelling) -> None:
        self.spelling = spelling
        self.members: dict[bytes, bytes] | None = {} if mark == b"{" else None
        self.items: list[bytes] = []
        self.key: bytes | None = None
        self.state = "first"  # first, then after a value, then after a comma

    def add(self, value: bytes) -> None:
        if self.members is None:
            self.items.append(value)
        elif self.key is None:
            raise ValueError("a value without its key")
        else:
            self.members[self.key] = value
            self.key = None
        self.state = "value"

    def close(self) -> bytes:
        comma, colon = self.spelling.comma, self.spelling.colon
        if self.members is None:
            return b"[" + comma.join(self.items) + b"]"
        parts = (_quote(key) + colon + self.members[key] for key in sorted(self.members, key=self.spelling.order))
        return b"{" + comma.join(parts) + b"}"


def _parse(text: bytes, spelling: _Spelling) -> bytes:
    stack: list[_Open] = []
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError("no token")
        at = match.end()
        value = _step(stack, match, spelling)
        if value is None:
            continue
        if not stack:
            if _BLANK.fullmatch(text, at) is None:
                raise ValueError("text after the document")
            return value
        stack[-1].add(value)


def _step(stack: list[_Open], match: re.Match[bytes], spelling: _Spelling) -> bytes | None:
    """Take one token; the canonical bytes of the value that it completes, if it completes one."""
    mark = match["mark"]
    top = stack[-1] if stack else None
    if mark in (b"}", b"]"):
        if top is None or (top.members is None) != (mark == b"]") or top.state == "comma" or top.key is not None:
            raise ValueError("closed too early")
        return stack.pop().close()
    if mark == b",":
        if top is None or top.state != "value":
            raise ValueError("misplaced comma")
        top.state = "comma"
        return None
    if mark == b":":
        if top is None or top.state != "key":
            raise ValueError("misplaced colon")
        top.state = "colon"
        return None
    if top is not None and top.members is not None and top.key is None:
        if match["string"] is None or top.state == "value":
            raise ValueError("a key must be a string")
        top.key, top.state = _string(match["string"]), "key"
        return None
    if top is not None and top.state == ("key" if top.members is not None else "value"):
        raise ValueError("two values without a mark between them")
    if mark is not None:
        stack.append(_Open(mark, spelling))
        return None
    return _scalar(match, spelling)


def _scalar(match: re.Match[bytes], spelling: _Spelling) -> bytes:
    if match["string"] is not None:
        return _quote(_string(match["string"]))
    if match["number"] is not None:
        return _number(match["number"], spelling)
    return match["word"]


def _string(token: bytes) -> bytes:
    """The UTF-8 bytes that a string token stands for."""
    if b"\\" not in token:
        return token[1:-1]
    value = orjson.loads(token)  # refuses lone surrogates
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value.encode()


def _quote(value: bytes) -> bytes:
    return orjson.dumps(value.decode())


def _number(token: bytes, spelling: _Spelling) -> bytes:
    """A plain decimal: every digit that was written, no exponent, no zeros that say nothing (but where they stay)."""
    number = Decimal(token.decode())
    if not number and not spelling.pads:
        return b"0"
    if abs(number.adjusted()) > MAX_EXPONENT:
        raise ValueError("beyond every number that PostgreSQL holds")
    text = f"{number:f}" if number else f"{abs(number):f}"
    if spelling.pads:
        return text.encode()
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.encode()
