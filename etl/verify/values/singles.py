"""PostgreSQL's ``real``: four bytes, rounded once from whatever SQLite holds.

Invariant: half to even, and never by way of a double (which would round twice).
"""

from __future__ import annotations

import struct
from fractions import Fraction

SMALLEST_EXPONENT = -149  # of the last bit of a denormal number
DIGITS = 24
LARGEST = (2**24 - 1) * 2**104


def pack_single(value: Fraction) -> bytes | None:
    """The nearest binary32, big-endian; None where it would be infinite."""
    magnitude = abs(value)
    if not magnitude:
        return struct.pack(">f", 0.0)
    exponent = max(_exponent_of(magnitude) - DIGITS + 1, SMALLEST_EXPONENT)
    steps = round(magnitude / Fraction(2) ** exponent)  # half to even
    if steps * Fraction(2) ** exponent > LARGEST:
        return None
    single = float(steps * Fraction(2) ** exponent)  # exact: 24 bits in 53
    return struct.pack(">f", -single if value < 0 else single)


def _exponent_of(magnitude: Fraction) -> int:
    """The largest e with 2^e <= magnitude."""
    guess = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return guess if Fraction(2) ** guess <= magnitude else guess - 1
