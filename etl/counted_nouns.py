"""A number and its noun, for every message: ``1 row``, ``1,204 rows``."""

from __future__ import annotations


def counted(number: int, noun: str, *, plural: str | None = None) -> str:
    """``1 value``, ``1,204 values``; ``plural`` where an s at the end does not make it."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
