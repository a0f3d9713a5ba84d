"""Times of day and offsets, from their digits.

Invariant: a time is rounded once, from all its digits, half to even; what no clock shows is None.
"""

from __future__ import annotations

from etl.model import PgType
from etl.transform.rows.epochs import divide

LARGEST_OFFSET_HOURS = 15  # as PostgreSQL (datetime.h: MAX_TZDISP_HOUR)
NO_OFFSET = 1 << 20  # an offset that no zone has: the text is no moment


def decimals_of(target: PgType) -> int:
    """How many decimals of a second a type keeps: n of ``timestamp(n)``, at most six."""
    return 6 if target.length is None else min(target.length, 6)


def clock(
    hour: bytes,
    minute: bytes,
    second: bytes | None,
    fraction: bytes | None,
    decimals: int = 6,
    *,
    midnight_after: bool = False,
) -> tuple[int, bool] | None:
    """Microseconds of the day, and whether they were rounded; None for a time that does not exist.

    ``fraction`` has at most nine digits. ``midnight_after`` allows ``24:00:00``.
    """
    hours, minutes, seconds = int(hour), int(minute), int(second or b"0")
    nanos = int((fraction or b"0").ljust(9, b"0"))
    past = (minutes, seconds, nanos) != (0, 0, 0)
    if hours > 24 or (hours == 24 and (past or not midnight_after)) or minutes > 59 or seconds > 59:
        return None
    # all of it at once: whether 27.5 seconds go up or down is told by the 27
    whole = ((hours * 60 + minutes) * 60 + seconds) * 10**9 + nanos
    return divide(whole, 10 ** (9 - decimals)) * 10 ** (6 - decimals), len(fraction or b"") > decimals


def offset_minutes(text: bytes | None) -> int | None:
    """Minutes east of UTC, None for a local time, ``NO_OFFSET`` for what is out of range."""
    if text is None:
        return None
    if text[-1:] in b"ZC":  # Z, UTC
        return 0
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(b":") or b"0")
    if hours > LARGEST_OFFSET_HOURS or minutes > 59:
        return NO_OFFSET
    return (hours * 60 + minutes) * (-1 if text[:1] == b"-" else 1)
