"""The scalar rules for date, time and the timestamps: ISO 8601, the user's format, or a number of a known epoch.

Invariant: what is accepted means the same to every reader; no locale, no guess of a format or of an epoch's unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from etl.model import PgType, Reading, StorageClass
from etl.transform.rows.daytime import NO_OFFSET, clock, decimals_of, offset_minutes
from etl.transform.rows.epochs import (
    COUNTS,
    END_OF_INSTANTS,
    EPOCHS,
    FIRST_INSTANT,
    exact_ratio,
    likely_epoch,
    micros_of,
)
from etl.transform.rows.formats import read_format
from etl.transform.rows.gregorian import DAY_US, days_from_civil, days_in_month
from etl.transform.rows.numerals import EXACT_DOUBLE
from etl.transform.rows.outcomes import Converted, Outcome, refuse
from etl.transform.rows.zones import UNKNOWN_YEAR, UTC_NAME, Instant, to_local, to_utc

_DATE = rb"([0-9]{4})-([0-9]{2})-([0-9]{2})"
_TIME = rb"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
_OFFSET = rb"(Z| UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?"
_MOMENT = re.compile(rb"%s(?:[T ]%s%s)?" % (_DATE, _TIME, _OFFSET))
_TIME_ONLY = re.compile(_TIME)
_FRACTION_ZEROS = re.compile(rb"\.0+(?![0-9])")
_ZERO_DATE = re.compile(rb"0000-00-00(?: 00:00(?::00(?:\.0{1,9})?)?)?")
_LIKELY_FORMAT = re.compile(rb"[0-9]{1,2}([./-])[0-9]{1,2}[./-]([0-9]{4})(?: [0-9]{2}:[0-9]{2}(:[0-9]{2})?)?")

ZERO_DATES, AMBIGUOUS = "--zero-dates null", "--ambiguous earliest (or latest)"


@dataclass(frozen=True, slots=True)
class Moment:
    """What a text says. ``micros`` is microseconds of the day; a whole day's stand for ``24:00:00``."""

    days: int
    micros: int | None  # None for a date alone
    rounded: bool = False  # there were more decimals than the type keeps
    offset_minutes: int | None = None  # None for a local time


