"""``--cast table.column=type[:how]``: what the user decides about a column's type and the reading of its values.

Invariant: of several casts that match a column the last given wins, and a cast that matches nothing is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from etl.errors import UsageError
from etl.model import PgType, SourceCatalog
from etl.transform.schema.column_readings import check_how
from etl.transform.schema.types import parse_type

# The last "=" before what may be a type: a table's name and a format may hold one too.
_CAST = re.compile(r"(.+)=\s*([A-Za-z][^=:]*)(?::(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Cast:
    text: str  # as given
    pattern: str  # table.column in lower case, a glob
    type: PgType
    how: str | None = None  # as Reading.how

    def matches(self, table: str, column: str) -> bool:
        return matches_glob(f"{table}.{column}", self.pattern)


def parse_casts(texts: Iterable[str]) -> tuple[Cast, ...]:
    """Read the flags' values. Raises UsageError."""
    return tuple(_parse_cast(text) for text in texts)


def _parse_cast(text: str) -> Cast:
    match = _CAST.fullmatch(text)
    if match is None or "." not in match[1]:
        raise UsageError(f"--cast {text!r} is not table.column=type", "as in --cast orders.total=numeric(12,2)")
    target = parse_type(match[2])
    how = None if match[3] is None else check_how(target, match[3], f"--cast {text!r}")
    return Cast(text, match[1].strip().lower(), target, how)


def cast_for(casts: Sequence[Cast], table: str, column: str) -> Cast | None:
    """The last cast that matches."""
    return next((cast for cast in reversed(casts) if cast.matches(table, column)), None)


def require_matches(casts: Sequence[Cast], catalog: SourceCatalog) -> None:
    """Raise UsageError, with the nearest names, for a cast that matches no column."""
    names = [f"{table.name}.{column.name}" for table in catalog.tables for column in table.columns]
    for cast in casts:
        if not any(matches_glob(name, cast.pattern) for name in names):
            raise UsageError(f"--cast {cast.text!r} matches no column", near_misses(cast.pattern, names))


def matches_glob(name: str, pattern: str) -> bool:
    """SQLite's names have no case; a name with brackets matches itself, whatever a glob would make of them."""
    lowered = pattern.lower()
    return name.lower() == lowered or fnmatchcase(name.lower(), lowered)


def near_misses(pattern: str, names: Iterable[str]) -> str | None:
    """A hint with the names that look like the pattern."""
    by_lower = {name.lower(): name for name in names}
    near = get_close_matches(pattern.lower(), by_lower, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(by_lower[name] for name in near)}?"
    shown = list(by_lower.values())[:5]
    return f"there are {', '.join(shown)}{' …' if len(by_lower) > len(shown) else ''}" if shown else None
