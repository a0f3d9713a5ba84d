"""Counts, bytes, rates and times as a person reads them, and byte sizes as a person writes them.

Invariant: reading and writing agree: 1 kB is 1024 bytes, as in PostgreSQL's own settings.
"""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)i?b?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_bytes(text: str) -> int:
    """Bytes of ``2MB``, ``512kB``, ``1 GiB`` or ``65536``; raises ValueError for anything else."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 512kB or 2MB")
    return int(float(match[1]) * _FACTORS[match[2].lower()])


def count(number: float) -> str:
    """A count in full, with thousands separators: ``1,204``."""
    return f"{int(number):,}"


def short_count(number: float) -> str:
    """A count in at most five characters: ``812``, ``41.3k``, ``1.25M``."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit * 0.9995:
            return f"{_three_digits(number / limit)}{suffix}"
    return f"{number:.0f}"


def size(number: float) -> str:
    """Bytes with a unit: ``812 B``, ``41.3 kB``, ``1.25 MB``."""
    for limit, unit in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if number >= limit * 0.9995:
            return f"{_three_digits(number / limit)} {unit}"
    return f"{number:.0f} B"


def duration(seconds: float) -> str:
    """A time that has passed: ``0.04 s``, ``12.3 s``, ``4 min 05 s``, ``2 h 13 min``."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def clock(seconds: float) -> str:
    """A time that is left, of a steady width: ``0:07``, ``12:30``, ``3:07:00``."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _three_digits(number: float) -> str:
    if number < 9.995:
        return f"{number:.2f}"
    return f"{number:.1f}" if number < 99.95 else f"{number:.0f}"
