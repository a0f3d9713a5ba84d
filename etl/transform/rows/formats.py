"""Dates and times written in a format that the user names, as in ``date:%d.%m.%Y`` (docs/coercion.md, "Formats").

Invariant: the whole text follows the format or it is refused; names are English, no locale is asked, nothing is
guessed.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from etl.transform.rows.daytime import NO_OFFSET, clock, offset_minutes
from etl.transform.rows.gregorian import days_from_civil, days_in_month

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEKDAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_SHORTHANDS = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y"}
_DIGITS = {"Y": 4, "y": 2, "m": 2, "d": 2, "j": 3, "H": 2, "I": 2, "M": 2, "S": 2}  # of each directive of digits
_FIXED = frozenset("Yyj")  # always written with all their digits
_WORDS = {
    "f": rb"[0-9]{1,9}",
    "b": "|".join(MONTHS).encode(),
    "B": "|".join(MONTH_NAMES).encode(),
    "a": "|".join(WEEKDAYS).encode(),
    "A": "|".join(WEEKDAY_NAMES).encode(),
    "p": b"am|pm",
    "z": rb"Z| ?UTC|[+-][0-9]{2}(?::?[0-9]{2})?",
}
DIRECTIVES = "".join(f"%{letter} " for letter in (*_DIGITS, *_WORDS)) + " ".join(("%%", *_SHORTHANDS))


class Written(NamedTuple):
    """What a text says by a format: days since 1970, microseconds of the day, minutes east."""

    days: int
    micros: int | None  # None where the format has no time
    offset_minutes: int | None


@cache
def format_problem(format: str, kind: str) -> str | None:  # noqa: A002 - what it is called everywhere
    """Why a format cannot be read into a date, timestamp, timestamptz or time; None where it can."""
    letters = _letters(format)
    unknown = [letter for letter in letters if letter not in _DIGITS and letter not in _WORDS]
    if unknown or _expanded(format).replace("%%", "").count("%") != len(letters):
        named = f"%{unknown[0]}" if unknown else "a lone %"
        return f"it has {named}; known are {DIRECTIVES}"
    parts = {"Y": "year", "y": "year", "m": "month", "b": "month", "B": "month", "d": "day", "H": "hour", "I": "hour"}
    found = [parts.get(letter, letter) for letter in letters]
    if len(set(found)) < len(found):
        return "it says something twice"
    return _missing(frozenset(found), letters, kind)


def _missing(found: frozenset[str], letters: list[str], kind: str) -> str | None:
    date = {"year", "month", "day"} <= found or ({"year", "j"} <= found and not {"month", "day"} & found)
    if kind == "time":
        if found & {"year", "month", "day", "j", "a", "A", "z"}:
            return "a time has no date and no offset"
        if "hour" not in found:
            return "it has no hour"
    elif not date:
        return "it needs %Y %m %d (or %y; or %b, %B; or %Y %j)"
    order = ("hour", "M", "S", "f")
    there = [part in found for part in order]
    if there != sorted(there, reverse=True) or ("z" in found and "hour" not in found):
        return "hour, minute, second and fraction need each what stands before them"
    if ("I" in letters) != ("p" in found):
        return "%I and %p need each other"
    return None


@cache
def _expanded(format: str) -> str:  # noqa: A002
    return re.sub(r"%.", lambda match: _SHORTHANDS.get(match[0], match[0]), format, flags=re.DOTALL)


def _letters(format: str) -> list[str]:  # noqa: A002
    """The directives in their order, without ``%%``."""
    return [letter for letter in re.findall(r"%(.)", _expanded(format), re.DOTALL) if letter != "%"]


@cache
def _pattern(format: str) -> re.Pattern[bytes]:  # noqa: A002
    """Digits that touch other digits are all written; elsewhere a leading zero may be missing."""
    parts = re.findall(r"%.|[^%]", _expanded(format), re.DOTALL)
    pattern = b""
    for place, part in enumerate(parts):
        letter = part[1:]
        if not letter or letter == "%":
            pattern += re.escape(part[:1].encode())
            continue
        pattern += b"(?P<%s>" % letter.encode()
        if letter in _WORDS:
            pattern += _WORDS[letter] + b")"
            continue
        touched = any(_is_digits(other) for other in parts[max(place - 1, 0) : place] + parts[place + 1 : place + 2])
        least = _DIGITS[letter] if touched or letter in _FIXED else 1
        pattern += b"[0-9]{%d,%d})" % (least, _DIGITS[letter])
    return re.compile(pattern, re.IGNORECASE)


def _is_digits(part: str) -> bool:
    return part.isdigit() or (part[:1] == "%" and part[1:] in (*_DIGITS, "f"))


def read_format(text: bytes, format: str, decimals: int = 6) -> Written | None:  # noqa: A002
    """What a text says by a format without problems; None where it does not follow it or names no real time."""
    match = _pattern(format).fullmatch(text)
    if match is None:
        return None
    found = match.groupdict()
    days = _days(found)
    if days is None:
        return None
    time = None
    if "H" in found or "I" in found:
        time = clock(_hour(found), found.get("M") or b"0", found.get("S"), found.get("f"), decimals)
        if time is None:
            return None
    offset = offset_minutes(found["z"].upper()) if "z" in found else None
    if offset == NO_OFFSET:
        return None
    return Written(days, None if time is None else time[0], offset)


def _hour(found: dict[str, bytes]) -> bytes:
    """The hour of 24; ``99`` for an hour of 12 that does not exist."""
    if "H" in found:
        return found["H"]
    hour = int(found["I"])
    afternoon = found["p"].lower() == b"pm"
    return b"%d" % (hour % 12 + 12 * afternoon) if 1 <= hour <= 12 else b"99"


def _days(found: dict[str, bytes]) -> int | None:
    """Days since 1970 of the date in a text, 0 where the format has none."""
    year = _year(found)
    if year is None:
        return 0
    if year < 1:
        return None
    if "j" in found:
        day_of_year = int(found["j"])
        length = 337 + days_in_month(year, 2)
        days = days_from_civil(year, 1, 1) + day_of_year - 1 if 1 <= day_of_year <= length else None
    else:
        month, day = _month(found), int(found["d"])
        if not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):
            return None
        days = days_from_civil(year, month, day)
    return days if days is not None and _right_weekday(found, days) else None


def _year(found: dict[str, bytes]) -> int | None:
    """Two digits are 1969 to 2068, as POSIX has it."""
    if "Y" in found:
        return int(found["Y"])
    if "y" not in found:
        return None
    year = int(found["y"])
    return year + (1900 if year >= 69 else 2000)


def _month(found: dict[str, bytes]) -> int:
    if "m" in found:
        return int(found["m"])
    if "b" in found:
        return MONTHS.index(found["b"].lower().decode()) + 1
    return MONTH_NAMES.index(found["B"].lower().decode()) + 1


def _right_weekday(found: dict[str, bytes], days: int) -> bool:
    name = found.get("a") or found.get("A")
    return name is None or name.lower().decode()[:3] == WEEKDAYS[(days + 3) % 7]  # 1970-01-01 was a Thursday
