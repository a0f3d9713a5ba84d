"""Which vector rule reads a column of dates or times under its reading.

Invariant: as in `fixed_rules`: a rule proves only what `equivalents` says too, and what it does not prove is read cell
by cell. Formats, and whatever depends on a zone's clock, have no vector rule.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.model import PgType, Reading, StorageClass
from etl.verify.values.instants import (
    Mask,
    Micros,
    date_days,
    time_micros,
    timestamp_micros,
    unzoned_micros,
    zoned_micros,
)
from etl.verify.values.moments import grid_of, zone_of
from etl.verify.values.number_moments import EPOCHS, integer_micros, real_micros
from etl.verify.values.wire import MICROS_PER_DAY
from etl.verify.values.zone_days import utc_to_walls, walls_to_utc

MOMENTS = frozenset({"date", "time", "timestamp", "timestamptz"})
MomentRule = Callable[[pa.Array], tuple[Micros, Mask]]


def moment_rule(storage: StorageClass, kind: PgType, reading: Reading) -> MomentRule | None:
    """The rule for cells of one storage class, or None where they are read cell by cell."""
    if storage is StorageClass.TEXT:
        rule = _text_rule(kind, reading)
    elif storage is StorageClass.BLOB:
        return None
    else:
        rule = _number_rule(storage, kind, reading)
    unit = grid_of(kind.length)
    return rule if rule is None or unit == 1 else partial(_on_grid, rule, unit)


def _text_rule(kind: PgType, reading: Reading) -> MomentRule | None:
    if reading.how is not None and reading.how not in EPOCHS and reading.how != "seconds":
        return None
    if kind.name == "date":
        return date_days
    if kind.name == "time":
        return time_micros
    zone = zone_of(reading.timezone)
    return timestamp_micros if zone is UTC else partial(_texts_in_zone, zone, kind.name == "timestamp")


def _texts_in_zone(zone: tzinfo, as_wall: bool, texts: pa.Array) -> tuple[Micros, Mask]:
    """Naive texts are the zone's wall clock, the others say UTC; ``as_wall`` tells which of both is wanted."""
    naive, is_naive = unzoned_micros(texts)
    if not as_wall:
        naive, steady = walls_to_utc(naive, zone)
        is_naive &= steady
    if is_naive.all():
        return naive, is_naive
    zoned, is_zoned = zoned_micros(texts)
    if as_wall:
        zoned, steady = utc_to_walls(zoned, zone)
        is_zoned &= steady
    return np.where(is_naive, naive, zoned), is_naive | is_zoned


def _number_rule(storage: StorageClass, kind: PgType, reading: Reading) -> MomentRule | None:
    if kind.name == "time":
        integers = storage is StorageClass.INTEGER and reading.how == "seconds"
        return _seconds if integers else None
    by_magnitude = reading.how is None and storage is StorageClass.INTEGER and kind.name != "date"
    if reading.how not in EPOCHS and not by_magnitude:
        return None
    convert: Callable[..., tuple[Micros, Mask]] = real_micros if storage is StorageClass.REAL else integer_micros
    zone = UTC if kind.name == "timestamptz" else zone_of(reading.timezone)
    return partial(_instants, convert, reading.how, zone, MICROS_PER_DAY if kind.name == "date" else 1)


def _instants(
    convert: Callable[..., tuple[Micros, Mask]], how: str | None, zone: tzinfo, unit: int, array: pa.Array
) -> tuple[Micros, Mask]:
    """Numbers of an epoch by the zone's clock, in units of so many microseconds where they are whole."""
    micros, proven = convert(_numbers(array), how)
    if zone is not UTC:
        micros, steady = utc_to_walls(micros, zone)
        proven &= steady
    if unit == 1:
        return micros, proven
    units = micros // unit
    return units, proven & (units * unit == micros)


def _seconds(array: pa.Array) -> tuple[Micros, Mask]:
    seconds = _numbers(array)
    proven = (seconds >= 0) & (seconds < 86_400)
    return np.where(proven, seconds, 0) * np.int64(1_000_000), proven


def _on_grid(rule: MomentRule, unit: int, array: pa.Array) -> tuple[Micros, Mask]:
    """Only what needs no rounding to the type's decimals."""
    micros, proven = rule(array)
    return micros, proven & (micros % unit == 0)


def _numbers(array: pa.Array) -> NDArray[Any]:
    return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
