"""Messages count in English."""

from __future__ import annotations

import pytest

from etl.counted_nouns import counted


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_204, "1,204 rows"), (1_000_001, "1,000,001 rows")],
)
def test_one_is_singular_and_thousands_are_separated(number: int, said: str) -> None:
    """ "1 rows" looks like a program that nobody reads."""
    assert counted(number, "row") == said


def test_a_noun_with_a_plural_of_its_own() -> None:
    """Not every noun takes an s, and a verb may go with it."""
    assert [counted(number, "row has", plural="rows have") for number in (1, 2)] == ["1 row has", "2 rows have"]
