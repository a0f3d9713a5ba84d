"""SQLite's binary JSON as JSON text, read from its bytes (sqlite.org/jsonb.html), not by SQLite.

Invariant: an element is one byte of type and size, perhaps more bytes of size, and its payload; every size adds up, or
the blob is no document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

import orjson


class Kind(IntEnum):
    """The type of an element, the lower half of its first byte; ``…_5`` are spellings of JSON5."""

    NULL = 0
    TRUE = 1
    FALSE = 2
    INTEGER = 3
    INTEGER_5 = 4
    FLOAT = 5
    FLOAT_5 = 6
    TEXT = 7
    TEXT_JSON = 8
    TEXT_5 = 9
    TEXT_RAW = 10
    ARRAY = 11
    OBJECT = 12


WORDS = {Kind.NULL: b"null", Kind.TRUE: b"true", Kind.FALSE: b"false"}
TEXTS = frozenset({Kind.TEXT, Kind.TEXT_JSON, Kind.TEXT_5, Kind.TEXT_RAW})
SIZE_BYTES = {12: 1, 13: 2, 14: 4, 15: 8}

HEXADECIMAL = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]+)")
FLOATING = re.compile(rb"([+-]?)([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]+)?")
ESCAPE_5 = re.compile(rb"\\(\r\n|\xe2\x80[\xa8\xa9]|x[0-9a-fA-F]{2}|.)|([\"\x00-\x1f])", re.DOTALL)
BEYOND_64_BITS = b"9.0e999"  # what SQLite makes of a longer hexadecimal number


@dataclass(slots=True)
class _Open:
    """An array or an object that is being read."""

    end: int
    is_object: bool
    count: int = 0


def document_text(blob: bytes) -> bytes | None:
    """The JSON text that says what the blob says; None when it is no binary JSON."""
    try:
        return b"".join(_pieces(blob))
    except (ValueError, IndexError):
        return None


def _pieces(blob: bytes) -> list[bytes]:
    pieces: list[bytes] = []
    opened: list[_Open] = []
    at = 0
    while True:
        while opened and at == opened[-1].end:
            pieces.append(_closing(opened.pop()))
        if pieces and not opened:
            if at != len(blob):
                raise ValueError("bytes behind the document")
            return pieces
        kind, start, end = _header(blob, at)
        if end > (opened[-1].end if opened else len(blob)):
            raise ValueError("an element larger than what holds it")
        if opened:
            pieces.append(_mark(opened[-1], kind))
        if kind in (Kind.ARRAY, Kind.OBJECT):
            opened.append(_Open(end, kind == Kind.OBJECT))
            pieces.append(b"{" if kind == Kind.OBJECT else b"[")
            at = start
        else:
            pieces.append(_scalar(kind, blob[start:end]))
            at = end


def _header(blob: bytes, at: int) -> tuple[Kind, int, int]:
    """Type, begin and end of the payload."""
    kind, size = Kind(blob[at] & 0x0F), blob[at] >> 4
    start = at + 1
    if size in SIZE_BYTES:
        start += SIZE_BYTES[size]
        size = int.from_bytes(blob[at + 1 : start], "big")
    return kind, start, start + size


def _mark(inside: _Open, kind: Kind) -> bytes:
    """What stands before the next element."""
    place = inside.count
    inside.count += 1
    if inside.is_object and place % 2 == 0 and kind not in TEXTS:
        raise ValueError("a key that is no text")
    if place == 0:
        return b""
    return b":" if inside.is_object and place % 2 else b","


def _closing(inside: _Open) -> bytes:
    if inside.is_object and inside.count % 2:
        raise ValueError("a key without a value")
    return b"}" if inside.is_object else b"]"


def _scalar(kind: Kind, payload: bytes) -> bytes:
    if kind in WORDS and not payload:
        return WORDS[kind]
    match kind:
        case Kind.INTEGER | Kind.FLOAT if payload:
            return payload
        case Kind.INTEGER_5:
            return _hexadecimal(payload)
        case Kind.FLOAT_5:
            return _floating(payload)
        case Kind.TEXT | Kind.TEXT_JSON:
            return b'"' + payload + b'"'
        case Kind.TEXT_5:
            return b'"' + ESCAPE_5.sub(_json_escape, payload) + b'"'
        case Kind.TEXT_RAW:
            return orjson.dumps(payload.decode())
    raise ValueError("no element of JSON")


def _hexadecimal(payload: bytes) -> bytes:
    match = HEXADECIMAL.fullmatch(payload)
    if match is None:
        raise ValueError("no hexadecimal number")
    number = int(match[2], 16)
    return match[1].replace(b"+", b"") + (b"%d" % number if number < 2**64 else BEYOND_64_BITS)


def _floating(payload: bytes) -> bytes:
    """A number of JSON5: with a digit on both sides of its point, and without a plus."""
    match = FLOATING.fullmatch(payload)
    if match is None or not (match[2] or match[3]):
        raise ValueError("no number")
    fraction = b"" if match[3] is None else b"." + (match[3] or b"0")
    return match[1].replace(b"+", b"") + (match[2] or b"0") + fraction + (match[4] or b"")


def _json_escape(match: re.Match[bytes]) -> bytes:
    """An escape of JSON5 as one of JSON."""
    escape, bare = match[1], match[2]
    if escape is None:
        return b'\\"' if bare == b'"' else b"\\u%04x" % bare[0]
    if escape[:1] == b"x":
        return b"\\u00" + escape[1:]
    if escape in (b"\n", b"\r", b"\r\n", b"\xe2\x80\xa8", b"\xe2\x80\xa9"):  # a line that goes on
        return b""
    return {b"'": b"'", b"v": b"\\u000b", b"0": b"\\u0000"}.get(escape, b"\\" + escape)
