"""The current time in a DEFAULT: what SQLite's clock functions give, as PostgreSQL gives it.

Invariant: 'now' never reaches PostgreSQL as a literal: it would freeze at the moment of the migration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from sqlglot import exp

from etl.model import PgType
from etl.transform.schema.syntax import Untranslatable, unwrapped, written
from etl.transform.schema.times import time_template

TIMESTAMP_FORMAT, DATE_FORMAT, TIME_FORMAT = "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%H:%M:%S"
CLOCK_WORDS = {
    "current_timestamp": TIMESTAMP_FORMAT,
    "current_date": DATE_FORMAT,
    "current_time": TIME_FORMAT,
}
CLOCK_FUNCTIONS = {"datetime": TIMESTAMP_FORMAT, "date": DATE_FORMAT, "time": TIME_FORMAT}
UTC_NOW = "(now() at time zone 'utc')"  # SQLite's clock functions give UTC without an offset
# months and years are left out: SQLite counts the 31st of a short month on into the next one
SHIFT = re.compile(r"\s*([+-]?\d{1,6})\s+(day|hour|minute|second)s?\s*", re.IGNORECASE)
JULIAN_EPOCH = 2440587.5  # 1970-01-01 as a julian day
MILLISECONDS = re.compile(r"\(?\(?julianday\('now'\)-2440587\.5\)?\*86400(000|\.0|)\)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Clock:
    """The current time as SQLite's function gives it: text in a strftime format, or seconds times ``factor``.

    ``shift`` is an interval as PostgreSQL writes it, '' for none; ``julian`` counts days instead.
    """

    format: str | None
    factor: int = 1
    shift: str = ""
    julian: bool = False
    fine: bool = False  # parts of a second count

    @property
    def now(self) -> str:
        return f"(now() + interval {self.shift})" if self.shift else "now()"

    @property
    def utc(self) -> str:
        return f"({self.now} at time zone 'utc')"


def clock_call(node: exp.Expression) -> Clock:
    """``datetime('now', …)`` and its kin; seconds since 1970 in their usual spellings. Raises Untranslatable."""
    node = unwrapped(node)
    milliseconds = MILLISECONDS.fullmatch(re.sub(r"\s", "", written(node)))
    if milliseconds:
        return Clock(None, 1000, fine=True) if milliseconds[1] == "000" else Clock(None)
    if isinstance(node, exp.Cast) and node.to.this in {exp.DataType.Type.INT, exp.DataType.Type.BIGINT}:
        inner = clock_call(node.this)
        if inner.format is None and not inner.julian:
            return inner
    if isinstance(node, exp.Mul):
        inner, factor = clock_call(node.this), unwrapped(node.expression)
        if inner.format is None and not inner.julian and isinstance(factor, exp.Literal) and factor.this == "1000":
            return replace(inner, factor=inner.factor * 1000)
    if not isinstance(node, exp.Anonymous):
        raise Untranslatable(f"{written(node)} is no constant that is known")
    return _function(node)


def _function(node: exp.Anonymous) -> Clock:
    name = node.name.lower()
    arguments = [str(part.this) if isinstance(part, exp.Literal) else "?" for part in node.expressions]
    format_: str | None = CLOCK_FUNCTIONS.get(name)
    if name == "strftime" and arguments:
        format_, arguments = arguments[0], arguments[1:]
        format_ = None if format_ == "%s" else format_
    elif name not in CLOCK_FUNCTIONS and name not in {"unixepoch", "julianday"}:
        raise Untranslatable(f"{written(node)} is not translated")
    if arguments[:1] not in ([], ["now"]):
        raise Untranslatable(f"{written(node)} is not translated")
    return Clock(format_, shift=_shift(node, arguments[1:]), julian=name == "julianday")


def _shift(node: exp.Anonymous, modifiers: list[str]) -> str:
    """Modifiers such as '+1 day' as one interval."""
    found = [SHIFT.fullmatch(modifier) for modifier in modifiers]
    if not all(found):
        raise Untranslatable(f"{written(node)} is not translated")
    # a day is 24 hours, whatever the clocks of the session's zone do
    words = [
        f"{int(match[1]) * 24} hour" if match[2].lower() == "day" else f"{int(match[1])} {match[2].lower()}"
        for match in found
        if match is not None
    ]
    return f"'{' '.join(words)}'" if words else ""


def render_clock(clock: Clock, type_: PgType) -> str:
    """The current time for a column of this type. Raises Untranslatable."""
    kind = type_.name
    if clock.julian:
        return _julian(clock, kind)
    if clock.format is None:
        return _epoch(clock, type_)
    if kind in {"text", "varchar"}:
        return _clock_text(clock, clock.format, type_.length)
    is_timestamp = re.fullmatch(r"%Y-%m-%d[T ]%H:%M:%[Sf]Z?", clock.format) is not None
    rendered = {
        "timestamp": clock.utc if is_timestamp else None,
        "timestamptz": clock.now if is_timestamp else None,
        "date": f"{clock.utc}::date" if clock.format == DATE_FORMAT else None,
        "time": f"{clock.utc}::time" if clock.format == TIME_FORMAT else None,
    }.get(kind)
    if kind == "timestamp" and clock.format == DATE_FORMAT:
        rendered = f"date_trunc('day', {clock.utc})"
    if rendered is None:
        raise Untranslatable(f"the current time as {clock.format!r} is no {type_}")
    return rendered


def _epoch(clock: Clock, type_: PgType) -> str:
    if clock.fine and type_.name in {"bigint", "numeric"}:
        return f"floor(extract(epoch from {clock.now}) * {clock.factor})::bigint"
    seconds = f"floor(extract(epoch from {clock.now}))::bigint"
    epoch = seconds if clock.factor == 1 else f"({seconds} * {clock.factor})"
    if type_.name in {"bigint", "numeric"}:
        return epoch
    if type_.name == "text":
        return f"{epoch}::text" if clock.factor == 1 else f"({epoch})::text"
    raise Untranslatable(f"seconds since 1970 in a {type_} column are not translated")


def _julian(clock: Clock, kind: str) -> str:
    if kind != "double precision":
        raise Untranslatable(f"a julian day in a {kind} column is not translated")
    return f"(extract(epoch from {clock.now}) / 86400 + {JULIAN_EPOCH})::double precision"


def _clock_text(clock: Clock, sqlite_format: str, length: int | None) -> str:
    """The current time as text: SQLite's format in to_char's words, everything else quoted."""
    template = time_template(sqlite_format)
    sample = datetime(2000, 1, 1).strftime(sqlite_format.replace("%f", "00.000"))
    if length is not None and len(sample) > length:
        raise Untranslatable(f"the current time as {sqlite_format!r} is longer than varchar({length})")
    return f"to_char({clock.utc}, {template})"
