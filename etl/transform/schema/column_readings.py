"""How the values of each column are to be read: what a cast says after its colon, and the flags that apply to its type.

Invariant: a reading that means nothing for a type is an error of usage, never ignored; a flag reaches only the columns
that it can change.
"""

from __future__ import annotations

from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from etl.errors import UsageError
from etl.model import BINARY_JSON, PgType, Reading
from etl.options import Options
from etl.transform.rows.epochs import EPOCHS
from etl.transform.rows.formats import format_problem
from etl.transform.rows.values import CHARACTER_TYPES
from etl.transform.rows.zones import UTC_NAME

DATED_TYPES = frozenset({"date", "timestamp", "timestamptz"})
# Ranges of dates, and times of day whose offset may be missing.
ZONED_TYPES = frozenset({"timetz", "tsrange", "tstzrange", "daterange"})
FORMATTED_TYPES = DATED_TYPES | {"time"}
READINGS = {
    **dict.fromkeys(DATED_TYPES, tuple(EPOCHS)),
    "time": ("seconds",),
    "interval": ("us", "seconds", "epoch"),
    **dict.fromkeys(("json", "jsonb"), (BINARY_JSON,)),
}
UTC_ALIASES = frozenset({"utc", "etc/utc", "etc/uct", "uct", "zulu", "etc/zulu", "universal", "etc/universal"})


def check_how(target: PgType, how: str, where: str) -> str:
    """The reading as ``Reading.how`` has it. Raises UsageError naming what the type takes; ``where`` begins it."""
    how = how.strip()
    if target.name == "boolean":
        return _check_words(how, where)
    known = READINGS.get(target.name, ())
    if how.lower() in known:
        return how.lower()
    if target.name in FORMATTED_TYPES and "%" in how:
        problem = format_problem(how, target.name)
        if problem is None:
            return how
        raise UsageError(f"{where}: the format {how!r} cannot be read into {target}: {problem}", _takes(target))
    raise UsageError(f"{where}: {target} has no reading {how!r}", _takes(target))


def _check_words(how: str, where: str) -> str:
    true, slash, false = how.lower().partition("/")
    if slash and true != false and "/" not in false:
        return how
    raise UsageError(
        f"{where}: {how!r} is not the word for true, a slash and another word for false", "as in boolean:J/N"
    )


def _takes(target: PgType) -> str:
    """The hint that lists the readings of a type."""
    choices = list(READINGS.get(target.name, ()))
    if target.name in FORMATTED_TYPES:
        choices.append("or a format such as " + ("%H.%M" if target.name == "time" else "%d.%m.%Y"))
    if choices:
        return f"{target} takes {', '.join(choices)}"
    takers = "date, timestamp, timestamptz, time, interval, boolean, json and jsonb"
    return f"{target} takes none: leave the colon out; readings are for {takers}"


def check_timezone(name: str) -> str:
    """The name of an IANA time zone, ``UTC`` for each of its names. Raises UsageError."""
    if name.lower() in UTC_ALIASES:
        return UTC_NAME
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a path out of the zones, a folder of zones
        zones = {zone.lower(): zone for zone in available_timezones()}
        near = get_close_matches(name.lower(), zones, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(zones[zone] for zone in near)}?" if near else "as in Europe/Berlin"
        raise UsageError(f"--timezone {name!r} is not a time zone of the IANA database", hint) from None


def reading_of(target: PgType, how: str | None, options: Options) -> Reading:
    """The reading of a column of this type; flags that mean nothing to its kind are left out.

    A kind is dates and timestamps, or texts: a survey may widen a type within its kind, and the flags stay. Arrays
    and domains are read as what is under them.
    """
    array = target.name.endswith("[]")
    while target.base is not None:
        target = target.base
    dated, character = target.name in DATED_TYPES, target.name in CHARACTER_TYPES
    return Reading(
        how=how,
        timezone=check_timezone(options.timezone) if dated or target.name in ZONED_TYPES else UTC_NAME,
        ambiguous=options.ambiguous if dated else None,
        zero_dates_as_null=dated and options.zero_dates == "null",
        empty_as_null=options.empty_as_null and (array or not character),
        strip_nul=character and options.nul == "strip",
        encoding=options.encoding if character else None,
        truncate=character and options.truncate,
    )
