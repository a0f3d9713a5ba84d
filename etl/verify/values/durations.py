"""Intervals: ISO 8601 durations, hours and minutes, numbers of seconds or microseconds, moments since 1970.

Invariant: months, days and the time of a duration are kept apart, as PostgreSQL keeps them; 24 hours are no day.
"""

from __future__ import annotations

import re
import struct
from decimal import Decimal

from etl.model import PgType, Reading, StorageClass
from etl.verify.values.moments import NANOS_PER_DAY, iso_written, rounded
from etl.verify.values.number_moments import plain_number
from etl.verify.values.wire import days_since_2000

UNITS = {"seconds": 1_000_000, "us": 1}  # microseconds
SINCE_1970 = "epoch"  # a moment that stands for the time since then
_NUMBER = rb"([+-]?[0-9]+)"
ISO = re.compile(
    rb"([+-])?P(?=[0-9+-]|T[0-9+-])(?:%bY)?(?:%bM)?(?:%bW)?(?:%bD)?"
    rb"(?:T(?=[0-9+-])(?:%bH)?(?:%bM)?(?:([+-]?[0-9]+(?:\.[0-9]+)?)S)?)?" % ((_NUMBER,) * 6)
)
CLOCK = re.compile(rb"(-)?([0-9]+):([0-9]{2})(?::([0-9]{2}(?:\.[0-9]+)?))?")


def duration_payload(storage: StorageClass, value: int | float | bytes, kind: PgType, reading: Reading) -> bytes | None:
    """What an interval holds for a value: microseconds, days, months; None where it has no equivalent."""
    parts: tuple[int, int, int, int] | None = None
    if isinstance(value, bytes) and storage is StorageClass.TEXT and len(value) <= 1_000:
        parts = _iso_parts(value) or _clock_parts(value)
        if parts is None and reading.how == SINCE_1970:
            parts = _since_1970(value)
    if parts is None and reading.how in UNITS and (number := plain_number(storage, value)) is not None:
        parts = (0, 0, number[0] * UNITS[reading.how], number[1])
    if parts is None:
        return None
    months, days, numerator, denominator = parts
    try:
        return struct.pack(">qii", rounded(numerator, denominator, kind.length), days, months)
    except struct.error:
        return None


def _since_1970(value: bytes) -> tuple[int, int, int, int] | None:
    written = iso_written(value)
    if written is None or written.offset is not None:
        return None
    return 0, 0, written.nanos - days_since_2000(1970, 1, 1) * NANOS_PER_DAY, 1_000


def _iso_parts(value: bytes) -> tuple[int, int, int, int] | None:
    """Months, days, and microseconds as a fraction."""
    match = ISO.fullmatch(value)
    if match is None:
        return None
    sign = -1 if match[1] == b"-" else 1
    years, months, weeks, days, hours, minutes = (sign * int(match[place] or 0) for place in range(2, 8))
    seconds, parts = Decimal((match[8] or b"0").decode()).as_integer_ratio()
    micros = (sign * seconds + (hours * 60 + minutes) * 60 * parts) * 1_000_000
    return 12 * years + months, 7 * weeks + days, micros, parts


def _clock_parts(value: bytes) -> tuple[int, int, int, int] | None:
    match = CLOCK.fullmatch(value)
    if match is None or int(match[3]) > 59:
        return None
    seconds, parts = Decimal((match[4] or b"0").decode()).as_integer_ratio()
    if seconds >= 60 * parts:
        return None
    micros = (seconds + (int(match[2]) * 60 + int(match[3])) * 60 * parts) * 1_000_000
    return 0, 0, -micros if match[1] else micros, parts
