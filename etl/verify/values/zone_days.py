"""A zone's clock for whole columns, day by day: where a day has one offset from end to end, all of it has.

Invariant: a clock is never changed twice within a day so that both ends agree (in all of tzdata the changes of a zone
lie more than three days apart, which a test checks); moments of a day with a change are left to `equivalents`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from etl.verify.values.wire import MICROS_PER_DAY

Micros = NDArray[np.int64]
Mask = NDArray[np.bool_]
KEPT_DAYS = 1 << 15  # 90 years
_SECOND = timedelta(seconds=1)


def walls_to_utc(micros: Micros, zone: tzinfo) -> tuple[Micros, Mask]:
    """UTC of wall clocks, and where that is proven."""
    offsets, proven = _by_day(micros, zone, _offset_of_wall_day)
    return micros - offsets, proven


def utc_to_walls(micros: Micros, zone: tzinfo) -> tuple[Micros, Mask]:
    """The zone's wall clocks at instants, and where that is proven."""
    offsets, proven = _by_day(micros, zone, _offset_of_utc_day)
    return micros + offsets, proven


def _by_day(micros: Micros, zone: tzinfo, offset_of: Callable[[tzinfo, int], int | None]) -> tuple[Micros, Mask]:
    days, which = np.unique(micros // MICROS_PER_DAY, return_inverse=True)
    found = [offset_of(zone, day) for day in days.tolist()]
    offsets = np.array([offset or 0 for offset in found], np.int64)
    known = np.array([offset is not None for offset in found], np.bool_)
    return offsets[which], known[which]


@lru_cache(maxsize=KEPT_DAYS)
def _offset_of_wall_day(zone: tzinfo, day: int) -> int | None:
    """Microseconds east of Greenwich on a day of the zone's calendar, None where that changes or is not known."""
    ends = _ends(day)
    if ends is None:
        return None
    return _one({end.replace(tzinfo=zone, fold=fold).utcoffset() for end in ends for fold in (0, 1)})


@lru_cache(maxsize=KEPT_DAYS)
def _offset_of_utc_day(zone: tzinfo, day: int) -> int | None:
    """The same on a day of UTC."""
    ends = _ends(day)
    return None if ends is None else _one({end.replace(tzinfo=UTC).astimezone(zone).utcoffset() for end in ends})


def _ends(day: int) -> tuple[datetime, datetime] | None:
    """The first moment of a day since 2000 and of the next one; none near the ends of the years 1 to 9999."""
    if not -730_000 < day < 2_921_000:
        return None
    start = datetime(2000, 1, 1) + timedelta(days=day)
    return start, start + timedelta(days=1)


def _one(offsets: set[timedelta | None]) -> int | None:
    (offset, *others) = offsets
    return None if others or offset is None else offset // _SECOND * 1_000_000
