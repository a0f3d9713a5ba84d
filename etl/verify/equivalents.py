"""The specification of equivalence, one value at a time: what a PostgreSQL type must hold for a SQLite value.

Invariant: written from the table of coercions and from nothing that loads; None means that the type has no value
that says the same, so whatever the target holds there is a difference.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction

from etl.model import PgType, StorageClass
from etl.verify.documents import canonical_document
from etl.verify.wire import (
    DOCUMENT_TYPES,
    MICROS_PER_DAY,
    TEXT_TYPES,
    days_in_month,
    days_since_2000,
    pack_numeric,
)

Stored = int | float | bytes
"""A value as stored: INTEGER, REAL, or the bytes of a TEXT or a BLOB."""

TIMESTAMP = re.compile(
    rb"([0-9]{4,6})-([0-9]{2})-([0-9]{2})"
    rb"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    rb"( ?(?:Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?))?)?"
)
TIME = re.compile(rb"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?")
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

# Disjoint windows of magnitude, and microseconds per unit; a number outside them all says no instant.
EPOCH_WINDOWS = (
    (10**8, 7_260_000_000, Fraction(10**6)),
    (10**11, 7_260_000_000_000, Fraction(10**3)),
    (10**14, 7_260_000_000_000_000, Fraction(1)),
    (10**18, 7_260_000_000_000_000_000, Fraction(1, 1000)),
)
JULIAN_WINDOW = (2_400_000, 2_600_000)
MICROS_1970_TO_2000 = 10_957 * MICROS_PER_DAY
# 4713-11-24 BC (julian day 0) and the first instant of 294277 AD, in microseconds since 2000
FIRST_TIMESTAMP, END_OF_TIMESTAMPS = -211_813_488_000_000_000, 9_223_371_331_200_000_000


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


def shortest_decimal(value: int | float) -> Decimal:
    """The shortest decimal that reads back as the same number: 1.5, not 1.50; 5, not 5.0."""
    number = Decimal(value) if isinstance(value, int) else Decimal(repr(value))
    if number.is_infinite() or number == 0:
        return number if number else Decimal(0)
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        return number
    kept = len(digits)
    while exponent < 0 and kept > 1 and digits[kept - 1] == 0:
        kept, exponent = kept - 1, exponent + 1
    return Decimal((sign, digits[:kept], exponent))


def _as_boolean(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    if isinstance(value, bytes):
        return BOOLEANS.get(value.lower()) if storage is StorageClass.TEXT else None
    return {0: b"\x00", 1: b"\x01"}.get(int(value)) if value in (0, 1) else None


def _as_date(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    micros: int | None
    if isinstance(value, bytes):
        micros = _written_instant(value) if storage is StorageClass.TEXT else None
    else:
        micros = _epoch_instant(value)
    if micros is None or micros % MICROS_PER_DAY:
        return None
    return struct.pack(">i", micros // MICROS_PER_DAY)


def _as_timestamp(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    if not isinstance(value, bytes):
        micros = _epoch_instant(value)
        if micros is not None and kind.name == "timestamp" and setting.zone is not UTC:
            micros = _to_zone(micros, setting.zone)
    elif storage is not StorageClass.TEXT:
        return None
    else:
        micros = _zoned_instant(value, kind, setting)
    if micros is None or not FIRST_TIMESTAMP <= micros < END_OF_TIMESTAMPS:
        return None
    return struct.pack(">q", micros)


def _zoned_instant(value: bytes, kind: PgType, setting: Setting) -> int | None:
    """Microseconds of a text in a timestamp (the zone's wall clock) or a timestamptz (UTC)."""
    written = _written_instant(value)
    match = TIMESTAMP.fullmatch(value)
    if written is None or match is None:
        return None
    suffix = match[8]
    if suffix is None:
        return written if kind.name == "timestamp" else _from_zone(written, setting.zone)
    offset = _offset_micros(suffix.strip())
    if offset is None:
        return None
    utc = written - offset
    return utc if kind.name == "timestamptz" else _to_zone(utc, setting.zone)


def _written_instant(value: bytes) -> int | None:
    """Microseconds since 2000 of the date and wall clock as written, whatever offset follows."""
    match = TIMESTAMP.fullmatch(value)
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    if year == 0 or not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):
        return None
    clock = _clock_micros(match[4], match[5], match[6], match[7]) if match[4] else 0
    return None if clock is None else days_since_2000(year, month, day) * MICROS_PER_DAY + clock


def _clock_micros(hour: bytes, minute: bytes, second: bytes | None, fraction: bytes | None) -> int | None:
    """Microseconds since midnight; exactly 24:00:00 is the next midnight; 60 seconds are none."""
    h, m, s = int(hour), int(minute), int(second or 0)
    micros = round(Fraction(int(fraction or 0) * 10**6, 10 ** len(fraction or b"")))  # half to even
    if h > 24 or m > 59 or s > 59 or (h == 24 and (m or s or int(fraction or 0))):
        return None
    return ((h * 60 + m) * 60 + s) * 1_000_000 + micros


def _offset_micros(suffix: bytes) -> int | None:
    if suffix in (b"Z", b"UTC"):
        return 0
    digits = suffix[1:].replace(b":", b"")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 15 or minutes > 59:
        return None
    micros = (hours * 60 + minutes) * 60_000_000
    return -micros if suffix.startswith(b"-") else micros


def _from_zone(micros: int, zone: tzinfo) -> int | None:
    """UTC of a wall clock; None where the clock shows that time twice or never."""
    if zone is UTC:
        return micros
    wall = _datetime(micros)
    if wall is None:
        return None
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    if first != second or first is None:
        return None
    return micros - _duration_micros(first)


def _to_zone(micros: int, zone: tzinfo) -> int | None:
    if zone is UTC:
        return micros
    moment = _datetime(micros)
    offset = None if moment is None else moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    return None if offset is None else micros + _duration_micros(offset)


def _datetime(micros: int) -> datetime | None:
    try:
        return datetime(2000, 1, 1) + timedelta(microseconds=micros)
    except OverflowError:
        return None


def _duration_micros(duration: timedelta) -> int:
    return (duration.days * 86_400 + duration.seconds) * 1_000_000 + duration.microseconds


def _epoch_instant(value: int | float) -> int | None:
    """Microseconds since 2000 of a number, by the window that its magnitude lies in."""
    number = Fraction(shortest_decimal(value)) if abs(value) != float("inf") else Fraction(0)
    if value == 0:
        return -MICROS_1970_TO_2000
    if JULIAN_WINDOW[0] <= number < JULIAN_WINDOW[1]:
        return round((number - Fraction(4_881_175, 2)) * MICROS_PER_DAY) - MICROS_1970_TO_2000
    for low, high, unit in EPOCH_WINDOWS:
        if low <= number <= high:
            return round(number * unit) - MICROS_1970_TO_2000
    return None


def _as_time(storage: StorageClass, value: Stored, kind: PgType, setting: Setting) -> bytes | None:
    match = TIME.fullmatch(value) if isinstance(value, bytes) and storage is StorageClass.TEXT else None
    if match is None:
        return None
    micros = _clock_micros(match[1], match[2], match[3], match[4])
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
