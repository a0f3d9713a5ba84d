"""Types that are written in a notation of their own: money, bit strings, XML, labels, times of day with an offset.

Invariant: written from docs/coercion.md and from what the server's ``*_send`` functions write (src/backend/utils/adt).
"""

from __future__ import annotations

import re
import struct
from datetime import UTC
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from etl.model import PgType, Reading, StorageClass
from etl.verify.values.moments import TIME, clock_nanos, offset_micros, rounded, zone_of
from etl.verify.values.number_moments import shortest_decimal
from etl.verify.values.wire import MICROS_PER_DAY, show_time
from etl.verify.values.written_numbers import number_of_text

Stored = int | float | bytes

BITS = re.compile(rb"[01]*")
OFFSET = re.compile(rb" ?(?:Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)$")
_QUOTED = rb"(?:\"([^\"]*)\"|'([^']*)')"
DECLARATION = re.compile(
    rb"<\?xml\s+version\s*=\s*%(q)s(?:\s+encoding\s*=\s*%(q)s)?(?:\s+standalone\s*=\s*%(q)s)?\s*\?>" % {b"q": _QUOTED}
)
PLAIN_VERSION = b"1.0"  # xml.c: PG_XML_DEFAULT_VERSION


def money_payload(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    """Hundredths, rounded half away from zero, in 8 bytes."""
    number = number_of_text(storage, value) if isinstance(value, bytes) else shortest_decimal(value)
    if number is None or number.is_infinite() or (number and number.adjusted() > 17):
        return None
    with localcontext(Context(prec=400_000)):
        cents = int(number.scaleb(2).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    return struct.pack(">q", cents) if -(2**63) <= cents < 2**63 else None


def bits_payload(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    """How many bits, and the bits from the left, the last byte filled up with zeros."""
    if not isinstance(value, bytes) or storage is not StorageClass.TEXT or BITS.fullmatch(value) is None:
        return None
    count = len(value)
    if kind.name == "bit" and count != (kind.length or 1):
        return None
    if kind.length is not None and count > kind.length:
        return None
    size = -(-count // 8)
    return struct.pack(">i", count) + int(value.ljust(8 * size, b"0") or b"0", 2).to_bytes(size, "big")


def xml_payload(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    """The text; of its declaration the server sends only a version other than 1.0, and whether it is standalone."""
    if not isinstance(value, bytes) or storage is not StorageClass.TEXT or b"\0" in value:
        return None
    try:
        value.decode()
    except UnicodeDecodeError:
        return None
    match = DECLARATION.match(value)
    if match is None:
        return value
    version = match[1] or match[2] or b""
    standalone = match[5] or match[6]
    rest = value[match.end() :]
    if version == PLAIN_VERSION and standalone is None:
        return rest.removeprefix(b"\n")
    told = b"" if standalone is None else b' standalone="%s"' % standalone
    return b'<?xml version="%s"%s?>%s' % (version, told, rest)


def label_payload(storage: StorageClass, value: Stored, kind: PgType) -> bytes | None:
    """The label itself, where the enum has it."""
    if not isinstance(value, bytes) or storage is not StorageClass.TEXT:
        return None
    return value if value in {label.encode() for label in kind.labels} else None


def zoned_time_payload(storage: StorageClass, value: Stored, kind: PgType, reading: Reading) -> bytes | None:
    """Microseconds since midnight and seconds west of Greenwich; without an offset UTC, where the run is in UTC."""
    if not isinstance(value, bytes) or storage is not StorageClass.TEXT:
        return None
    suffix = OFFSET.search(value)
    match = TIME.fullmatch(value[: suffix.start()] if suffix else value)
    nanos = clock_nanos(match[1], match[2], match[3], match[4]) if match else None
    if nanos is None or (suffix is None and zone_of(reading.timezone) is not UTC):
        return None
    offset = offset_micros(suffix[0].strip()) if suffix else 0
    micros = rounded(nanos, 1000, kind.length)
    if offset is None or micros >= MICROS_PER_DAY:
        return None
    return struct.pack(">qi", micros, -offset // 1_000_000)


def show_bits(payload: bytes) -> str:
    """Zeros and ones."""
    (count,) = struct.unpack_from(">i", payload)
    return "".join(f"{byte:08b}" for byte in payload[4:])[:count]


def show_zoned_time(payload: bytes) -> str:
    """``10:00:00+02:00``."""
    micros, west = struct.unpack(">qi", payload)
    minutes, seconds = divmod(abs(west), 60)
    offset = f"{'-' if west > 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{show_time(micros)}{offset}" + (f":{seconds:02d}" if seconds else "")
