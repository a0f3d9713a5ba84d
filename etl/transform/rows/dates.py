"""The scalar rules for date, time and the timestamps: a strict reader of ISO 8601 (COERCION §2).

Invariant: what is accepted means the same to every reader; no locale, no guess of a format, no ``datetime``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from etl.model import PgType, StorageClass
from etl.transform.rows.gregorian import DAY_US, days_from_civil, days_in_month
from etl.transform.rows.outcomes import Converted, Outcome, refuse

LARGEST_OFFSET_HOURS = 15  # as PostgreSQL (datetime.h: MAX_TZDISP_HOUR)

_DATE = rb"([0-9]{4})-([0-9]{2})-([0-9]{2})"
_TIME = rb"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
_OFFSET = rb"(Z| UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?"
_MOMENT = re.compile(rb"%s(?:[T ]%s%s)?" % (_DATE, _TIME, _OFFSET))
_TIME_ONLY = re.compile(_TIME)


@dataclass(frozen=True, slots=True)
class Moment:
    """What an ISO 8601 text says. ``micros`` is microseconds of the day; a whole day's stand for ``24:00:00``."""

    days: int
    micros: int | None  # None for a date alone
    rounded: bool = False  # there were more than six decimals
    offset_minutes: int | None = None  # None for a local time


def read_moment(text: bytes) -> Moment | None:
    """A date or a date with a time, None for everything else."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    if year < 1 or not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):
        return None
    days = days_from_civil(year, month, day)
    if match[4] is None:
        return Moment(days, None)
    time = _clock(match[4], match[5], match[6], match[7], midnight_after=True)
    offset = _offset_minutes(match[8])
    if time is None or offset == _NO_OFFSET:
        return None
    return Moment(days, time[0], time[1], offset)


def date_from_text(value: bytes, target: PgType) -> Outcome:
    """Exact for ``YYYY-MM-DD``; ``timestamp-to-date`` where the time is zero, here and in UTC."""
    moment = read_moment(value)
    if moment is None:
        return refuse(value, StorageClass.TEXT, target)
    if moment.micros is None:
        return Converted(moment.days)
    if moment.micros or moment.rounded or moment.offset_minutes:
        cast = "timestamp" if moment.offset_minutes is None else "timestamptz"
        return refuse(value, StorageClass.TEXT, target, f"has a time, which {target} cannot hold", cast)
    return Converted(moment.days, "timestamp-to-date")


def timestamp_from_text(value: bytes, target: PgType) -> Outcome:
    """Exact for a local time; with an offset converted to UTC (``offset-applied``)."""
    moment = read_moment(value)
    if moment is None:
        return refuse(value, StorageClass.TEXT, target)
    zone_rule = None if moment.offset_minutes is None else "offset-applied"
    return Converted(_instant(moment), _rule(moment, zone_rule))


def timestamptz_from_text(value: bytes, target: PgType) -> Outcome:
    """Exact with an offset; a local time is read as UTC (``naive-as-utc``)."""
    moment = read_moment(value)
    if moment is None:
        return refuse(value, StorageClass.TEXT, target)
    zone_rule = "naive-as-utc" if moment.offset_minutes is None else None
    return Converted(_instant(moment), _rule(moment, zone_rule))


def time_from_text(value: bytes, target: PgType) -> Outcome:
    """Exact for ``HH:MM[:SS[.ffffff]]``; nothing rounds up to the next day."""
    match = _TIME_ONLY.fullmatch(value)
    time = match and _clock(match[1], match[2], match[3], match[4], midnight_after=False)
    if not time or time[0] >= DAY_US:
        return refuse(value, StorageClass.TEXT, target)
    return Converted(time[0], "rounded" if time[1] else None)


_NO_OFFSET = 1 << 20  # an offset that no zone has: the text is no moment


def _clock(
    hour: bytes, minute: bytes, second: bytes | None, fraction: bytes | None, *, midnight_after: bool
) -> tuple[int, bool] | None:
    """Microseconds of the day, and whether they were rounded; None for a time that does not exist."""
    hours, minutes, seconds = int(hour), int(minute), int(second or b"0")
    nanos = int((fraction or b"0").ljust(9, b"0"))
    past = (minutes, seconds, nanos) != (0, 0, 0)
    if hours > 24 or (hours == 24 and (past or not midnight_after)) or minutes > 59 or seconds > 59:
        return None
    micros, rest = divmod(nanos, 1_000)
    micros += rest > 500 or (rest == 500 and micros & 1)  # half to even
    return ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros, len(fraction or b"") > 6


def _offset_minutes(text: bytes | None) -> int | None:
    """Minutes east of UTC, None for a local time, ``_NO_OFFSET`` for what is out of range."""
    if text is None or text in (b"Z", b" UTC"):
        return None if text is None else 0
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(b":") or b"0")
    if hours > LARGEST_OFFSET_HOURS or minutes > 59:
        return _NO_OFFSET
    return (hours * 60 + minutes) * (-1 if text[:1] == b"-" else 1)


def _instant(moment: Moment) -> int:
    return moment.days * DAY_US + (moment.micros or 0) - (moment.offset_minutes or 0) * 60_000_000


def _rule(moment: Moment, zone_rule: str | None) -> str | None:
    """The one name of what was done; what loses something goes before what only assumes something."""
    if moment.rounded:
        return "rounded"
    if moment.micros is None:
        return "date-to-timestamp"
    if zone_rule is not None:
        return zone_rule
    return "hour-24" if moment.micros == DAY_US and not moment.rounded else None