def read_moment(text: bytes, decimals: int = 6) -> Moment | None:
    """A date or a date with a time in ISO 8601, None for everything else."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    if year < 1 or not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):
        return None
    days = days_from_civil(year, month, day)
    if match[4] is None:
        return Moment(days, None)
    time = clock(match[4], match[5], match[6], match[7], decimals, midnight_after=True)
    offset = offset_minutes(match[8])
    if time is None or offset == NO_OFFSET:
        return None
    return Moment(days, time[0], time[1], offset)


def is_format(reading: Reading) -> bool:
    """Whether the user named a strptime format."""
    return reading.how is not None and "%" in reading.how


def _read(text: bytes, target: PgType, reading: Reading) -> Moment | None:
    if not is_format(reading):
        return read_moment(text, decimals_of(target))
    written = read_format(text, reading.how or "", decimals_of(target))
    return written and Moment(written.days, written.micros, offset_minutes=written.offset_minutes)


# --- date ----------------------------------------------------------------------------------------------------------


def date_from_text(value: bytes, target: PgType, reading: Reading) -> Outcome:
    """Exact for ``YYYY-MM-DD``; ``timestamp-to-date`` where the time is zero, here and in UTC."""
    return _date_from(value, StorageClass.TEXT, value, target, reading)


def _date_from(
    value: int | float | bytes, storage: StorageClass, text: bytes, target: PgType, reading: Reading
) -> Outcome:
    moment = _read(text, target, reading)
    if moment is None:
        return _from_other(value, storage, target, reading)
    named = "format" if is_format(reading) else None
    if moment.micros is None:
        return Converted(moment.days, named)
    lost = moment.rounded and _FRACTION_ZEROS.search(text) is None
    if moment.micros or lost or moment.offset_minutes:
        cast = "timestamp" if moment.offset_minutes is None else "timestamptz"
        return refuse(value, storage, target, f"has a time, which {target} cannot hold", _cast(cast, reading))
    return Converted(moment.days, named or "timestamp-to-date")


# --- timestamp, timestamptz ----------------------------------------------------------------------------------------


def timestamp_from_text(value: bytes, target: PgType, reading: Reading) -> Outcome:
    """Exact for a local time; with an offset converted to the time zone (``offset-applied``)."""
    return _timestamp_from(value, StorageClass.TEXT, value, target, reading)


def timestamptz_from_text(value: bytes, target: PgType, reading: Reading) -> Outcome:
    """Exact with an offset; a local time is read in the time zone (``naive-as-utc``, ``naive-in-zone``)."""
    return _timestamp_from(value, StorageClass.TEXT, value, target, reading)


def _timestamp_from(
    value: int | float | bytes, storage: StorageClass, text: bytes, target: PgType, reading: Reading
) -> Outcome:
    moment = _read(text, target, reading)
    if moment is None:
        return _from_other(value, storage, target, reading)
    found = _instant(moment, target, reading)
    if isinstance(found, str):
        solvable = moment.offset_minutes is None and reading.ambiguous is None
        return refuse(value, storage, target, found, flag=AMBIGUOUS if solvable else None)
    if found.rule is not None and found.rule.startswith("ambiguous"):
        return Converted(*found)
    return Converted(found.micros, "format" if is_format(reading) else _rule(moment, found.rule))


def _instant(moment: Moment, target: PgType, reading: Reading) -> Instant | str:
    """The value of the type and the rule of the time zone; what is wrong where there is none."""
    zone, written = reading.timezone, moment.days * DAY_US + (moment.micros or 0)
    if moment.offset_minutes is None:
        if target.name == "timestamp":
            return Instant(written)
        instant = to_utc(written, zone, reading.ambiguous)
        naive = "naive-as-utc" if zone == UTC_NAME else "naive-in-zone"
        return instant if isinstance(instant, str) or instant.rule else Instant(instant.micros, naive)
    micros = written - moment.offset_minutes * 60_000_000
    if target.name == "timestamptz":
        return Instant(micros)
    local = to_local(micros, zone)
    return UNKNOWN_YEAR.format(zone) if local is None else Instant(local, "offset-applied")


def _rule(moment: Moment, zone_rule: str | None) -> str | None:
    """The one name of what was done; what loses something goes before what only assumes something."""
    if moment.rounded:
        return "rounded"
    if moment.micros is None:
        return "date-to-timestamp"
    if zone_rule is not None:
        return zone_rule
    return "hour-24" if moment.micros == DAY_US else None


# --- time ----------------------------------------------------------------------------------------------------------


def time_from_text(value: bytes, target: PgType, reading: Reading) -> Outcome:
    """Exact for ``HH:MM[:SS[.ffffff]]``; nothing rounds up to the next day."""
    return _time_from(value, StorageClass.TEXT, value, target, reading)


def _time_from(
    value: int | float | bytes, storage: StorageClass, text: bytes, target: PgType, reading: Reading
) -> Outcome:
    if is_format(reading):
        written = read_format(text, reading.how or "", decimals_of(target))
        if written is not None and written.micros is not None and written.micros < DAY_US:
            return Converted(written.micros, "format")
        return _refuse_number(value, storage, target)
    match = _TIME_ONLY.fullmatch(text)
    time = match and clock(match[1], match[2], match[3], match[4], decimals_of(target))
    if time and time[0] < DAY_US:
        return Converted(time[0], "rounded" if time[1] else None)
    return _from_other(value, storage, target, reading)


# --- numbers -------------------------------------------------------------------------------------------------------

_BY_DIGITS = {"date": _date_from, "timestamp": _timestamp_from, "timestamptz": _timestamp_from, "time": _time_from}


def temporal_from_integer(value: int, target: PgType, reading: Reading) -> Outcome:
    """A number by the column's reading; its digits where that is a format."""
    if is_format(reading):
        return _BY_DIGITS[target.name](value, StorageClass.INTEGER, b"%d" % value, target, reading)
    return _from_other(value, StorageClass.INTEGER, target, reading)


def temporal_from_real(value: float, target: PgType, reading: Reading) -> Outcome:
    """As the integer where there is no fraction; fractions to the microsecond, half to even."""
    if is_format(reading) and value.is_integer() and abs(value) <= EXACT_DOUBLE:
        return _BY_DIGITS[target.name](value, StorageClass.REAL, b"%d" % value, target, reading)
    return _from_other(value, StorageClass.REAL, target, reading)


