"""Values made of values: arrays, which SQLite holds as JSON arrays, and ranges.

Invariant: each element and each bound is what its own type must hold for it; one without equivalent leaves the whole
without one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal

import orjson

from etl.model import PgType, Reading, StorageClass
from etl.verify.documents.document_arrays import spelled_items
from etl.verify.values.kinds import ELEMENT_NUMBERS, element_of, sent_as
from etl.verify.values.null_cells import reads_as_null
from etl.verify.values.wire import DOCUMENT_TYPES, TEXT_TYPES, unpack_numeric

Stored = int | float | bytes
PayloadOf = Callable[[StorageClass, Stored, PgType, Reading], bytes | None]

BOUNDS = {
    "int4range": PgType("integer"),
    "int8range": PgType("bigint"),
    "numrange": PgType("numeric"),
    "daterange": PgType("date"),
    "tsrange": PgType("timestamp"),
    "tstzrange": PgType("timestamptz"),
}
STEPPING = frozenset({"int4range", "int8range", "daterange"})  # kept as [lower,upper)

# rangetypes.h
EMPTY, LOWER_INCLUDED, UPPER_INCLUDED, NO_LOWER, NO_UPPER = 0x01, 0x02, 0x04, 0x08, 0x10

_BOUND = rb'(?:"([^"\\]*)"|([^"\\,()\[\]]*))'
RANGE = re.compile(rb"([\[(])%s,%s([\])])" % (_BOUND, _BOUND))
_BLANK = rb"[ \t\n\r]*"
_STRING = rb"\"(?:[^\"\\\x00-\x1f]|\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4}))*+\""
_NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
ITEM = re.compile(_BLANK + rb"(?:(%s)|(%s)|(null)|(true|false))" % (_STRING, _NUMBER) + _BLANK + rb"([,\]])")
EMPTY_ARRAY = re.compile(_BLANK + rb"\[" + _BLANK + rb"\]" + _BLANK)
OPENING = re.compile(_BLANK + rb"\[")
_NULL_LENGTH = struct.pack(">i", -1)


def array_payload(value: Stored, kind: PgType, reading: Reading, payload_of: PayloadOf) -> bytes | None:
    """Dimensions, whether there are nulls, the number of the element's type, and the elements."""
    element = element_of(kind)
    number = ELEMENT_NUMBERS["text"] if sent_as(kind) == "text[]" else ELEMENT_NUMBERS.get(element.name)
    if not isinstance(value, bytes) or number is None:
        return None
    if EMPTY_ARRAY.fullmatch(value):
        return struct.pack(">iiI", 0, 0, number)
    if element.name in DOCUMENT_TYPES:
        documents = spelled_items(value, is_jsonb=element.name == "jsonb")
        if documents is None:
            return None
        texts = [_NULL_LENGTH if text is None else _with_length(text) for text in documents]
        return _array(texts, None in documents, number)
    opening, items, has_null = OPENING.match(value), [], False
    at = opening.end() if opening else len(value)
    while (match := ITEM.match(value, at)) is not None:
        stored = _stored(match, element)
        if stored is None:
            return None
        at, null = match.end(), reads_as_null(*stored, element, reading)
        payload = None if null or stored[1] is None else payload_of(stored[0], stored[1], element, reading)
        if payload is None and not null:
            return None
        has_null |= null
        items.append(_NULL_LENGTH if payload is None else _with_length(payload))
        if match[5] == b"]":
            closed = not value[at:].strip(b" \t\n\r")
            return _array(items, has_null, number) if closed else None
    return None


