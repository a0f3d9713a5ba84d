"""Moments of time as SQLite tells them: ISO texts, offsets, zones.

Invariant: integers throughout, rounded once and half to even; no library reads a date here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from etl.model import PgType, Reading
from etl.verify.values.wire import MICROS_PER_DAY, days_in_month, days_since_2000

TIMESTAMP = re.compile(
    rb"([0-9]{4,6})-([0-9]{2})-([0-9]{2})"
    rb"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    rb"( ?(?:Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?))?)?"
)
TIME = re.compile(rb"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?")

NANOS_PER_DAY = 1000 * MICROS_PER_DAY
# 4713-11-24 BC (julian day 0) and the first instant of 294277 AD, in microseconds since 2000
FIRST_TIMESTAMP, END_OF_TIMESTAMPS = -211_813_488_000_000_000, 9_223_371_331_200_000_000


class Written(NamedTuple):
    """A date and a wall clock as a text has them."""

    nanos: int  # since 2000-01-01 00:00 of the same wall clock
    offset: int | None = None  # microseconds east of Greenwich, where the text tells


def iso_written(value: bytes) -> Written | None:
    """What an ISO 8601 text says, or None where it is none or its day does not exist."""
    match = TIMESTAMP.fullmatch(value)
    if match is None:
        return None
    days = day_number(int(match[1]), int(match[2]), int(match[3]))
    clock = clock_nanos(match[4], match[5], match[6], match[7]) if match[4] else 0
    if days is None or clock is None:
        return None
    offset = None if match[8] is None else offset_micros(match[8].strip())
    if match[8] is not None and offset is None:
        return None
    return Written(days * NANOS_PER_DAY + clock, offset)


def day_number(year: int, month: int, day: int) -> int | None:
    """Days since 2000, or None for a day that no calendar shows."""
    if year == 0 or not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):
        return None
    return days_since_2000(year, month, day)


def clock_nanos(hour: bytes, minute: bytes, second: bytes | None, fraction: bytes | None) -> int | None:
    """Nanoseconds since midnight; exactly 24:00:00 is the next midnight; 60 seconds are none."""
    h, m, s = int(hour), int(minute), int(second or 0)
    nanos = int((fraction or b"").ljust(9, b"0"))
    if h > 24 or m > 59 or s > 59 or (h == 24 and (m or s or nanos)):
        return None
    return ((h * 60 + m) * 60 + s) * 1_000_000_000 + nanos


def offset_micros(suffix: bytes) -> int | None:
    """``Z``, ``UTC``, ``±HH``, ``±HHMM`` or ``±HH:MM`` in microseconds."""
    if suffix in (b"Z", b"UTC"):
        return 0
    digits = suffix[1:].replace(b":", b"")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 15 or minutes > 59:
        return None
    micros = (hours * 60 + minutes) * 60_000_000
    return -micros if suffix.startswith(b"-") else micros


def rounded(numerator: int, denominator: int, decimals: int | None) -> int:
    """``numerator / denominator`` microseconds, rounded half to even to so many decimals of a second."""
    unit = grid_of(decimals)
    steps, rest = divmod(numerator, denominator * unit)
    twice = 2 * rest - denominator * unit
    return (steps + (twice > 0 or (twice == 0 and steps & 1 == 1))) * unit


def grid_of(decimals: int | None) -> int:
    """The microseconds that a type with so many decimals tells apart; None has six."""
    return 1 if decimals is None else int(10 ** max(6 - decimals, 0))


def written_micros(written: Written, kind: PgType, reading: Reading) -> int | None:
    """What a timestamp (the zone's wall clock) or a timestamptz (UTC) holds for it: microseconds since 2000."""
    micros = rounded(written.nanos, 1000, kind.length)
    zone = zone_of(reading.timezone)
    if written.offset is not None:
        utc = micros - written.offset
        return utc if kind.name == "timestamptz" else to_zone(utc, zone)
    return micros if kind.name == "timestamp" else from_zone(micros, zone, reading.ambiguous)


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """The zone of an IANA name; `datetime.UTC` itself for UTC."""
    return UTC if name in ("UTC", "Etc/UTC") else ZoneInfo(name)


def from_zone(micros: int, zone: tzinfo, ambiguous: str | None = None) -> int | None:
    """UTC of a wall clock of the years 1 to 9999.

    Where the clock shows that time twice or never, the offsets before and after its change give two instants:
    ``earliest`` and ``latest`` choose among them, without a choice there is none.
    """
    if zone is UTC:
        return micros
    wall = _datetime(micros)
    if wall is None:
        return None
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    if first is None or second is None:
        return None
    instants = (micros - _duration_micros(first), micros - _duration_micros(second))
    if instants[0] == instants[1]:
        return instants[0]
    return {"earliest": min(instants), "latest": max(instants)}.get(ambiguous or "")


def to_zone(micros: int, zone: tzinfo) -> int | None:
    """The zone's wall clock at an instant; both lie in the years 1 to 9999."""
    if zone is UTC:
        return micros
    moment = _datetime(micros)
    try:
        offset = None if moment is None else moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    except OverflowError:
        return None
    return None if offset is None else micros + _duration_micros(offset)


def _datetime(micros: int) -> datetime | None:
    try:
        return datetime(2000, 1, 1) + timedelta(microseconds=micros)
    except OverflowError:
        return None


def _duration_micros(duration: timedelta) -> int:
    return (duration.days * 86_400 + duration.seconds) * 1_000_000 + duration.microseconds
