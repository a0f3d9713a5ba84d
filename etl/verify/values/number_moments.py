"""Moments of time that are held as numbers: seconds, milliseconds, ticks, days since some origin.

Invariant: number times unit plus origin is computed exactly and rounded once, half to even.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etl.model import PgType, Reading, StorageClass
from etl.verify.values.moments import FIRST_TIMESTAMP, rounded, to_zone, zone_of
from etl.verify.values.wire import DAYS_BEFORE_2000, MICROS_PER_DAY, days_since_2000

Micros = NDArray[np.int64]
Mask = NDArray[np.bool_]
Ratio = tuple[int, int]

NUMBER_TEXT = re.compile(rb"[ \t\n\r\f\v]*(-?[0-9]+(?:\.[0-9]+)?)[ \t\n\r\f\v]*")
MAX_NUMBER_TEXT = 400  # characters
MICROS_1970_TO_2000 = 10_957 * MICROS_PER_DAY
LAST_INSTANT = 2**63 - 1 - MICROS_1970_TO_2000  # 294247-01-10 04:00:54.775807, counted from 2000
CLOSE = 2**52


class Unit(NamedTuple):
    """One unit of a number is ``micros / parts`` microseconds; 0 is ``origin`` microseconds after 2000."""

    micros: int
    parts: int
    origin: int


JULIAN = "julian"  # but for 0, which is 1970
EPOCHS = {
    "epoch-s": Unit(1_000_000, 1, -MICROS_1970_TO_2000),
    "epoch-ms": Unit(1_000, 1, -MICROS_1970_TO_2000),
    "epoch-us": Unit(1, 1, -MICROS_1970_TO_2000),
    "epoch-ns": Unit(1, 1_000, -MICROS_1970_TO_2000),
    "epoch-ticks": Unit(1, 10, -DAYS_BEFORE_2000 * MICROS_PER_DAY),
    "epoch-webkit": Unit(1, 1, days_since_2000(1601, 1, 1) * MICROS_PER_DAY),
    "epoch-2001": Unit(1_000_000, 1, days_since_2000(2001, 1, 1) * MICROS_PER_DAY),
    JULIAN: Unit(MICROS_PER_DAY, 1, -4_903_089 * MICROS_PER_DAY // 2),  # 2000-01-01 00:00 is 2,451,544.5
}

# Without a reading the magnitude tells: disjoint windows; a number outside them all says no instant.
JULIAN_WINDOW = (2_400_000, 2_600_000)
WINDOWS = (
    (10**8, 7_260_000_000, "epoch-s"),
    (10**11, 7_260_000_000_000, "epoch-ms"),
    (10**14, 7_260_000_000_000_000, "epoch-us"),
    (10**18, 7_260_000_000_000_000_000, "epoch-ns"),
)


def shortest_decimal(value: int | float) -> Decimal:
    """The shortest decimal that reads back as the same number: 1.5, not 1.50; 5, not 5.0."""
    number = Decimal(value) if isinstance(value, int) else Decimal(repr(value))
    if number.is_infinite() or number == 0:
        return number if number else Decimal(0)
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        return number
    kept = len(digits)
    while exponent < 0 and kept > 1 and digits[kept - 1] == 0:
        kept, exponent = kept - 1, exponent + 1
    return Decimal((sign, digits[:kept], exponent))


def plain_number(storage: StorageClass, value: int | float | bytes) -> Ratio | None:
    """The number that a cell is, as a fraction: an INTEGER, a REAL by its shortest form, a TEXT of plain digits."""
    if isinstance(value, int):
        return value, 1
    if isinstance(value, float):
        return None if value in (float("inf"), float("-inf")) else Decimal(repr(value)).as_integer_ratio()
    if storage is not StorageClass.TEXT or (match := NUMBER_TEXT.fullmatch(value)) is None:
        return None
    return None if len(match[1]) > MAX_NUMBER_TEXT else Decimal(match[1].decode()).as_integer_ratio()


def number_micros(storage: StorageClass, value: int | float | bytes, kind: PgType, reading: Reading) -> int | None:
    """What a date, timestamp or timestamptz holds for a number: microseconds since 2000, for UTC or the wall clock."""
    number = plain_number(storage, value)
    if number is None or (reading.how is None and storage is StorageClass.TEXT):
        return None
    by_size = reading.how is None or (reading.how == JULIAN and number[0] == 0)
    unit = EPOCHS.get(_window(number) if by_size else reading.how or "")
    if unit is None:
        return None
    parts = number[1] * unit.parts
    instant = rounded(number[0] * unit.micros + unit.origin * parts, parts, kind.length)
    if not FIRST_TIMESTAMP <= instant <= LAST_INSTANT:
        return None
    return instant if kind.name == "timestamptz" else to_zone(instant, zone_of(reading.timezone))


def _window(number: Ratio) -> str:
    numerator, denominator = number
    if numerator == 0:
        return "epoch-s"
    if JULIAN_WINDOW[0] * denominator <= numerator < JULIAN_WINDOW[1] * denominator:
        return JULIAN
    found = (how for low, high, how in WINDOWS if low * denominator <= numerator <= high * denominator)
    return next(found, "none")


# --- whole columns ---------------------------------------------------------------------------------------------------


def integer_micros(values: NDArray[np.int64], how: str | None) -> tuple[Micros, Mask]:
    """Microseconds since 2000 (UTC) of integers under an epoch, or by their windows where ``how`` is None."""
    if how is not None:
        micros, proven = _scaled(values, EPOCHS[how])
        return micros, proven & (values != 0) if how == JULIAN else proven
    micros = np.zeros(len(values), np.int64)
    proven = np.zeros(len(values), np.bool_)
    for low, high, name in WINDOWS:
        inside = (values >= low) & (values <= high)
        if inside.any():
            micros[inside], proven[inside] = _scaled(values[inside], EPOCHS[name])
    return micros, proven


def real_micros(values: NDArray[np.float64], how: str) -> tuple[Micros, Mask]:
    """The same of reals whose shortest form has no more decimals than a microsecond has in this unit.

    A decimal with so few decimals that reads back as the cell is its shortest form where neighbouring doubles lie
    closer than two such decimals, for then there is only one; that holds below 2^52 / power.
    """
    unit = EPOCHS[how]
    power = unit.micros if unit.micros in (1, 1_000, 1_000_000) and unit.parts == 1 else 1
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(values * power)
        proven = (scaled / power == values) & (np.abs(scaled) < CLOSE) & ((values != 0) | (how != JULIAN))
    micros, inside = _scaled(np.where(proven, scaled, 0).astype(np.int64), unit._replace(micros=unit.micros // power))
    return micros, proven & inside


def _scaled(values: NDArray[np.int64], unit: Unit) -> tuple[Micros, Mask]:
    low = -(-(FIRST_TIMESTAMP - unit.origin) * unit.parts // unit.micros)
    high = (LAST_INSTANT - unit.origin) * unit.parts // unit.micros
    proven = (values >= max(low, -(2**63))) & (values <= min(high, 2**63 - 1))
    kept = np.where(proven, values, 0)
    if unit.parts == 1:
        # the product alone may lie outside 64 bits, but not the sum; both wrap alike
        return kept * np.int64(unit.micros) + np.int64(unit.origin), proven
    micros = kept // unit.parts
    twice = 2 * (kept - micros * unit.parts)
    micros += (twice > unit.parts) | ((twice == unit.parts) & (micros & 1 == 1))
    return micros + np.int64(unit.origin), proven
