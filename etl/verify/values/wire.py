"""PostgreSQL's binary field formats, written and read value by value.

Invariant: nothing here knows SQLite; a payload is what follows the length word of a field in ``COPY … (format
binary)``, as the server's ``*_send`` functions write it (src/backend/utils/adt).
"""

from __future__ import annotations

import struct
from decimal import Decimal

MICROS_PER_DAY = 86_400_000_000
DAYS_BEFORE_2000 = 730_119  # from 0001-01-01, proleptic Gregorian

NUMERIC_NEGATIVE = 0x4000
NUMERIC_NAN = 0xC000
NUMERIC_INFINITY = {0xD000: "Infinity", 0xF000: "-Infinity"}

TEXT_TYPES = frozenset({"text", "varchar", "char", "citext"})
DOCUMENT_TYPES = frozenset({"json", "jsonb"})

_CUMULATED_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)


def is_leap(year: int) -> bool:
    """Whether the proleptic Gregorian year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in_month(year: int, month: int) -> int:
    """28 to 31."""
    days = _CUMULATED_DAYS[month] - _CUMULATED_DAYS[month - 1]
    return days + (month == 2 and is_leap(year))


def days_since_2000(year: int, month: int, day: int) -> int:
    """PostgreSQL's date number of a proleptic Gregorian day."""
    years = year - 1
    before = 365 * years + years // 4 - years // 100 + years // 400
    return before + _CUMULATED_DAYS[month - 1] + (month > 2 and is_leap(year)) + day - 1 - DAYS_BEFORE_2000


def date_of(days: int) -> tuple[int, int, int]:
    """The year, month and day of a date number: the inverse of `days_since_2000`."""
    remaining = days + DAYS_BEFORE_2000
    cycles, remaining = divmod(remaining, 146_097)
    year = 400 * cycles + 1 + min(remaining * 400 // 146_097, 399)
    while days_since_2000(year, 1, 1) > days:
        year -= 1
    while days_since_2000(year + 1, 1, 1) <= days:
        year += 1
    month = 1
    while month < 12 and days_since_2000(year, month + 1, 1) <= days:
        month += 1
    return year, month, days - days_since_2000(year, month, 1) + 1


def pack_numeric(value: Decimal) -> bytes:
    """The payload of a finite decimal, or of an infinity; the scale shown is the decimal's own, never negative."""
    if value.is_infinite():
        return struct.pack(">HhHH", 0, 0, 0xF000 if value < 0 else 0xD000, 32)
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("NaN is no SQLite value")
    text = "".join(map(str, digits)) + "0" * max(exponent, 0)
    scale = max(-exponent, 0)
    whole, fraction = (text[:-scale], text[-scale:].rjust(scale, "0")) if scale else (text, "")
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    fraction = fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    joined = whole + fraction
    groups = [int(joined[at : at + 4]) for at in range(0, len(joined), 4)]
    weight = len(whole) // 4 - 1
    while groups and groups[0] == 0:
        groups.pop(0)
        weight -= 1
    while groups and groups[-1] == 0:
        groups.pop()
    if not groups:
        return struct.pack(">HhHH", 0, 0, 0, scale)
    head = struct.pack(">HhHH", len(groups), weight, NUMERIC_NEGATIVE if sign else 0, scale)
    return head + struct.pack(f">{len(groups)}h", *groups)


def unpack_numeric(payload: bytes) -> str:
    """The decimal as PostgreSQL prints it."""
    count, weight, sign, scale = struct.unpack_from(">HhHH", payload)
    if sign == NUMERIC_NAN:
        return "NaN"
    if sign in NUMERIC_INFINITY:
        return NUMERIC_INFINITY[sign]
    groups = struct.unpack_from(f">{count}h", payload, 8)
    digits = "".join(f"{group:04d}" for group in groups)
    whole_digits = 4 * (weight + 1)
    whole = digits[: max(whole_digits, 0)].ljust(max(whole_digits, 0), "0").lstrip("0") or "0"
    fraction = "0" * max(-whole_digits, 0) + digits[max(whole_digits, 0) :]
    text = f"{whole}.{fraction.ljust(scale, '0')[:scale]}" if scale else whole
    return f"-{text}" if sign else text


def show_date(days: int) -> str:
    """ISO text of a date number; PostgreSQL's two infinities by name."""
    if days in (-(2**31), 2**31 - 1):
        return "infinity" if days > 0 else "-infinity"
    year, month, day = date_of(days)
    return f"{year:04d}-{month:02d}-{day:02d}"


def show_time(micros: int) -> str:
    """``HH:MM:SS`` with as many fraction digits as it needs."""
    seconds, fraction = divmod(micros, 1_000_000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text


def show_timestamp(micros: int) -> str:
    """ISO text of microseconds since 2000-01-01."""
    if micros in (-(2**63), 2**63 - 1):
        return "infinity" if micros > 0 else "-infinity"
    days, rest = divmod(micros, MICROS_PER_DAY)
    return f"{show_date(days)} {show_time(rest)}"


def show_interval(payload: bytes) -> str:
    """Months, days and the time, each with its own sign."""
    micros, days, months = struct.unpack(">qii", payload)
    time = f"-{show_time(-micros)}" if micros < 0 else show_time(micros)
    parts = [f"{months} months"] * (months != 0) + [f"{days} days"] * (days != 0)
    return " ".join([*parts, time])


def show_bytes(value: bytes, limit: int = 200) -> str:
    """Quoted text where the bytes are UTF-8, else hexadecimal; cut to a readable length."""
    try:
        text = repr(value.decode())
    except UnicodeDecodeError:
        text = "\\x" + value[: limit // 2].hex()
    return text if len(text) <= limit else text[: limit - 1] + "…"
