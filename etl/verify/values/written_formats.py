"""Dates and times that are written in a format of the user's own: ``%d.%m.%Y``.

Invariant: the format is matched by the whole value and nothing but the format; what it says has to exist.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from etl.model import StorageClass
from etl.verify.values.moments import NANOS_PER_DAY, Written, clock_nanos, day_number, offset_micros
from etl.verify.values.wire import is_leap

COMPOSED = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y"}
SHORT = frozenset("mdHIMS")  # one or two digits where no digit stands beside them
DIGITS = frozenset("YyjfmdHIMS")
MONTHS = (
    b"January", b"February", b"March", b"April", b"May", b"June", b"July", b"August", b"September", b"October",
    b"November", b"December",
)  # fmt: skip
WEEKDAYS = (b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday", b"Sunday")
EXACT = 2**53


def _one_of(names: tuple[bytes, ...]) -> bytes:
    return b"|".join(names)


def _three(names: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(name[:3] for name in names)


PATTERNS = {
    "Y": rb"[0-9]{4}",
    "y": rb"[0-9]{2}",
    "j": rb"[0-9]{3}",
    "f": rb"[0-9]{1,9}",
    "b": _one_of(_three(MONTHS)),
    "B": _one_of(MONTHS),
    "a": _one_of(_three(WEEKDAYS)),
    "A": _one_of(WEEKDAYS),
    "p": rb"AM|PM",
    "z": rb" ?UTC|Z|[+-][0-9]{2}(?::?[0-9]{2})?",
}


@dataclass(frozen=True, slots=True)
class Format:
    """A format that is ready to match."""

    pattern: re.Pattern[bytes]
    directives: str  # their letters, in the order of the groups

    def read(self, value: bytes) -> Written | None:
        """What the value says; without a date in the format, the time of day 2000-01-01."""
        match = self.pattern.fullmatch(value)
        if match is None:
            return None
        said: dict[str, bytes] = {}
        for letter, text in zip(self.directives, match.groups(), strict=True):
            if said.setdefault(letter, text) != text:
                return None  # said twice, and differently
        days = _days(said) if self.has_date else 0
        nanos = _nanos(said)
        offset = offset_micros(said["z"].strip().upper()) if "z" in said else None
        if days is None or nanos is None or ("z" in said and offset is None):
            return None
        return Written(days * NANOS_PER_DAY + nanos, offset)

    @property
    def has_date(self) -> bool:
        return any(letter in "YymdbBjaA" for letter in self.directives)

    @property
    def is_complete(self) -> bool:
        """Whether it says a day without a doubt, or a time without a day."""
        said = set(self.directives)
        if not self.has_date:
            return bool(said & set("HI")) and ("I" in said) == ("p" in said)
        day = "j" in said or ("d" in said and bool(said & set("mbB")))
        return bool(said & set("Yy")) and day and ("I" in said) == ("p" in said)


@lru_cache(maxsize=64)
def format_of(how: str) -> Format | None:
    """The format that ``how`` spells, or None where it holds a directive that has no meaning here."""
    tokens = _tokens(how)
    if tokens is None:
        return None
    parts, letters = [], ""
    for place, (directive, text) in enumerate(tokens):
        if not directive:
            parts.append(re.escape(text.encode()))
            continue
        letters += directive
        if directive in SHORT:
            beside = tokens[max(place - 1, 0) : place] + tokens[place + 1 : place + 2]
            parts.append(rb"([0-9]{2})" if any(map(_is_digits, beside)) else rb"([0-9]{1,2})")
        else:
            parts.append(b"(" + PATTERNS[directive] + b")")
    return Format(re.compile(b"".join(parts), re.IGNORECASE), letters)


def _tokens(how: str) -> list[tuple[str, str]] | None:
    """(directive, '') and ('', literal character), the composed directives taken apart."""
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(how):
        if how[at] != "%":
            tokens.append(("", how[at]))
            at += 1
            continue
        letter = how[at + 1 : at + 2]
        at += 2
        if letter in COMPOSED:
            tokens += _tokens(COMPOSED[letter]) or []
        elif letter == "%":
            tokens.append(("", "%"))
        elif letter and (letter in SHORT or letter in PATTERNS):
            tokens.append((letter, ""))
        else:
            return None
    return tokens


def _is_digits(token: tuple[str, str]) -> bool:
    directive, text = token
    return directive in DIGITS if directive else text in "0123456789"


def _days(said: dict[str, bytes]) -> int | None:
    year = int(said["Y"]) if "Y" in said else _full_year(int(said["y"]))
    days = _day_of_year(year, int(said["j"])) if "j" in said else day_number(year, _month(said), int(said["d"]))
    if days is None:
        return None
    weekday = (days + 5) % 7  # 2000-01-01 was a Saturday
    for letter, names in (("a", _three(WEEKDAYS)), ("A", WEEKDAYS)):
        if letter in said and said[letter].upper() != names[weekday].upper():
            return None
    return days


def _full_year(year: int) -> int:
    return year + (1900 if year >= 69 else 2000)


def _month(said: dict[str, bytes]) -> int:
    for letter, names in (("b", _three(MONTHS)), ("B", MONTHS)):
        if letter in said:
            return 1 + [name.upper() for name in names].index(said[letter].upper())
    return int(said["m"])


def _day_of_year(year: int, day: int) -> int | None:
    first = day_number(year, 1, 1)
    return first + day - 1 if first is not None and 1 <= day <= 365 + is_leap(year) else None


def _nanos(said: dict[str, bytes]) -> int | None:
    hour = said.get("H", b"0")
    if "I" in said:
        if not 1 <= int(said["I"]) <= 12:
            return None
        hour = b"%d" % (int(said["I"]) % 12 + 12 * (said["p"].upper() == b"PM"))
    if int(hour) > 23:
        return None
    return clock_nanos(hour, said.get("M", b"0"), said.get("S", b"0"), said.get("f"))


def as_digits(storage: StorageClass, value: int | float | bytes) -> bytes | None:
    """What a format is matched with: a TEXT as stored, a whole number by its digits."""
    if isinstance(value, bytes):
        return value if storage is StorageClass.TEXT else None
    if isinstance(value, float) and (not value.is_integer() or abs(value) > EXACT):
        return None
    return b"%d" % int(value)
