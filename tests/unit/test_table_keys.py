"""Which indexes a large row may not fit into."""

from __future__ import annotations

import pytest

from etl.model import Affinity, ColumnPlan, IndexPlan, PgType, SourceColumn, SourceTable, TablePlan
from etl.table_keys import SURELY_SMALL_ENTRY, long_indexes


def planned(largest_row_bytes: int, *terms: str) -> TablePlan:
    columns = tuple(
        SourceColumn(name, declared, affinity)
        for name, declared, affinity in (("n", "int", Affinity.INTEGER), ("name", "text", Affinity.TEXT))
    )
    source = SourceTable("t", columns, largest_row_bytes=largest_row_bytes)
    types = (PgType("bigint"), PgType("text"))
    plans = tuple(ColumnPlan(column, column.name, type_) for column, type_ in zip(columns, types, strict=True))
    return TablePlan(source, "t", plans, indexes=(IndexPlan("i", terms),))


@pytest.mark.parametrize(
    ("terms", "times"),
    [
        (('"name"',), 1),
        (('"name" collate "C" desc', '"n"'), 1),
        (('lower("name" collate "C")',), 1),
        (('"name"', '"name"'), 2),  # SQLite allows it
        (("replace(\"name\", 'a', 'aa')",), 4),
    ],
)
def test_an_index_that_holds_a_column_twice_is_long_in_shorter_rows(terms: tuple[str, ...], times: int) -> None:
    """What is not called long is looked at by nobody before the server refuses it."""
    fits = SURELY_SMALL_ENTRY // times
    assert long_indexes(planned(fits, *terms)) == []
    assert [index.name for index in long_indexes(planned(fits + 1, *terms))] == ["i"]


def test_an_index_of_numbers_is_never_long() -> None:
    """However large the rows are."""
    assert long_indexes(planned(1 << 30, '"n"', '"n" desc')) == []
