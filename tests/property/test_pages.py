"""Every cell arrives as SQLite stores it: the plain reading is proven right, the split reading is exact."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.extract.catalog import read_catalog
from etl.extract.cursor import read_by_cursor
from etl.extract.pages import read_pages
from etl.extract.sizes import read_sizes
from etl.extract.snapshot import open_snapshot
from tests.reading import told

DECLARED = [
    "",
    "TEXT",
    "INTEGER",
    "REAL",
    "NUMERIC",
    "BLOB",
    "DATE",
    "BOOLEAN",
    "DECIMAL(10,2)",
    "UUID",
    "VARCHAR(9)",
    "POINT",
]
EDGE_CELLS: list[Any] = [
    None, 0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 0.0, -0.0, 5e-324, 1.7976931348623157e308,
    0.1 + 0.2, 1e15, 1e16, 5.0, 5.5, float("inf"), float("-inf"), "", " 12 ", "12", "1e5", "0x10", "Inf", "-Inf", "nan",
    "2024-01-31", "2024-02-30 12:00:00", "a\x00b", "\x00", "é\u0301", "１２", "\ufffd", b"", b"\xff\x00", b"12",
    "c9bf9e57-1685-4c89-bafb-ff5af830be8a", '{"a": 1}', "1.0e-05", "9223372036854775808",
]  # fmt: skip

cells = st.one_of(
    st.sampled_from(EDGE_CELLS),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.binary(max_size=12),
)
# a column leans on one of these, so that most plain readings are nearly provable
BASES: list[st.SearchStrategy[Any]] = [
    st.integers(-9, 9),
    st.floats(-9, 9),
    st.sampled_from([2**53 + 1, -(2**53) - 1, 2**63 - 1, 7, 0.5]),
    st.sampled_from(["a", "2024-01-02", "1.0e-05"]),
    st.binary(max_size=3),
]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[Any]]]:
    declared = draw(st.lists(st.sampled_from(DECLARED), min_size=1, max_size=5))
    columns = []
    row_count = draw(st.integers(0, 40))
    for _ in declared:
        base = draw(st.sampled_from(BASES))
        dirty = st.one_of(base, base, base, cells, st.none())
        kind = draw(st.sampled_from([base, st.one_of(base, st.none()), dirty]))
        column = draw(st.lists(kind, min_size=row_count, max_size=row_count))
        columns.append(column)
    return declared, [list(row) for row in zip(*columns, strict=True)]


def build(path: Path, declared: list[str], rows: list[list[Any]], without_rowid: bool) -> list[tuple[Any, ...]]:
    """Make the table and return what SQLite says of every cell: (typeof, the value's bytes or itself)."""
    connection = sqlite3.connect(path)
    connection.execute("pragma synchronous = off")
    connection.text_factory = bytes
    key = "k integer primary key"
    columns = "".join(f", c{i} {kind}" for i, kind in enumerate(declared))
    connection.execute(f"create table t ({key}{columns}){' without rowid' if without_rowid else ''}")
    marks = ", ".join("?" * (len(declared) + 1))
    connection.executemany(f"insert into t values ({marks})", [[i * 3 - 50, *row] for i, row in enumerate(rows)])
    connection.commit()
    terms = ", ".join(f"typeof(c{i}), c{i}" for i in range(len(declared)))
    stored = connection.execute(f"select {terms} from t order by k").fetchall()
    connection.close()
    return stored


async def read_all(path: Path, page_bytes: int, by_cursor: bool) -> list[tuple[Any, ...]]:
    async with open_snapshot(path, 1) as snapshot, snapshot.reader() as reader:
        (table,) = (await read_catalog(snapshot.python, read_sizes(reader))).tables
        pages = (
            read_by_cursor(snapshot.python, table, page_bytes) if by_cursor else read_pages(reader, table, page_bytes)
        )
        rows: list[tuple[Any, ...]] = []
        async for page in pages:
            rows += [
                tuple(p for values in page.columns[1:] for p in told(values, row)) for row in range(page.row_count)
            ]
        return rows


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(table=tables(), page_bytes=st.sampled_from([1, 300, 2 << 20]), without_rowid=st.booleans())
def test_every_cell_arrives_with_its_storage_class(
    table: tuple[list[str], list[list[Any]]], page_bytes: int, without_rowid: bool
) -> None:
    """Whatever the declared type and the value, pages of any size tell typeof and value exactly as SQLite does."""
    declared, rows = table
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source.db"
        stored = build(path, declared, rows, without_rowid)
        assert repr(asyncio.run(read_all(path, page_bytes, without_rowid))) == repr(stored)
