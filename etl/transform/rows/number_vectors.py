"""The vector rules for columns of INTEGER and REAL.

Invariant: floating point decides nothing by itself; what it says of a decimal is believed only within the bounds
in which it is proven right, and all else is odd.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from etl.model import PgType, StorageClass
from etl.transform.rows.buffers import (
    BoolMask,
    boolean_array,
    code_points_over,
    decimal_array,
    fixed_array,
    fixed_values,
    only,
    valid_mask,
)
from etl.transform.rows.characters import longest_text
from etl.transform.rows.numerals import DECIMAL128_DIGITS, EXACT_DOUBLE, INTEGER_BOUNDS
from etl.transform.rows.vectors import Vector, VectorRule, all_odd

Doubles = npt.NDArray[np.float64]

# Two decimals of 15 digits are never the same double, so one that reads back as the double is its shortest.
_UNIQUE_DECIMALS = 10**15
_EXACT_POWERS = 22  # 10**22 is the last power of ten that is a double
# Below this, v·10^s in floating point is off by less than a thousandth: far from a half it rounds as the decimal does.
_SURE_ROUNDING = 1e12
_TIE_MARGIN = 1e-3
# Between these, Arrow writes a double as Python's repr does, digits and point, without an exponent.
_PLAIN_TEXT = (1e-4, 1e10)


def _ignore_overflow() -> Any:
    """Anything may stand behind a null, and overflow is looked for afterwards."""
    return np.errstate(all="ignore")


# --- INTEGER -------------------------------------------------------------------------------------------------------


def _integers_to_integers(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    if target.name == "bigint":
        return Vector(array)
    low, high = INTEGER_BOUNDS[target.name]
    return Vector(array.cast(arrow_type, safe=False), _outside(array, low, high))


def _outside(array: pa.Array, low: int, high: int) -> BoolMask | None:
    """Which integers are out of bounds; None for none."""
    values = fixed_values(array, np.int64)
    if values.size == 0 or (values.min() >= low and values.max() <= high):
        return None
    outside: BoolMask = valid_mask(array) & ((values < low) | (values > high))
    return outside


def _integers_to_doubles(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    odd = _outside(array, -EXACT_DOUBLE, EXACT_DOUBLE)
    values = array.cast(pa.float64(), safe=False)
    if target.name == "double precision":
        return Vector(values, odd)
    singles = array.cast(arrow_type, safe=False)
    rounded = fixed_values(singles, np.float32).astype(np.float64) != fixed_values(values, np.float64)
    return Vector(singles, odd, (("rounded", rounded),))


def _integers_to_numeric(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    if target.precision is None:
        return Vector(array.cast(pa.string()))
    if target.precision > DECIMAL128_DIGITS:
        return all_odd(array, target, arrow_type)
    scale = target.scale or 0
    factor = 10**scale
    bound = min((10**target.precision - 1) // factor, (2**63 - 1) // factor)
    odd = _outside(array, -bound, bound)
    values = fixed_values(array, np.int64)
    unscaled = np.zeros_like(values) if bound == 0 else values * np.int64(factor)
    return Vector(decimal_array(arrow_type, unscaled, valid_mask(array)), odd)


def _integers_to_booleans(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    values = fixed_values(array, np.int64)
    return Vector(boolean_array(values == 1, valid_mask(array)), _outside(array, 0, 1))


def _integers_to_text(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    strings = array.cast(pa.string())
    every = np.ones(len(array), np.bool_)
    return Vector(strings, code_points_over(strings, longest_text(target)), (("number-to-text", every),))


def _integers_to_json(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    return Vector(array.cast(pa.string()), None, (("number-to-json", np.ones(len(array), np.bool_)),))


# --- REAL ----------------------------------------------------------------------------------------------------------


def _reals_to_integers(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    low, high = INTEGER_BOUNDS[target.name]
    values, valid = fixed_values(array, np.float64), valid_mask(array)
    whole = (np.rint(values) == values) & (values >= max(low, -EXACT_DOUBLE))
    whole &= values <= min(high, EXACT_DOUBLE)
    integers = np.where(whole, values, 0).astype(arrow_type.to_pandas_dtype())
    return Vector(fixed_array(arrow_type, integers, valid), valid & ~whole, (("real-to-integer", whole),))


def _reals_to_doubles(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    if target.name == "double precision":
        return Vector(array)
    values, valid = fixed_values(array, np.float64), valid_mask(array)
    with _ignore_overflow():
        singles = values.astype(np.float32)
    rounded = singles.astype(np.float64) != values
    lost = rounded & (np.isinf(singles) | (singles == 0) | np.isnan(values))
    return Vector(fixed_array(arrow_type, singles, valid), valid & lost, (("rounded", rounded),))


def _reals_to_numeric(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    scale = target.scale or 0
    if target.precision is None:
        strings, odd = _plain_decimals(array, fraction="")
        return Vector(strings, odd)
    if target.precision > DECIMAL128_DIGITS or scale > _EXACT_POWERS:
        return all_odd(array, target, arrow_type)
    valid = valid_mask(array)
    with _ignore_overflow():
        units, exact, rounded = _units(fixed_values(array, np.float64), scale, target.precision)
    sure = exact if rounded is None else exact | rounded
    unscaled = np.where(sure, units, 0).astype(np.int64)
    coerced = () if rounded is None else (("rounded", rounded),)
    return Vector(decimal_array(arrow_type, unscaled, valid), valid & ~sure, coerced)


def _units(values: Doubles, scale: int, precision: int) -> tuple[Doubles, BoolMask, BoolMask | None]:
    """The values in units of 10^-scale; where they are exactly that, and where they are surely rounded to it."""
    factor = 10.0**scale
    scaled = values * factor
    units = np.rint(scaled)
    within = np.abs(units) < min(10**precision, _UNIQUE_DECIMALS)
    exact = (units / factor == values) & within
    if exact.all():
        return units, exact, None
    from_half = np.abs(np.abs(scaled - np.floor(scaled)) - 0.5)
    rounded = within & ~exact & (np.abs(scaled) < _SURE_ROUNDING) & (from_half > _TIE_MARGIN)
    return units, exact, rounded


def _reals_to_booleans(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    values, valid = fixed_values(array, np.float64), valid_mask(array)
    true = values == 1.0
    known = true | (values == 0.0)
    return Vector(boolean_array(true, valid), valid & ~known, (("real-to-boolean", known),))


def _reals_to_text(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    strings, odd = _plain_decimals(array, fraction=".0")
    over = code_points_over(strings, longest_text(target))
    odd = odd if over is None else odd | over
    return Vector(strings, odd, (("number-to-text", ~odd),))


def _reals_to_json(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    strings, odd = _plain_decimals(array, fraction=".0")
    return Vector(strings, odd, (("number-to-json", ~odd),))


def _plain_decimals(array: pa.Array, fraction: str) -> tuple[pa.Array, BoolMask]:
    """The reals in digits without an exponent, whole ones ending in ``fraction``; and which ones are odd."""
    values, valid = fixed_values(array, np.float64), valid_mask(array)
    magnitude = np.abs(values)
    whole = (np.rint(values) == values) & (magnitude < _UNIQUE_DECIMALS)
    if fraction:
        whole &= ~((values == 0) & np.signbit(values))  # -0.0 has no integer
    plain = (magnitude >= _PLAIN_TEXT[0]) & (magnitude < _PLAIN_TEXT[1])
    integers = fixed_array(pa.int64(), np.where(whole, values, 0).astype(np.int64), valid & whole)
    strings = integers.cast(pa.string())
    if fraction:
        strings = pc.binary_join_element_wise(strings, fraction, "")
    return pc.coalesce(strings, only(array, plain).cast(pa.string())), valid & ~whole & ~plain


_INTEGER_RULES: dict[str, VectorRule] = {
    "smallint": _integers_to_integers,
    "integer": _integers_to_integers,
    "bigint": _integers_to_integers,
    "real": _integers_to_doubles,
    "double precision": _integers_to_doubles,
    "numeric": _integers_to_numeric,
    "boolean": _integers_to_booleans,
    "text": _integers_to_text,
    "varchar": _integers_to_text,
    "char": _integers_to_text,
    "citext": _integers_to_text,
    "json": _integers_to_json,
    "jsonb": _integers_to_json,
}
_REAL_RULES: dict[str, VectorRule] = {
    "smallint": _reals_to_integers,
    "integer": _reals_to_integers,
    "bigint": _reals_to_integers,
    "real": _reals_to_doubles,
    "double precision": _reals_to_doubles,
    "numeric": _reals_to_numeric,
    "boolean": _reals_to_booleans,
    "text": _reals_to_text,
    "varchar": _reals_to_text,
    "char": _reals_to_text,
    "citext": _reals_to_text,
    "json": _reals_to_json,
    "jsonb": _reals_to_json,
}
NUMBER_RULES = {StorageClass.INTEGER: _INTEGER_RULES, StorageClass.REAL: _REAL_RULES}
