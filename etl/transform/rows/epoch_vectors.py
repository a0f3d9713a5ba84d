"""The vector rules for dates and times held as numbers.

Invariant: 64-bit integers throughout, within bounds that cannot overflow; what would have to be rounded in floating
point is odd.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from etl.model import PgType, Reading
from etl.transform.rows.buffers import BoolMask, fixed_array, fixed_values, some, valid_mask
from etl.transform.rows.daytime import decimals_of
from etl.transform.rows.epochs import COUNTED, END_OF_INSTANTS, EPOCHS, FIRST_INSTANT, SECOND_US, Epoch
from etl.transform.rows.gregorian import DAY_US
from etl.transform.rows.numerals import EXACT_DOUBLE
from etl.transform.rows.vectors import Vector, all_odd
from etl.transform.rows.zones import UTC_NAME

Numbers = npt.NDArray[np.int64]

_SAFE = 2**62  # no sum or product of what is at most this, and of an origin, leaves 64 bits
_UNIQUE_DECIMALS = 10**15  # two decimals of 15 digits are never the same double
_FRACTION = 10**5  # of a second: with the seconds of our time, no more than 15 digits


def integers_to_temporal(reading: Reading, array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    """Whole numbers of an epoch, or seconds of the day."""
    if _in_zone(reading, target):
        return all_odd(array, target, arrow_type)
    epoch, values = COUNTED[reading.how or ""], fixed_values(array, np.int64)
    low, high = _bounds(epoch)
    sure = (values >= low) & (values <= high)
    micros = _micros(np.where(sure, values, 0), epoch)
    return _vector(reading, array, target, arrow_type, micros, sure, values == 0)


def reals_to_temporal(reading: Reading, array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    """Reals without a fraction as integers; seconds with at most five decimals exactly; other fractions are odd."""
    if _in_zone(reading, target):
        return all_odd(array, target, arrow_type)
    epoch, values = COUNTED[reading.how or ""], fixed_values(array, np.float64)
    low, high = _bounds(epoch)
    with np.errstate(all="ignore"):
        sure = (np.rint(values) == values) & (values >= max(low, -EXACT_DOUBLE)) & (values <= min(high, EXACT_DOUBLE))
        micros = _micros(np.where(sure, values, 0).astype(np.int64), epoch)
        if epoch.unit_us == SECOND_US and not sure.all():
            units = np.rint(values * _FRACTION)
            short = ~sure & (units / _FRACTION == values) & (np.abs(units) < _UNIQUE_DECIMALS)
            parts = np.where(short, units, 0).astype(np.int64) * (SECOND_US // _FRACTION) + epoch.origin_us
            micros, sure = np.where(short, parts, micros), sure | short
    return _vector(reading, array, target, arrow_type, micros, sure, values == 0)


def _in_zone(reading: Reading, target: PgType) -> bool:
    """Whether an instant has to be told in local time."""
    return target.name in ("timestamp", "date") and reading.timezone != UTC_NAME


def _bounds(epoch: Epoch) -> tuple[int, int]:
    """Between which numbers the arithmetic is safe and the instants are those of a timestamp."""
    first, last = FIRST_INSTANT - epoch.origin_us, END_OF_INSTANTS - 1 - epoch.origin_us
    low, high = max(first, -_SAFE) * epoch.divisor, min(last, _SAFE) * epoch.divisor
    return max(-(-low // epoch.unit_us), -(2**63)), min(high // epoch.unit_us, 2**63 - 1)


def _micros(values: Numbers, epoch: Epoch) -> Numbers:
    """Microseconds since 1970, rounded half to even."""
    if epoch.divisor == 1:
        return values * np.int64(epoch.unit_us) + np.int64(epoch.origin_us)
    quotient, rest = np.divmod(values, np.int64(epoch.divisor))
    quotient += (2 * rest > epoch.divisor) | ((2 * rest == epoch.divisor) & (quotient % 2 == 1))
    return quotient + np.int64(epoch.origin_us)


def _vector(
    reading: Reading,
    array: pa.Array,
    target: PgType,
    arrow_type: pa.DataType,
    micros: Numbers,
    sure: BoolMask,
    zero: BoolMask,
) -> Vector:
    valid, how = valid_mask(array), reading.how or ""
    zero_us = COUNTED[how].zero_us
    if zero_us is not None:
        micros = np.where(zero, np.int64(zero_us), micros)
    grain = DAY_US if target.name == "date" else 10 ** (6 - decimals_of(target))
    if grain > 1:
        sure = sure & (micros % grain == 0)
    if target.name == "time":
        sure = sure & (micros >= 0) & (micros < DAY_US)
    if reading.zero_dates_as_null and target.name != "time":
        sure = sure & ~zero
    values = (micros // DAY_US).astype(np.int32) if target.name == "date" else micros
    coerced = ((how, ~zero), ("epoch-zero", zero)) if how in EPOCHS else ((how, sure),)
    odd = valid & ~sure
    return Vector(fixed_array(arrow_type, values, valid), some(odd), coerced)
