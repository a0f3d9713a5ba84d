"""A number and its noun, for every message: ``1 row``, ``1,204 rows``; some names of many."""

from __future__ import annotations

from collections.abc import Sequence

NAMED_AT_MOST = 10


def counted(number: int, noun: str, *, plural: str | None = None) -> str:
    """``1 value``, ``1,204 values``; ``plural`` where an s at the end does not make it."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def some(names: Sequence[str]) -> str:
    """The names, or the first of them and how many more there are."""
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more
