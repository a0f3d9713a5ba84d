"""Local time and UTC: what ``--timezone`` and ``--ambiguous`` mean.

Invariant: a local time that does not exist or exists twice is never given an instant unless the user chose one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

UTC_NAME = "UTC"
UNKNOWN_YEAR = "is outside the years 1 to 9999, in which {} is known"
_EPOCH = datetime(1970, 1, 1)


class Instant(NamedTuple):
    """Microseconds since 1970 in UTC; ``rule`` where a local time had more than one reading."""

    micros: int
    rule: str | None = None


def to_utc(local: int, zone: str, ambiguous: str | None) -> Instant | str:
    """The instant of a local time, in microseconds since 1970; what is wrong with it where it has none.

    A local time in a gap and one in an overlap have two readings each, by the offset before the change and by the
    one after it; ``earliest`` takes the earlier of the two instants, ``latest`` the later one.
    """
    if zone == UTC_NAME:
        return Instant(local)
    try:
        wall = _EPOCH + timedelta(microseconds=local)
    except OverflowError:
        return UNKNOWN_YEAR.format(zone)
    before, after = (local - _offset(wall.replace(tzinfo=_zone(zone), fold=fold)) for fold in (0, 1))
    if before == after:
        return Instant(before)
    if ambiguous == "earliest":
        return Instant(min(before, after), "ambiguous-earliest")
    if ambiguous == "latest":
        return Instant(max(before, after), "ambiguous-latest")
    return f"exists twice in {zone}" if before < after else f"does not exist in {zone}"


def to_local(instant: int, zone: str) -> int | None:
    """What clocks in the zone show at an instant; None outside the years 1 to 9999, here and in UTC."""
    if zone == UTC_NAME:
        return instant
    try:
        moment = (_EPOCH + timedelta(microseconds=instant)).replace(tzinfo=UTC)
        return instant + _offset(moment.astimezone(_zone(zone)))
    except OverflowError:
        return None


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _offset(moment: datetime) -> int:
    """Microseconds east of Greenwich."""
    offset = moment.utcoffset() or timedelta()
    return (offset.days * 86_400 + offset.seconds) * 1_000_000 + offset.microseconds