def _from_other(value: int | float | bytes, storage: StorageClass, target: PgType, reading: Reading) -> Outcome:
    """What is neither ISO 8601 nor in the user's format: a number of an epoch, or a date of nothing but zeros."""
    ratio = None if is_format(reading) else exact_ratio(value, storage)
    dated = target.name != "time"
    if dated and (
        _is_zero_date(value) or (ratio is not None and ratio[0] == 0 and _may_be_zero_date(storage, reading))
    ):
        if reading.zero_dates_as_null:
            return Converted(None, "zero-date-null")
        if reading.how not in EPOCHS or ratio is None:
            return refuse(value, storage, target, flag=ZERO_DATES)
    if ratio is None or reading.how is None:
        return _refuse_number(value, storage, target)
    if not dated:
        return _time_of(value, storage, ratio, target, reading)
    micros = micros_of(ratio, EPOCHS[reading.how], decimals_of(target))
    if not FIRST_INSTANT <= micros < END_OF_INSTANTS:
        return refuse(value, storage, target, f"is out of range for {target} as {reading.how}")
    rule = reading.how if ratio[0] else "epoch-zero"
    if target.name == "timestamptz":
        return Converted(micros, rule)
    local = to_local(micros, reading.timezone)
    if local is None:
        return refuse(value, storage, target, UNKNOWN_YEAR.format(reading.timezone))
    if target.name == "timestamp":
        return Converted(local, rule)
    if local % DAY_US:
        return refuse(value, storage, target, f"has a time, which {target} cannot hold", _cast("timestamp", reading))
    return Converted(local // DAY_US, rule)


def _may_be_zero_date(storage: StorageClass, reading: Reading) -> bool:
    """The number 0; as text only where the column counts from an epoch."""
    return storage is not StorageClass.TEXT or reading.how in EPOCHS


def _is_zero_date(value: int | float | bytes) -> bool:
    return isinstance(value, bytes) and _ZERO_DATE.fullmatch(value) is not None


def _time_of(
    value: int | float | bytes, storage: StorageClass, ratio: tuple[int, int], target: PgType, reading: Reading
) -> Outcome:
    micros = micros_of(ratio, COUNTS[reading.how or ""], decimals_of(target))
    if ratio[0] >= 0 and micros < DAY_US:
        return Converted(micros, reading.how)
    return refuse(value, storage, target, f"is out of range for {target} as {reading.how}")


# --- hints ---------------------------------------------------------------------------------------------------------


def _cast(type_name: str, reading: Reading) -> str:
    return type_name if reading.how is None else f"{type_name}:{reading.how}"


def _refuse_number(value: int | float | bytes, storage: StorageClass, target: PgType) -> Outcome:
    how = likely_how(value, storage, target)
    return refuse(value, storage, target, cast=how and f"{target}:{how}")


def likely_how(value: int | float | bytes, storage: StorageClass, target: PgType) -> str | None:
    """The reading that a value looks as if it wanted; only ever for a hint."""
    if target.name == "time":
        ratio = exact_ratio(value, storage)
        return "seconds" if ratio is not None and 0 <= ratio[0] < 86_400 * ratio[1] else None
    if isinstance(value, bytes):
        match = _LIKELY_FORMAT.fullmatch(value) if storage is StorageClass.TEXT else None
        if match is not None:
            mark = match[1].decode()
            clock_part = "" if b":" not in value else " %H:%M:%S" if match[3] else " %H:%M"
            order = "%m/%d/%Y" if mark == "/" else mark.join(("%d", "%m", "%Y"))
            return order + clock_part
    for digits, how in ((8, "%Y%m%d"), (14, "%Y%m%d%H%M%S")):
        text = value if isinstance(value, bytes) else b"%d" % value if isinstance(value, int) else b""
        if len(text) == digits and read_format(text, how) is not None:
            return how
    ratio = exact_ratio(value, storage)
    return None if ratio is None else likely_epoch(ratio[0] / ratio[1]) if abs(ratio[0]) < 2**900 else None
