"""``--cast table.column=type``: what the user decides about a column's type.

Invariant: of several casts that match a column the last given wins, and a cast that matches nothing is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from etl.errors import UsageError
from etl.model import PgType, SourceCatalog
from etl.transform.schema.types import parse_type


@dataclass(frozen=True, slots=True)
class Cast:
    text: str  # as given
    pattern: str  # table.column in lower case, a glob
    type: PgType

    def matches(self, table: str, column: str) -> bool:
        return matches_glob(f"{table}.{column}", self.pattern)


def parse_casts(texts: Iterable[str]) -> tuple[Cast, ...]:
    """Read the flags' values. Raises UsageError."""
    casts = []
    for text in texts:
        pattern, equals, type_text = text.rpartition("=")
        if not equals or "." not in pattern:
            raise UsageError(f"--cast {text!r} is not table.column=type", "as in --cast orders.total=numeric(12,2)")
        name, colon, reading = type_text.partition(":")
        if colon:
            raise UsageError(
                f"--cast {text!r}: the reading ':{reading}' is not supported", f"a plain type, as in {pattern}={name}"
            )
        casts.append(Cast(text, pattern.strip().lower(), parse_type(name)))
    return tuple(casts)


def cast_for(casts: Sequence[Cast], table: str, column: str) -> PgType | None:
    """The type that the last matching cast gives."""
    return next((cast.type for cast in reversed(casts) if cast.matches(table, column)), None)


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