def _with_length(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


def _array(items: Sequence[bytes], has_null: bool, number: int) -> bytes:
    """``items`` with their length words."""
    return struct.pack(">iiIii", 1, has_null, number, len(items), 1) + b"".join(items)


def _stored(match: re.Match[bytes], element: PgType) -> tuple[StorageClass, Stored | None] | None:
    """A scalar of JSON as SQLite would hold it; a number keeps its digits where its type can tell them apart."""
    string, number, null, word = match[1], match[2], match[3], match[4]
    if null is not None:
        return StorageClass.NULL, None
    if word is not None:
        return (StorageClass.INTEGER, int(word == b"true")) if element.name == "boolean" else None
    if string is not None:
        try:
            return StorageClass.TEXT, str(orjson.loads(string)).encode()
        except orjson.JSONDecodeError:  # a lone surrogate
            return None
    if re.fullmatch(rb"-?[0-9]{1,19}", number) and -(2**63) <= int(number) < 2**63:
        return StorageClass.INTEGER, int(number)
    if element.name in TEXT_TYPES or element.name in ("numeric", "real", "double precision"):
        return StorageClass.TEXT, number
    return StorageClass.REAL, float(number)


def range_payload(value: Stored, kind: PgType, reading: Reading, payload_of: PayloadOf) -> bytes | None:
    """Flags, and the bounds that there are; a range of whole numbers or days as its first and the end behind it."""
    if value == b"empty":
        return bytes([EMPTY])
    match = RANGE.fullmatch(value) if isinstance(value, bytes) else None
    if match is None:
        return None
    bounds: list[bytes | None] = []
    for quoted, bare in ((match[2], match[3]), (match[4], match[5])):
        text = bare if quoted is None else quoted
        if quoted is None and not bare:
            bounds.append(None)
            continue
        payload = payload_of(StorageClass.TEXT, text, BOUNDS[kind.name], reading)
        if payload is None or reads_as_null(StorageClass.TEXT, text, BOUNDS[kind.name], reading):
            return None
        bounds.append(payload)
    lower, upper = bounds
    flags = LOWER_INCLUDED * (match[1] == b"[" and lower is not None) or NO_LOWER * (lower is None)
    flags |= UPPER_INCLUDED * (match[6] == b"]" and upper is not None) or NO_UPPER * (upper is None)
    return _range(lower, upper, flags, kind.name)


def _range(lower: bytes | None, upper: bytes | None, flags: int, name: str) -> bytes | None:
    closed = flags & (LOWER_INCLUDED | UPPER_INCLUDED)
    if lower is not None and upper is not None:
        low, high = _order(lower, name), _order(upper, name)
        if low > high:
            return None
        if low == high and closed != LOWER_INCLUDED | UPPER_INCLUDED:
            return bytes([EMPTY])
    if name in STEPPING:
        try:
            if lower is not None and not closed & LOWER_INCLUDED:
                lower, flags = _next(lower), flags | LOWER_INCLUDED
            if upper is not None and closed & UPPER_INCLUDED:
                upper, flags = _next(upper), flags & ~UPPER_INCLUDED
        except OverflowError:
            return None
        if lower is not None and lower == upper:
            return bytes([EMPTY])
    told = (bound for bound in (lower, upper) if bound is not None)
    return bytes([flags]) + b"".join(struct.pack(">i", len(bound)) + bound for bound in told)


def _order(bound: bytes, name: str) -> int | Decimal:
    return Decimal(unpack_numeric(bound)) if name == "numrange" else int.from_bytes(bound, "big", signed=True)


def _next(bound: bytes) -> bytes:
    return (int.from_bytes(bound, "big", signed=True) + 1).to_bytes(len(bound), "big", signed=True)


def cut_array(payload: bytes) -> list[bytes | None]:
    """The elements of an array of at most one dimension, None for NULL."""
    dimensions, _, _ = struct.unpack_from(">iiI", payload)
    if dimensions == 0:
        return []
    (count,), at, items = struct.unpack_from(">i", payload, 12), 20, []
    for _ in range(count):
        (length,) = struct.unpack_from(">i", payload, at)
        at += 4
        items.append(None if length < 0 else payload[at : at + length])
        at += max(length, 0)
    return items


def cut_range(payload: bytes) -> tuple[str, bytes | None, bytes | None, str] | None:
    """The brackets and the bounds of a range, None for a bound that is not there; None for the empty range."""
    flags, at = payload[0], 1
    if flags & EMPTY:
        return None
    bounds: list[bytes | None] = []
    for missing in (NO_LOWER, NO_UPPER):
        if flags & missing:
            bounds.append(None)
            continue
        (length,) = struct.unpack_from(">i", payload, at)
        bounds.append(payload[at + 4 : at + 4 + length])
        at += 4 + length
    return "[" if flags & LOWER_INCLUDED else "(", bounds[0], bounds[1], "]" if flags & UPPER_INCLUDED else ")"
