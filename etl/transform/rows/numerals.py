"""The scalar rules for integers, floating point and numeric (COERCION §2).

Invariant: a decimal is handled by its digits, never by binary arithmetic, so that 1.005 rounds to 1.01.
"""

from __future__ import annotations

import re
import struct
from decimal import Decimal
from typing import NamedTuple

from etl.model import PgType, StorageClass
from etl.transform.rows.outcomes import Converted, Outcome, refuse

INTEGER_BOUNDS = {
    "smallint": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
EXACT_DOUBLE = 2**53  # up to here every integer is a double, and every integral double one integer
DECIMAL128_DIGITS = 38  # a numeric of more digits, or of any number of them, travels as text

# What a numeric of PostgreSQL can hold at most (numeric.c: NUMERIC_WEIGHT_MAX, NUMERIC_DSCALE_MAX).
NUMERIC_WHOLE_DIGITS = 131_072
NUMERIC_FRACTION_DIGITS = 16_383

INFINITY = float("inf")

PLAIN_DECIMAL = re.compile(rb" *(-?)([0-9]+)(?:\.([0-9]+))? *")
_PLAIN_INTEGER = re.compile(rb" *(-?)([0-9]+) *")
_FLOATING = re.compile(rb" *(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?) *")


class Digits(NamedTuple):
    """A decimal number without zeros before ``whole``; those after ``fraction`` were written in a text."""

    negative: bool
    whole: str
    fraction: str

    def __str__(self) -> str:
        sign = "-" if self.negative and (self.whole or self.fraction.strip("0")) else ""
        return sign + (self.whole or "0") + ("." + self.fraction if self.fraction else "")


# --- integers ------------------------------------------------------------------------------------------------------


def integer_from_integer(value: int, target: PgType) -> Outcome:
    """Exact where it is in range."""
    low, high = INTEGER_BOUNDS[target.name]
    if low <= value <= high:
        return Converted(value)
    return refuse(value, StorageClass.INTEGER, target, f"is out of range for {target}", "bigint")


def integer_from_real(value: float, target: PgType) -> Outcome:
    """``real-to-integer`` where there is no fraction and the double names one integer only."""
    if not value.is_integer() or abs(value) > EXACT_DOUBLE:
        return refuse(value, StorageClass.REAL, target)
    low, high = INTEGER_BOUNDS[target.name]
    if low <= value <= high:
        return Converted(int(value), "real-to-integer")
    return refuse(value, StorageClass.REAL, target, f"is out of range for {target}", "bigint")


def integer_from_text(value: bytes, target: PgType) -> Outcome:
    """``text-to-integer`` for a plain decimal integer; spaces around it do not count."""
    match = _PLAIN_INTEGER.fullmatch(value)
    if match is None:
        return refuse(value, StorageClass.TEXT, target)
    digits = match[2].lstrip(b"0") or b"0"
    low, high = INTEGER_BOUNDS[target.name]
    # Python refuses to read integers of thousands of digits: nothing over 19 fits anyway.
    number = int(match[1] + digits) if len(digits) <= 19 else high + 1
    if low <= number <= high:
        return Converted(number, "text-to-integer")
    return refuse(value, StorageClass.TEXT, target, f"is out of range for {target}", "numeric")


# --- floating point ------------------------------------------------------------------------------------------------


def real_from_integer(value: int, target: PgType) -> Outcome:
    """Exact where the type holds the integer, else the nearest value: ``integer-rounded``, ``rounded`` for real."""
    if target.name == "real":
        nearest = _nearest_float4(value)
        return Converted(nearest, None if int(nearest) == value else "rounded")
    nearest = float(value)
    return Converted(nearest, None if int(nearest) == value else "integer-rounded")


def real_from_real(value: float, target: PgType) -> Outcome:
    """Exact for double precision; ``rounded`` where float4 cannot hold it."""
    if target.name != "real":
        return Converted(value)
    single = _float4(value)
    if single is None:
        return refuse(value, StorageClass.REAL, target, f"is out of range for {target}")
    return Converted(single, None if single == value else "rounded")


def real_from_text(value: bytes, target: PgType) -> Outcome:
    """``text-to-real`` for a decimal number, with or without an exponent; spaces around it do not count."""
    match = _FLOATING.fullmatch(value)
    if match is None:
        return refuse(value, StorageClass.TEXT, target)
    nearest = _float4_of_decimal(match[1].decode()) if target.name == "real" else float(match[1])
    mantissa = re.split(rb"[eE]", match[1])[0]
    vanished = nearest == 0 and mantissa.strip(b"-0.") != b""
    if nearest is None or abs(nearest) == INFINITY or vanished:
        return refuse(value, StorageClass.TEXT, target, f"is out of range for {target}")
    return Converted(nearest, "text-to-real")


def _float4(value: float) -> float | None:
    """The nearest float4, None where a finite value becomes infinite or something becomes nothing."""
    try:
        single: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return None
    return None if single == 0 and value != 0 else single


def _float4_of_decimal(text: str) -> float | None:
    """The nearest float4 of a decimal; a double between two of them, which the decimal is not, would round twice."""
    double = float(text)
    single = _float4(double)
    if single is None or single == double:
        return single
    (bits,) = struct.unpack("<i", struct.pack("<f", single))
    away = (double > single) == (single > 0)  # from zero; the bits of a float4 are in the order of their magnitude
    other: float = struct.unpack("<f", struct.pack("<i", bits + (1 if away else -1)))[0]
    number = Decimal(text)
    if single + other != 2 * double or number == double:
        return single
    return max(single, other) if number > double else min(single, other)


def _nearest_float4(value: int) -> float:
    """The nearest float4 of a 64-bit integer, ties to even; by way of a double it would be rounded twice."""
    magnitude = abs(value)
    shift = max(0, magnitude.bit_length() - 24)
    kept, rest = divmod(magnitude, 1 << shift)
    half = (1 << shift) >> 1
    kept += rest > half or (shift > 0 and rest == half and kept & 1)
    return float(-(kept << shift) if value < 0 else kept << shift)


# --- numeric -------------------------------------------------------------------------------------------------------


def numeric_from_integer(value: int, target: PgType) -> Outcome:
    """Exact where the precision allows it."""
    return _numeric(value, StorageClass.INTEGER, Digits(value < 0, str(abs(value)).lstrip("0"), ""), target, None)


def numeric_from_real(value: float, target: PgType) -> Outcome:
    """The shortest decimal that reads back as the double, ``rounded`` where it has more decimals than the scale."""
    if value - value == 0:
        return _numeric(value, StorageClass.REAL, shortest_digits(value), target, None)
    # A server older than 14 has no infinite numeric, and says so.
    if target.precision is None and value in (INFINITY, -INFINITY):
        return Converted("Infinity" if value > 0 else "-Infinity")
    return refuse(value, StorageClass.REAL, target)


def numeric_from_text(value: bytes, target: PgType) -> Outcome:
    """``text-to-numeric`` for a plain decimal number, ``rounded`` where it has more decimals than the scale."""
    match = PLAIN_DECIMAL.fullmatch(value)
    if match is None:
        return refuse(value, StorageClass.TEXT, target)
    digits = Digits(match[1] == b"-", match[2].decode().lstrip("0"), (match[3] or b"").decode())
    return _numeric(value, StorageClass.TEXT, digits, target, "text-to-numeric")


def shortest_digits(value: float) -> Digits:
    """The shortest decimal that reads back as the same finite double."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    shift = int(exponent or "0")
    if shift >= 0:
        fraction = fraction.ljust(shift, "0")
        whole, fraction = whole + fraction[:shift], fraction[shift:]
    else:
        whole = whole.rjust(-shift, "0")
        whole, fraction = whole[:shift], whole[shift:] + fraction
    return Digits(value < 0, whole.lstrip("0"), fraction.rstrip("0"))


def _numeric(
    value: int | float | bytes, storage: StorageClass, digits: Digits, target: PgType, rule: str | None
) -> Outcome:
    if target.precision is None:
        return _unconstrained(value, storage, digits, target, rule)
    scale = target.scale or 0
    rounded = round_digits(digits, scale)
    significant = (rounded.whole + rounded.fraction.ljust(scale, "0")).lstrip("0")
    if len(significant) > target.precision:
        return refuse(value, storage, target, f"is out of range for {target}", "numeric")
    rule = rule if len(digits.fraction.rstrip("0")) <= scale else "rounded"
    if target.precision > DECIMAL128_DIGITS:
        return Converted(str(rounded), rule)
    # From text, since every arithmetic on a Decimal is cut by the precision of the thread's context.
    padded = f"{rounded.whole or '0'}.{rounded.fraction.ljust(scale, '0')}"
    zero = not (rounded.whole or rounded.fraction)
    return Converted(Decimal(f"-{padded}" if rounded.negative and not zero else padded), rule)


def _unconstrained(
    value: int | float | bytes, storage: StorageClass, digits: Digits, target: PgType, rule: str | None
) -> Outcome:
    if len(digits.whole) > NUMERIC_WHOLE_DIGITS or len(digits.fraction) > NUMERIC_FRACTION_DIGITS:
        return refuse(value, storage, target, f"is out of range for {target}")
    return Converted(str(digits), rule)


def round_digits(digits: Digits, scale: int) -> Digits:
    """The number with at most ``scale`` decimals and no zeros after them, halves rounded away from zero."""
    digits = digits._replace(fraction=digits.fraction.rstrip("0"))
    if len(digits.fraction) <= scale:
        return digits
    kept = digits.whole + digits.fraction[:scale]
    if digits.fraction[scale] >= "5":
        kept = _increment(kept)
    kept = kept.rjust(scale, "0")
    whole, fraction = (kept[:-scale], kept[-scale:]) if scale else (kept, "")
    return Digits(digits.negative, whole.lstrip("0"), fraction.rstrip("0"))


def _increment(number: str) -> str:
    """The next natural number; by text, since Python limits the digits of what it converts."""
    nines = len(number) - len(number.rstrip("9"))
    head = number[: len(number) - nines]
    return (head[:-1] + chr(ord(head[-1]) + 1) if head else "1") + "0" * nines
