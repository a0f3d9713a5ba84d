"""Numeric payloads of whole columns: the same as value by value, in words of eight bytes and in groups."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from etl.verify.values.decimals import numeric_payloads
from etl.verify.values.wire import pack_numeric

WHOLE = (0, 1, 9_999, 10_000, 10_001, 99_990_000, 100_000_000, 10**11, 10**12 - 1, 10**12, 10**15, 10**16, 2**63)


@pytest.mark.parametrize("groups", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("largest", WHOLE)
def test_a_column_says_what_each_of_its_values_says(groups: int, largest: int) -> None:
    """Zero groups at either end and between, signs, nothing at all: however many groups the largest value has."""
    fractions = sorted({0, *(digits * 10_000**place for place in range(groups) for digits in (1, 5_000, 9_999))})
    cells = [(n, f, sign) for n in WHOLE if n <= largest for f in fractions for sign in (1, -1)]
    scale = 4 * groups
    actual = numeric_payloads(
        np.array([sign < 0 for _, _, sign in cells]),
        np.array([whole for whole, _, _ in cells], np.uint64),
        np.array([fraction for _, fraction, _ in cells], np.uint64),
        groups,
        scale,
    )
    values = [sign * (whole * 10**scale + fraction) for whole, fraction, sign in cells]
    expected = [pack_numeric(Decimal(f"{value}e-{scale}")) for value in values]
    assert actual.to_pylist() == expected
