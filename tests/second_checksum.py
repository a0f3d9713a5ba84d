"""Checksums computed a second time, from docs/checksums.md alone: plain Python that shares nothing with `etl`.

A cell is its text, spelled as the tests spell it (None: NULL); `payload` is what it contributes.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from ipaddress import ip_interface
from typing import Any
from uuid import UUID

import xxhash

EPOCH = datetime(2000, 1, 1)
ELEMENTS = {
    "boolean": 16, "bigint": 20, "smallint": 21, "integer": 23, "text": 25, "real": 700, "double precision": 701,
    "date": 1082, "timestamp": 1114, "timestamptz": 1184, "numeric": 1700, "uuid": 2950, "varchar": 1043,
}  # fmt: skip
RANGES = {
    "int4range": "integer", "int8range": "bigint", "numrange": "numeric", "daterange": "date", "tsrange": "timestamp",
    "tstzrange": "timestamptz",
}  # fmt: skip


def checksum(rows: Sequence[Sequence[bytes | None]]) -> str:
    """The sum of the digests of canonical rows."""
    total = 0
    for row in rows:
        canonical = struct.pack(">H", len(row)) + b"".join(map(field, row))
        total += int(xxhash.xxh3_128_hexdigest(canonical), 16)
    return f"{total % 2**128:032x}"


def field(data: bytes | None) -> bytes:
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def payload(kind: str, text: str | None) -> bytes | None:
    """What a cell of this type contributes."""
    if text is None:
        return None
    if kind.endswith("[]"):
        return array(kind.removesuffix("[]"), text)
    name, _, modifiers = kind.rstrip(")").partition("(")
    if name in RANGES:
        return range_of(RANGES[name], text)
    if name == "numeric":
        return numeric(text, int(modifiers.partition(",")[2]) if modifiers else None)
    if name == "char":
        return text.ljust(int(modifiers)).encode()
    return PAYLOADS[name](text)


def numeric(text: str, scale: int | None) -> bytes:
    if text.endswith("Infinity"):
        return bytes.fromhex("00000000f0000020" if text[0] == "-" else "00000000d0000020")
    value = Decimal(text)
    scale = max(0, -int(value.as_tuple().exponent)) if scale is None else scale
    whole, _, fraction = f"{abs(value):.{scale}f}".partition(".")
    fraction += "0" * (-len(fraction) % 4)
    whole = "0" * (-len(whole) % 4) + whole
    digits = [int((whole + fraction)[at : at + 4]) for at in range(0, len(whole + fraction), 4)]
    weight = len(whole) // 4 - 1
    while digits and digits[0] == 0:
        digits, weight = digits[1:], weight - 1
    while digits and digits[-1] == 0:
        digits = digits[:-1]
    negative = 0x4000 if value < 0 and digits else 0
    return struct.pack(f">HhHH{len(digits)}H", len(digits), weight if digits else 0, negative, scale, *digits)


def micros(moment: datetime) -> bytes:
    passed = moment - EPOCH
    return struct.pack(">q", (passed.days * 86400 + passed.seconds) * 10**6 + passed.microseconds)


def of_day(clock: time) -> bytes:
    return micros(datetime.combine(EPOCH, clock.replace(tzinfo=None)))


def days(text: str) -> bytes:
    return struct.pack(">i", (date.fromisoformat(text) - EPOCH.date()).days)


def interval(text: str) -> bytes:
    """Spelled `P1M2DT3.5S`, each number with a sign of its own."""
    found = re.fullmatch(r"P(-?\d+)M(-?\d+)DT(-?[\d.]+)S", text)
    assert found is not None
    months, whole_days, seconds = found.groups()
    return struct.pack(">qii", int(Decimal(seconds) * 10**6), int(whole_days), int(months))


def clock_with_zone(text: str) -> bytes:
    clock = time.fromisoformat(text)
    offset = clock.utcoffset()
    assert offset is not None
    return of_day(clock) + struct.pack(">i", -int(offset.total_seconds()))


def address(text: str, *, cidr: bool) -> bytes:
    parsed = ip_interface(text)
    packed = parsed.ip.packed
    return bytes([2 if parsed.version == 4 else 3, parsed.network.prefixlen, cidr, len(packed)]) + packed


def bits(text: str) -> bytes:
    padded = text + "0" * (-len(text) % 8)
    return struct.pack(">i", len(text)) + bytes(int(padded[at : at + 8], 2) for at in range(0, len(padded), 8))


def array(element: str, text: str) -> bytes:
    """Spelled as a JSON array of texts and nulls."""
    cells = [payload(element, cell) for cell in json.loads(text)]
    number = ELEMENTS[element.partition("(")[0]]
    head = struct.pack(">iiI", 1 if cells else 0, None in cells, number)
    return head + (struct.pack(">ii", len(cells), 1) + b"".join(map(field, cells)) if cells else b"")


def range_of(bound: str, text: str) -> bytes:
    """Spelled `[lower,upper)`, a bound left out or not; or `empty`."""
    if text == "empty":
        return b"\x01"
    lower, upper = text[1:-1].split(",")
    flags = (2 * (text[0] == "[") if lower else 8) | (4 * (text[-1] == "]") if upper else 16)
    return bytes([flags]) + b"".join(field(payload(bound, one.strip('"'))) for one in (lower, upper) if one)


def document(text: str) -> bytes:
    """A canonical document."""

    def canonical(value: Any) -> str:
        if isinstance(value, dict):
            members = sorted(value.items(), key=lambda member: member[0].encode())
            return "{" + ",".join(f"{canonical(key)}:{canonical(item)}" for key, item in members) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(canonical, value)) + "]"
        if isinstance(value, Decimal):
            plain = f"{value:f}"
            return (plain.rstrip("0").rstrip(".") if "." in plain else plain) if value else "0"
        return json.dumps(value, ensure_ascii=False)

    return canonical(json.loads(text, parse_float=Decimal, parse_int=Decimal)).encode()


def instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


PAYLOADS: dict[str, Callable[[str], bytes]] = {
    "smallint": lambda text: struct.pack(">h", int(text)),
    "integer": lambda text: struct.pack(">i", int(text)),
    "bigint": lambda text: struct.pack(">q", int(text)),
    "real": lambda text: struct.pack(">f", float(text)),
    "double precision": lambda text: struct.pack(">d", float(text)),
    "boolean": lambda text: bytes([text == "true"]),
    "date": days,
    "time": lambda text: of_day(time.fromisoformat(text)),
    "timestamp": lambda text: micros(instant(text)),
    "timestamptz": lambda text: micros(instant(text)),
    "interval": interval,
    "timetz": clock_with_zone,
    "money": lambda text: struct.pack(">q", int(Decimal(text) * 100)),
    "text": str.encode,
    "varchar": str.encode,
    "xml": str.encode,
    "uuid": lambda text: UUID(text).bytes,
    "bytea": lambda text: bytes.fromhex(text.removeprefix("\\x")),
    "inet": lambda text: address(text, cidr=False),
    "cidr": lambda text: address(text, cidr=True),
    "macaddr": lambda text: bytes.fromhex(text.replace(":", "")),
    "macaddr8": lambda text: bytes.fromhex(text.replace(":", "")),
    "bit": bits,
    "varbit": bits,
    "json": document,
    "jsonb": document,
}
