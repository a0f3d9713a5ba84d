"""The scalar rules for interval and for times of day with an offset.

Invariant: months, days and microseconds stay apart, as PostgreSQL keeps them; what is written is PostgreSQL's input
text with a sign before every part, which means the same under every IntervalStyle.
"""

from __future__ import annotations

import re

from etl.model import PgType, Reading, StorageClass
from etl.transform.rows.dates import read_moment
from etl.transform.rows.daytime import NO_OFFSET, clock, decimals_of, offset_minutes
from etl.transform.rows.epochs import COUNTS, divide, exact_ratio, micros_of
from etl.transform.rows.gregorian import DAY_US
from etl.transform.rows.outcomes import Converted, Outcome, refuse
from etl.transform.rows.rendering import time_text
from etl.transform.rows.zones import UTC_NAME

_N = rb"(-?[0-9]{1,12})"
_ISO = re.compile(
    rb"(-?)P(?=.)(?:%(n)sY)?(?:%(n)sM)?(?:%(n)sW)?(?:%(n)sD)?"
    rb"(?:T(?=.)(?:%(n)sH)?(?:%(n)sM)?(?:(-?)([0-9]{1,15})(?:\.([0-9]{1,9}))?S)?)?" % {b"n": _N}
)
_CLOCK = re.compile(rb"(-?)([0-9]{1,10}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?")
_TIMETZ = re.compile(rb"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z| UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?")
_HOUR_US = 3_600_000_000
EPOCH = "epoch"


def interval_from_text(value: bytes, target: PgType, reading: Reading) -> Outcome:
    """Exact for ISO 8601 (``P1Y2M3DT4H5M6.5S``, weeks too) and ``[-]HH:MM[:SS[.f]]``; others by their reading.

    ``epoch``: a moment stands for the time since 1970-01-01 00:00, as SQLAlchemy writes an Interval.
    """
    decimals = decimals_of(target)
    if reading.how == EPOCH and (moment := read_moment(value, decimals)) and moment.offset_minutes is None:
        parts = (0, 0, moment.days * DAY_US + (moment.micros or 0))
        return _interval(value, StorageClass.TEXT, target, parts, moment.rounded, rule=EPOCH)
    match = _ISO.fullmatch(value)
    if match is not None:
        return _iso(value, match, decimals, target)
    match = _CLOCK.fullmatch(value)
    if match is None:
        return _from_number(value, StorageClass.TEXT, target, reading)
    if int(match[3]) > 59 or int(match[4] or 0) > 59:
        return refuse(value, StorageClass.TEXT, target)
    seconds = (int(match[2]) * 60 + int(match[3])) * 60 + int(match[4] or 0)
    micros, rounded = _micros(seconds, match[5], decimals)
    return _interval(value, StorageClass.TEXT, target, (0, 0, -micros if match[1] else micros), rounded)


def interval_from_integer(value: int, target: PgType, reading: Reading) -> Outcome:
    """``us`` or ``seconds``, as the cast says."""
    return _from_number(value, StorageClass.INTEGER, target, reading)


def interval_from_real(value: float, target: PgType, reading: Reading) -> Outcome:
    """``us`` or ``seconds``, as the cast says."""
    return _from_number(value, StorageClass.REAL, target, reading)


def _iso(value: bytes, match: re.Match[bytes], decimals: int, target: PgType) -> Outcome:
    years, months, weeks, days, hours, minutes = (int(match[place] or 0) for place in range(2, 8))
    micros, rounded = _micros(int(match[9] or 0), match[10], decimals)
    micros = (-micros if match[8] else micros) + hours * _HOUR_US + minutes * 60_000_000
    sign = -1 if match[1] else 1
    parts = (sign * (years * 12 + months), sign * (weeks * 7 + days), sign * micros)
    return _interval(value, StorageClass.TEXT, target, parts, rounded)


def _micros(seconds: int, fraction: bytes | None, decimals: int) -> tuple[int, bool]:
    nanos = int((fraction or b"0").ljust(9, b"0"))
    rest: int = divide(nanos, 10 ** (9 - decimals)) * 10 ** (6 - decimals)
    return seconds * 1_000_000 + rest, len(fraction or b"") > decimals


def _from_number(value: int | float | bytes, storage: StorageClass, target: PgType, reading: Reading) -> Outcome:
    ratio = exact_ratio(value, storage)
    if ratio is None or reading.how not in COUNTS:
        hint = None if ratio is None else "interval:us (microseconds) or interval:seconds"
        return refuse(value, storage, target, flag=None if hint is None else f"--cast {{column}}={hint}")
    micros = micros_of(ratio, COUNTS[reading.how], decimals_of(target))
    return _interval(value, storage, target, (0, 0, micros), rounded=False, rule=reading.how)


def _interval(
    value: int | float | bytes,
    storage: StorageClass,
    target: PgType,
    parts: tuple[int, int, int],
    rounded: bool,
    rule: str | None = None,
) -> Outcome:
    months, days, micros = parts
    if max(abs(months), abs(days), abs(micros) // _HOUR_US) >= 2**31:
        return refuse(value, storage, target, f"is out of range for {target}")
    text = f"{months:+d} mons {days:+d} days {'-' if micros < 0 else '+'}{time_text(abs(micros))}"
    return Converted(text, "rounded" if rounded else rule)


def timetz_from_text(value: bytes, target: PgType, reading: Reading) -> Outcome:
    """Exact with an offset; without one it is UTC (``naive-as-utc``): other zones have no offset without a date."""
    match = _TIMETZ.fullmatch(value)
    time = match and clock(match[1], match[2], match[3], match[4], decimals_of(target))
    if match is None or not time or time[0] >= DAY_US:
        return refuse(value, StorageClass.TEXT, target)
    offset = offset_minutes(match[5])
    if offset == NO_OFFSET:
        return refuse(value, StorageClass.TEXT, target)
    if offset is None and reading.timezone != UTC_NAME:
        return refuse(
            value, StorageClass.TEXT, target, f"has no offset, and {reading.timezone} none without a date", "time"
        )
    minutes = offset or 0
    text = f"{time_text(time[0])}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    return Converted(text, "rounded" if time[1] else "naive-as-utc" if offset is None else None)
