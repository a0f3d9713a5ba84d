"""The specification of equivalence, one value at a time: what a PostgreSQL type must hold for a SQLite value.

Invariant: written from the table of coercions and from nothing that loads; None means that the type has no value
that says the same, so whatever the target holds there is a difference.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction

from etl.model import BINARY_JSON, PLAIN_READING, PgType, Reading, StorageClass
from etl.verify.documents.binary_documents import document_text
from etl.verify.documents.canonical import canonical_document
from etl.verify.values.composite_rules import BOUNDS, array_payload, range_payload
from etl.verify.values.durations import duration_payload
from etl.verify.values.kinds import has_number, is_array, underlying
from etl.verify.values.literal_rules import bits_payload, label_payload, money_payload, xml_payload, zoned_time_payload
from etl.verify.values.moments import (
    END_OF_TIMESTAMPS,
    FIRST_TIMESTAMP,
    NANOS_PER_DAY,
    TIME,
    Written,
    clock_nanos,
    iso_written,
    rounded,
    written_micros,
)
from etl.verify.values.network_rules import address_payload, hardware_payload
from etl.verify.values.number_moments import EPOCHS, number_micros, plain_number, shortest_decimal
from etl.verify.values.singles import pack_single
from etl.verify.values.text_cells import text_as_read
from etl.verify.values.wire import (
    DOCUMENT_TYPES,
    MICROS_PER_DAY,
    TEXT_TYPES,
    pack_numeric,
)
from etl.verify.values.written_formats import as_digits, format_of
from etl.verify.values.written_numbers import SPACES, number_of_text

Stored = int | float | bytes
"""A value as stored: INTEGER, REAL, or the bytes of a TEXT or a BLOB."""

INTEGER_TEXT = re.compile(rb"([+-]?)0*([0-9]+)")
UUID_TEXT = re.compile(rb"(?:urn:uuid:)?(\{)?([0-9a-f]{8})(-?)((?:[0-9a-f]{4}\3){3})([0-9a-f]{12})(?(1)\})", re.I)
BOOLEANS = {
    **dict.fromkeys((b"t", b"true", b"yes", b"on", b"y", b"1"), b"\x01"),
    **dict.fromkeys((b"f", b"false", b"no", b"off", b"n", b"0"), b"\x00"),
}
INTEGER_BYTES = {"smallint": 2, "integer": 4, "bigint": 8}
EXACT = 2**53  # up to here every integer is a double


def expected_payload(
    storage: StorageClass, value: Stored, kind: PgType, reading: Reading = PLAIN_READING
) -> bytes | None:
    """The binary payload that says in ``kind`` what ``value``, so read, says in SQLite; None when there is none.

    For cells that `null_cells` leaves.
    """
    kind = underlying(kind)
    if kind.labels:
        return label_payload(storage, value, kind)
    if kind.name in TEXT_TYPES:
        return _as_text(storage, value, kind, reading)
    if kind.name in DOCUMENT_TYPES:
        return _as_document(storage, value, kind, reading)
    if is_array(kind):
        return array_payload(value, kind, reading, expected_payload) if storage is StorageClass.TEXT else None
    return RULES[kind.name](storage, value, kind, reading) if kind.name in RULES else None


def _as_integer(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > EXACT:
            return None
        number = int(value)
    elif isinstance(value, bytes):
        match = INTEGER_TEXT.fullmatch(value.strip(SPACES))
        if storage is not StorageClass.TEXT or match is None or len(match[2]) > 19:
            return None
        number = int(match[1] + match[2])
    else:
        number = value
    width = INTEGER_BYTES[kind.name]
    bound = 1 << (8 * width - 1)
    return number.to_bytes(width, "big", signed=True) if -bound <= number < bound else None


def _as_double(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    number = number_of_text(storage, value) if isinstance(value, bytes) else value
    if number is None:
        return None
    if kind.name == "double precision":
        double = float(number)  # half to even, whatever it was
        return None if isinstance(number, Decimal) and math.isinf(double) else struct.pack(">d", double)
    if isinstance(number, float):
        try:
            return struct.pack(">f", number)
        except OverflowError:
            return None
    negative_zero = isinstance(number, Decimal) and number.is_zero() and number.is_signed()
    return struct.pack(">f", -0.0) if negative_zero else pack_single(Fraction(number))


def _as_numeric(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    number = number_of_text(storage, value) if isinstance(value, bytes) else shortest_decimal(value)
    if number is None:
        return None
    if kind.precision is None:
        return pack_numeric(number) if _is_numeric(number) else None
    scale = kind.scale or 0
    if number.is_infinite() or (number and number.adjusted() >= kind.precision - scale):
        return None
    # prec: a text may have more digits than the type keeps
    with localcontext(Context(prec=4000 + kind.precision, Emax=10**6, Emin=-(10**6))):
        fitted = number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)
    if fitted and fitted.adjusted() >= kind.precision - scale:
        return None
    return pack_numeric(fitted)


def _is_numeric(number: Decimal) -> bool:
    """Whether numeric without a scale holds all digits of a number: 131,072 before the point, 16,383 after it."""
    exponent = number.as_tuple().exponent
    return not isinstance(exponent, int) or (number.adjusted() < 131_072 and exponent >= -16_383)


def _as_boolean(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    if reading.how is not None:
        return _as_word(storage, value, reading.how)
    if isinstance(value, bytes):
        return BOOLEANS.get(value.lower()) if storage is StorageClass.TEXT else None
    return {0: b"\x00", 1: b"\x01"}.get(int(value)) if value in (0, 1) else None


def _as_word(storage: StorageClass, value: Stored, how: str) -> bytes | None:
    """``how`` is the word for true, a slash, and the word for false; letters of A to Z in any case."""
    if storage not in (StorageClass.TEXT, StorageClass.INTEGER):
        return None
    word = value if isinstance(value, bytes) else b"%d" % int(value)
    true, _, false = how.encode().partition(b"/")
    return {false.lower(): b"\x00", true.lower(): b"\x01"}.get(word.lower())


def _written(storage: StorageClass, value: Stored, reading: Reading) -> Written | None:
    """What a text says under the column's format, else as ISO 8601."""
    if reading.how is None or reading.how in EPOCHS:
        return iso_written(value) if isinstance(value, bytes) and storage is StorageClass.TEXT else None
    digits, form = as_digits(storage, value), format_of(reading.how)
    return form.read(digits) if digits is not None and form is not None else None


