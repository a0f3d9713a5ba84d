"""What is said of the size of index entries holds under every compression that PostgreSQL has."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.model import Affinity, ColumnPlan, IndexPlan, PgType, SourceColumn, SourceTable, TablePlan
from etl.transform.survey.entry_sizes import long_rows, unrepeated_bytes

RANDOM_BYTES = st.binary(min_size=1, max_size=3_000)
REPETITIVE = st.lists(st.sampled_from([b"a", b"ab", b"abc", b"\0\0", b"xyzxyz"]), max_size=400).map(b"".join)


@given(value=st.one_of(RANDOM_BYTES, REPETITIVE))
def test_no_method_needs_fewer_bytes_than_those_that_repeat_nothing(value: bytes) -> None:
    """What would be compressed below the bound would be refused by us, and taken by the server."""
    assert unrepeated_bytes(value) <= len(pa.Codec("lz4_raw").compress(value, asbytes=True))
    assert unrepeated_bytes(value) <= len(value)


@pytest.mark.parametrize(
    ("value", "unrepeated"), [(b"", 0), (b"ab", 2), (b"abcdefg", 7), (b"abcabc", 3), (b"aaaaaaa", 1), (b"abcxabcy", 5)]
)
def test_bytes_inside_of_a_repeated_triple_may_be_copied(value: bytes, unrepeated: int) -> None:
    """Three bytes are the least that pglz copies; a copy may overlap what it copies from."""
    assert unrepeated_bytes(value) == unrepeated


def planned(*terms: str, predicate: str | None = None) -> tuple[TablePlan, IndexPlan]:
    source = SourceColumn("t", "TEXT", Affinity.TEXT)
    table = TablePlan(
        SourceTable("t", (source,), largest_row_bytes=5_000), "t", (ColumnPlan(source, "t", PgType("text")),)
    )
    return table, IndexPlan("i", terms, predicate=predicate)


def verdict(value: str, *terms: str, predicate: str | None = None) -> tuple[list[int], list[int]]:
    table, index = planned(*terms, predicate=predicate)
    return long_rows(table, index, {"t": pa.array(["short", value, None])})


def test_an_entry_is_certain_where_it_can_be() -> None:
    """2,692 bytes of text are the most that fit without compression; what repeats itself may always fit."""
    assert verdict("x" * 2_692, '"t"') == ([], [])
    assert verdict("x" * 2_693, '"t"') == ([], [1])
    assert verdict("x" * 1_000_000, '"t"') == ([], [1])


def test_what_no_server_takes_is_refused_here() -> None:
    """What repeats nothing cannot be compressed; whether a partial or computed index has it, only the server knows."""
    incompressible = "".join(f"{number:x}{chr(0x4E00 + number)}" for number in range(1_200))
    assert verdict(incompressible, '"t"') == ([1], [])
    assert verdict(incompressible, '"t" desc') == ([1], [])
    assert verdict(incompressible, '"t"', predicate='"t" > 0') == ([], [1])
    assert verdict(incompressible, 'substr("t", 1, 2)') == ([], [1])
