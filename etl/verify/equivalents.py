"""The specification of equivalence, one value at a time: what a PostgreSQL type must hold for a SQLite value.

Invariant: written from the table of coercions and from nothing that loads; None means that the type has no value
that says the same, so whatever the target holds there is a difference.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from etl.model import PgType, StorageClass
from etl.verify.documents import canonical_document
from etl.verify.moments import (
    END_OF_TIMESTAMPS,
    FIRST_TIMESTAMP,
    TIME,
    TIMESTAMP,
    clock_micros,
    epoch_instant,
    from_zone,
    offset_micros,
    shortest_decimal,
    to_zone,
    written_instant,
)
from etl.verify.wire import (
    DOCUMENT_TYPES,
    MICROS_PER_DAY,
    TEXT_TYPES,
    pack_numeric,
)

Stored = int | float | bytes
"""A value as stored: INTEGER, REAL, or the bytes of a TEXT or a BLOB."""

INTEGER_TEXT = re.compile(rb"[+-]?[0-9]+")
NUMBER_TEXT = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
UUID_TEXT = re.compile(rb"(?:urn:uuid:)?(\{)?([0-9a-f]{8})(-?)((?:[0-9a-f]{4}\3){3})([0-9a-f]{12})(?(1)\})", re.I)
BOOLEANS = {
    **dict.fromkeys((b"t", b"true", b"yes", b"on", b"y", b"1"), b"\x01"),
    **dict.fromkeys((b"f", b"false", b"no", b"off", b"n", b"0"), b"\x00"),
}
SPACES = b" \t\n\r\f\v"
INTEGER_BYTES = {"smallint": 2, "integer": 4, "bigint": 8}
EXACT = 2**53  # up to here every integer is a double


@dataclass(frozen=True, slots=True)
class Setting:
    """What the plan says beside the types: the zone in which naive times are read."""

    zone: tzinfo = UTC


UTC_SETTING = Setting()


def expected_payload(
    storage: StorageClass, value: Stored, kind: PgType, setting: Setting = UTC_SETTING
) -> bytes | None:
    """The binary payload that says in ``kind`` what ``value`` says in SQLite, or None when there is none."""
    if kind.name in TEXT_TYPES:
        return _as_text(storage, value, kind)
    if kind.name in DOCUMENT_TYPES:
        return _as_document(storage, value, kind)
    return _RULES[kind.name](storage, value, kind, setting) if kind.name in _RULES else None


def _as_integer(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > EXACT:
            return None
        number = int(value)
    elif isinstance(value, bytes):
        trimmed = value.strip(SPACES)
        if storage is not StorageClass.TEXT or len(trimmed) > 40 or not INTEGER_TEXT.fullmatch(trimmed):
            return None
        number = int(trimmed)
    else:
        number = value
    width = INTEGER_BYTES[kind.name]
    bound = 1 << (8 * width - 1)
    return number.to_bytes(width, "big", signed=True) if -bound <= number < bound else None


def _as_double(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    if isinstance(value, bytes):
        trimmed = value.strip(SPACES)
        if storage is not StorageClass.TEXT or not NUMBER_TEXT.fullmatch(trimmed):
            return None
        value = float(trimmed)
    try:
        return struct.pack(">d" if kind.name == "double precision" else ">f", value)
    except OverflowError:  # beyond float4
        return None


def _as_numeric(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    if isinstance(value, bytes):
        trimmed = value.strip(SPACES)
        if storage is not StorageClass.TEXT or len(trimmed) > 2000 or not NUMBER_TEXT.fullmatch(trimmed):
            return None
        number = Decimal(trimmed.decode())
    else:
        number = shortest_decimal(value)
    if kind.precision is None:
        return pack_numeric(number)
    scale = kind.scale or 0
    if number.is_infinite() or (number and number.adjusted() >= kind.precision - scale):
        return None
    # prec: a text may have more digits than the type keeps
    with localcontext(Context(prec=4000 + kind.precision, Emax=10**6, Emin=-(10**6))):
        rounded = number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)
    if rounded and rounded.adjusted() >= kind.precision - scale:
        return None
    return pack_numeric(rounded)


def _as_boolean(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    if isinstance(value, bytes):
        return BOOLEANS.get(value.lower()) if storage is StorageClass.TEXT else None
    return {0: b"\x00", 1: b"\x01"}.get(int(value)) if value in (0, 1) else None


def _as_date(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    micros: int | None
    if isinstance(value, bytes):
        micros = written_instant(value) if storage is StorageClass.TEXT else None
    else:
        micros = epoch_instant(value)
    if micros is None or micros % MICROS_PER_DAY:
        return None
    return struct.pack(">i", micros // MICROS_PER_DAY)


def _as_timestamp(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    if not isinstance(value, bytes):
        micros = epoch_instant(value)
        if micros is not None and kind.name == "timestamp" and setting.zone is not UTC:
            micros = to_zone(micros, setting.zone)
    elif storage is not StorageClass.TEXT:
        return None
    else:
        micros = _zoned_instant(value, kind, setting)
    if micros is None or not FIRST_TIMESTAMP <= micros < END_OF_TIMESTAMPS:
        return None
    return struct.pack(">q", micros)


def _zoned_instant(value: bytes, kind: PgType, setting: Setting) -> int | None:
    """Microseconds of a text in a timestamp (the zone's wall clock) or a timestamptz (UTC)."""
    written = written_instant(value)
    match = TIMESTAMP.fullmatch(value)
    if written is None or match is None:
        return None
    suffix = match[8]
    if suffix is None:
        return written if kind.name == "timestamp" else from_zone(written, setting.zone)
    offset = offset_micros(suffix.strip())
    if offset is None:
        return None
    utc = written - offset
    return utc if kind.name == "timestamptz" else to_zone(utc, setting.zone)


def _as_time(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    match = TIME.fullmatch(value) if isinstance(value, bytes) and storage is StorageClass.TEXT else None
    if match is None:
        return None
    micros = clock_micros(match[1], match[2], match[3], match[4])
    if micros is None or (micros == MICROS_PER_DAY and match[1] != b"24"):
        return None
    return struct.pack(">q", micros)


def _as_uuid(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    if not isinstance(value, bytes):
        return None
    if storage is StorageClass.BLOB:
        return value if len(value) == 16 else None
    match = UUID_TEXT.fullmatch(value)
    return bytes.fromhex((match[2] + match[4] + match[5]).replace(b"-", b"").decode()) if match else None


def _as_bytes(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    return value if isinstance(value, bytes) else None


def _as_text(storage: StorageClass, value: Stored, kind: PgType) -> bytes | None:
    text = value if isinstance(value, bytes) else repr(value).encode()
    try:
        length = len(text.decode())
    except UnicodeDecodeError:
        return None
    if b"\x00" in text or (kind.length is not None and length > kind.length):
        return None
    return text + b" " * ((kind.length or 1) - length) if kind.name == "char" else text


def _as_document(storage: StorageClass, value: Stored, kind: PgType) -> bytes | None:
    """The canonical document: two documents are equivalent when these are equal bytes."""
    if not isinstance(value, bytes):
        return canonical_document(repr(value).encode())
    if storage is StorageClass.BLOB:
        return None
    document = canonical_document(value)
    # json keeps what is no Unicode ("\\ud800") byte for byte, so it is compared so
    return value if document is None and kind.name == "json" else document


_RULES: dict[str, Callable[[StorageClass, Stored, PgType, Setting], bytes | None]] = {
    "smallint": _as_integer,
    "integer": _as_integer,
    "bigint": _as_integer,
    "double precision": _as_double,
    "real": _as_double,
    "numeric": _as_numeric,
    "boolean": _as_boolean,
    "date": _as_date,
    "timestamp": _as_timestamp,
    "timestamptz": _as_timestamp,
    "time": _as_time,
    "uuid": _as_uuid,
    "bytea": _as_bytes,
}
