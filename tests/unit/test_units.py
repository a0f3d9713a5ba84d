"""Figures are written for people, and sizes are read as people write them."""

from __future__ import annotations

import pytest

from etl.shell.units import clock, count, duration, parse_bytes, short_count, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2MB", 2 << 20),
        ("512kB", 512 << 10),
        ("512 KiB", 512 << 10),
        ("1g", 1 << 30),
        ("65536", 65536),
        ("1.5MB", 3 << 19),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, expected: int) -> None:
    """With and without space, i and B, in any case."""
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "2 parsecs", "1e6", "2MBB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """The message repeats what was given."""
    with pytest.raises(ValueError, match="is not a size"):
        parse_bytes(text)


def test_figures_keep_three_digits_and_their_unit() -> None:
    """No figure is longer than a column, and none jumps at a border."""
    assert [short_count(n) for n in (0, 999, 1000, 9_994, 41_260, 999_900, 1_250_000)] == [
        "0",
        "999",
        "1.00k",
        "9.99k",
        "41.3k",
        "1.00M",
        "1.25M",
    ]
    assert [size(n) for n in (0, 1023, 1024, 5 << 20, 3 << 30)] == ["0 B", "1023 B", "1.00 kB", "5.00 MB", "3.00 GB"]
    assert [duration(s) for s in (0.041, 9.99, 12.34, 99.96, 245, 7980)] == [
        "0.04 s",
        "9.99 s",
        "12.3 s",
        "1 min 40 s",
        "4 min 05 s",
        "2 h 13 min",
    ]
    assert [clock(s) for s in (0, 7, 750, 11_220)] == ["0:00", "0:07", "12:30", "3:07:00"]
    assert count(1204) == "1,204"