def _as_date(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    written = _written(storage, value, reading)
    if written is not None:
        midnight = written.nanos % NANOS_PER_DAY == 0 and not written.offset
        return struct.pack(">i", written.nanos // NANOS_PER_DAY) if midnight else None
    micros = number_micros(storage, value, kind, reading)
    if micros is None or micros % MICROS_PER_DAY:
        return None
    return struct.pack(">i", micros // MICROS_PER_DAY)


def _as_timestamp(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    written = _written(storage, value, reading)
    if written is not None:
        micros = written_micros(written, kind, reading)
    else:
        micros = number_micros(storage, value, kind, reading)
    if micros is None or not FIRST_TIMESTAMP <= micros < END_OF_TIMESTAMPS:
        return None
    return struct.pack(">q", micros)


def _as_time(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    nanos: int | None = None
    if reading.how not in (None, "seconds"):
        written = _written(storage, value, reading)
        nanos = None if written is None else written.nanos
    elif isinstance(value, bytes) and storage is StorageClass.TEXT and (match := TIME.fullmatch(value)):
        nanos = clock_nanos(match[1], match[2], match[3], match[4])
    elif reading.how == "seconds":
        return _as_seconds(storage, value, kind)
    return None if nanos is None else _pack_time(rounded(nanos, 1000, kind.length))


def _as_seconds(storage: StorageClass, value: Stored, kind: PgType) -> bytes | None:
    """Seconds since midnight."""
    number = plain_number(storage, value)
    if number is None or not 0 <= number[0] < 86_400 * number[1]:
        return None
    return _pack_time(rounded(number[0] * 1_000_000, number[1], kind.length))


def _pack_time(micros: int) -> bytes | None:
    """24:00 is none, neither written nor by rounding."""
    return struct.pack(">q", micros) if micros < MICROS_PER_DAY else None


def _as_uuid(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    if not isinstance(value, bytes):
        return None
    if storage is StorageClass.BLOB:
        return value if len(value) == 16 else None
    match = UUID_TEXT.fullmatch(value)
    return bytes.fromhex((match[2] + match[4] + match[5]).replace(b"-", b"").decode()) if match else None


def _as_bytes(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    return value if isinstance(value, bytes) else None


def _as_text(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    text = value if isinstance(value, bytes) else repr(value).encode()
    if storage is StorageClass.TEXT:
        text = text_as_read(text, kind, reading)
    try:
        length = len(text.decode())
    except UnicodeDecodeError:
        return None
    if b"\x00" in text or (kind.length is not None and length > kind.length):
        return None
    return text + b" " * ((kind.length or 1) - length) if kind.name == "char" else text


def _as_document(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    """The canonical document: two documents are equivalent when these are equal bytes."""
    if not isinstance(value, bytes):
        return canonical_document(repr(value).encode())
    if storage is StorageClass.BLOB:
        text = document_text(value) if reading.how == BINARY_JSON else None
        if text is None:
            return None
        value = text
    document = canonical_document(value)
    # json keeps what is no Unicode ("\\ud800") byte for byte, so it is compared so
    return value if document is None and kind.name == "json" else document


def _as_range(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    return range_payload(value, kind, reading, expected_payload) if storage is StorageClass.TEXT else None


RULES: dict[str, Callable[[StorageClass, Stored, PgType, Reading], bytes | None]] = {
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
    "interval": duration_payload,
    "uuid": _as_uuid,
    "bytea": _as_bytes,
    "money": money_payload,
    "timetz": zoned_time_payload,
    "xml": xml_payload,
    "bit": bits_payload,
    "varbit": bits_payload,
    "inet": address_payload,
    "cidr": address_payload,
    "macaddr": hardware_payload,
    "macaddr8": hardware_payload,
    **dict.fromkeys(BOUNDS, _as_range),
}


def has_rule(kind: PgType) -> bool:
    """Whether values of this type can be compared."""
    kind = underlying(kind)
    if is_array(kind):
        return has_number(kind)
    return bool(kind.labels) or kind.name in RULES or kind.name in TEXT_TYPES or kind.name in DOCUMENT_TYPES
