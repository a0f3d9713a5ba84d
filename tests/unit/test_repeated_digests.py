"""Keys that repeat are found among any number of rows, in flat memory."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from etl import repeated_digests
from etl.repeated_digests import RepeatedDigests


@pytest.mark.parametrize("held", [7, 200_000])
def test_every_row_but_the_first_of_its_kind_is_counted(monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    """In memory and from files alike; small numbers, which are their own digests, go to many files too."""
    monkeypatch.setattr(repeated_digests, "HELD_RECORDS", held)
    values = [random.Random(place).randrange(400) for place in range(1_000)]
    with RepeatedDigests() as repeated:
        for first in range(0, 1_000, 50):
            part = np.array(values[first : first + 50], np.uint64)
            repeated.add(np.stack((part, np.zeros_like(part)), axis=1), np.arange(first, first + 50))
        found = repeated.settle(5)
    assert found.count == 1_000 - len(set(values))
    expected = [(place, values.index(value)) for place, value in enumerate(values) if values.index(value) < place]
    assert found.first == expected[:5]
    assert Counter(values).most_common(1)[0][1] > 2


def test_both_halves_of_a_digest_tell_rows_apart() -> None:
    """Half of a digest is the same by chance in a table of some billions."""
    with RepeatedDigests() as repeated:
        repeated.add(np.array([[1, 1], [1, 2], [2, 1], [1, 2]], np.uint64), np.arange(4))
        found = repeated.settle(9)
    assert (found.count, found.first) == (1, [(3, 1)])
