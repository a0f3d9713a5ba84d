"""Moments of time as SQLite tells them: ISO texts, offsets, zones, numbers of an epoch.

Invariant: integers of microseconds throughout, rounded once and half to even; no library reads a date here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction

from etl.verify.wire import MICROS_PER_DAY, days_in_month, days_since_2000

TIMESTAMP = re.compile(
    rb"([0-9]{4,6})-([0-9]{2})-([0-9]{2})"
    rb"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    rb"( ?(?:Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?))?)?"
)
TIME = re.compile(rb"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?")

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


def written_instant(value: bytes) -> int | None:
    """Microseconds since 2000 of the date and wall clock as written, whatever offset follows."""
    match = TIMESTAMP.fullmatch(value)
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    if year == 0 or not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):
        return None
    clock = clock_micros(match[4], match[5], match[6], match[7]) if match[4] else 0
    return None if clock is None else days_since_2000(year, month, day) * MICROS_PER_DAY + clock


def clock_micros(hour: bytes, minute: bytes, second: bytes | None, fraction: bytes | None) -> int | None:
    """Microseconds since midnight; exactly 24:00:00 is the next midnight; 60 seconds are none."""
    h, m, s = int(hour), int(minute), int(second or 0)
    micros = round(Fraction(int(fraction or 0) * 10**6, 10 ** len(fraction or b"")))  # half to even
    if h > 24 or m > 59 or s > 59 or (h == 24 and (m or s or int(fraction or 0))):
        return None
    return ((h * 60 + m) * 60 + s) * 1_000_000 + micros


def offset_micros(suffix: bytes) -> int | None:
    if suffix in (b"Z", b"UTC"):
        return 0
    digits = suffix[1:].replace(b":", b"")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 15 or minutes > 59:
        return None
    micros = (hours * 60 + minutes) * 60_000_000
    return -micros if suffix.startswith(b"-") else micros


def from_zone(micros: int, zone: tzinfo) -> int | None:
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


def to_zone(micros: int, zone: tzinfo) -> int | None:
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


def epoch_instant(value: int | float) -> int | None:
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
