"""Verification's own reader: every cell with its true storage class, whatever ADBC makes of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi
import pytest

from etl.errors import SourceError
from etl.model import StorageClass
from etl.verify import runs
from etl.verify.source import SourceTableReader
from tests.verifying import Specimen

CLASSES = {int: StorageClass.INTEGER, float: StorageClass.REAL, str: StorageClass.TEXT, bytes: StorageClass.BLOB}
NUMBER_TARGETS = {"numeric", "double precision"}


def read(path: Path, specimen: Specimen) -> list[list[Any]]:
    """Every row as (storage class, value) pairs."""
    rows = []
    with closing(adbc_driver_sqlite.dbapi.connect(f"file:{path}?mode=ro")) as source:
        reader = SourceTableReader(source, specimen.plan)
        for batch in reader.batches():
            assert batch.first == len(rows)
            rows += [[cells.at(row) for cells in batch.columns] for row in range(batch.row_count)]
        assert reader.count() == len(rows)
    return rows


def stored(path: Path, specimen: Specimen) -> list[list[Any]]:
    """The same by Python's sqlite3, texts as bytes."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        names = ", ".join(f'"{name}", typeof("{name}")' for name, _, _ in specimen.columns)
        rows = connection.execute(f'select {names} from "{specimen.name}"').fetchall()
    return [
        [(StorageClass(kind.decode()), value) for value, kind in zip(row[::2], row[1::2], strict=True)] for row in rows
    ]


def assert_same(actual: list[list[Any]], expected: list[list[Any]]) -> None:
    assert len(actual) == len(expected)
    if actual != expected or values_in(actual) != values_in(
        expected
    ):  # all at once; the first row that differs is told
        for ours, theirs in zip(actual, expected, strict=True):
            assert ours == theirs
            assert values_in([ours]) == values_in([theirs])


def values_in(rows: list[list[Any]]) -> str:
    """The values as they are written: -0.0 is not 0.0, and 1 is not 1.0."""
    return repr([[value for _, value in row] for row in rows])


ODD_COLUMNS: dict[str, tuple[str, Sequence[Any]]] = {
    "a text after a thousand integers": ("integer", [*range(3000), "x", 5]),
    "a real after integers": ("", [*range(20_000), 1.5, 2]),
    "a blob between texts": ("text", ["a"] * 20_000 + [b"\x00\xff", "b"]),
    "a blob first": ("blob", [b"a", "b", 1, 2.5, None]),
    "only nulls, then a text": ("text", [None] * 20_000 + ["late"]),
    "only nulls": ("", [None] * 30),
    "integers that no double holds": ("", [2**53, 2**53 + 1, -(2**63), 2**63 - 1, 0.5]),
    "integers and reals for a text": ("", [1, 1.0, 1e15, 1e16, -0.0, "1"]),
    "texts with NUL": ("text", ["a\0b", "\0", "", "\0\0"]),
    "numbers as text in a text column": ("text", ["1", "1.5", "x"]),
    "a text after a thousand reals": ("real", [*map(float, range(20_000)), "x", 5]),
    "a blob among numbers": ("decimal", [*range(9000), 1.5, b"1", 2]),
    "infinity": ("real", [float("inf"), -float("inf"), 5e-324, 0.0]),
    "numbers among the first texts, where the driver guesses": ("", ["a"] * 2000 + [5, "b", 1.5, None]),
    "a number among the first blobs, where the driver guesses": ("", [b"a"] * 2000 + [5, b"b"]),
    "numbers among later texts": ("", ["a"] * 30_000 + [5, "b", 1.5]),
    "an empty blob among texts": ("", [""] * 2000 + [b"", ""]),
    "an empty text among blobs": ("", [b""] * 20_000 + ["", b"\x00"]),
    "every class in turn": ("", [1, 1.5, "a", b"a", None] * 5000),
}


@dataclass(frozen=True)
class OddTable:
    """A file with one odd column ``v``, and its rows as Python's sqlite3 reads them."""

    declared: str
    path: Path
    rows: list[list[Any]]


@pytest.fixture(scope="module", params=ODD_COLUMNS)
def odd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OddTable:
    """Written and read once for all the ways in which it is verified; no test writes to it."""
    declared, values = ODD_COLUMNS[request.param]
    specimen = Specimen("odd", (("n", "integer", "bigint"), ("v", declared, "text")))
    path = specimen.create_source(tmp_path_factory.mktemp("odd") / "s.db", enumerate(values))
    return OddTable(declared, path, stored(path, specimen))


@pytest.mark.parametrize("kind", ["text", "bytea", "bigint", "jsonb", "uuid"])
@pytest.mark.parametrize("largest", [500, 5_000], ids=["small rows", "large rows"])
def test_every_cell_keeps_its_storage_class(odd: OddTable, kind: str, largest: int) -> None:
    """Neither an upcast nor a guess from the first rows changes what a cell is, whatever the guard of large rows."""
    specimen = Specimen("odd", (("n", "integer", "bigint"), ("v", odd.declared, kind)), largest_row_bytes=largest)
    assert_same(read(odd.path, specimen), odd.rows)


def test_numbers_for_a_number_are_read_as_doubles_only_where_that_is_exact(tmp_path: Path) -> None:
    """A numeric column of integers and reals is one double column until an integer is too large for it."""
    specimen = Specimen("n", (("v", "decimal(10,2)", "numeric(10,2)"),))
    values = [(value,) for value in (1, 2.5, -3, None)] * 6000 + [(2**53 + 1,), (4,)]
    path = specimen.create_source(tmp_path / "s.db", values)
    read_values = [row[0][1] for row in read(path, specimen)]
    assert read_values == [value for (value,) in values]
    assert read_values[-2] == 2**53 + 1  # not 2**53


def test_text_that_is_not_utf8_arrives_byte_for_byte(tmp_path: Path) -> None:
    """Bad UTF-8 is a matter for the comparison, not for the reader."""
    specimen = Specimen("t", (("v", "text", "text"),))
    path = specimen.create_source(tmp_path / "s.db", [("a",)])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("insert into t values (cast(x'ff41' as text)), (cast(x'c3' as text))")
        connection.commit()
    assert [row[0] for row in read(path, specimen)] == [
        (StorageClass.TEXT, b"a"),
        (StorageClass.TEXT, b"\xffA"),
        (StorageClass.TEXT, b"\xc3"),
    ]


def test_odd_names_are_only_names(tmp_path: Path) -> None:
    """Quotes, spaces, rowid and SQL words as names of tables and columns."""
    specimen = Specimen(
        'select "x', (('a"b', "", "text"), ("rowid", "", "text"), ("a b", "", "text"), ("null", "", "text"))
    )
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('create table "select ""x" ("a""b", "rowid", "a b", "null")')
        connection.execute("insert into \"select \"\"x\" values (1, 'b', x'00', null)")
        connection.commit()
    with closing(adbc_driver_sqlite.dbapi.connect(f"file:{path}?mode=ro")) as source:
        (batch,) = SourceTableReader(source, specimen.plan).batches()
    assert [cells.at(0)[1] for cells in batch.columns] == [1, b"b", b"\x00", None]


def test_a_covering_index_does_not_change_the_order(tmp_path: Path) -> None:
    """The table itself is scanned, as it was for the load."""
    specimen = Specimen("t", (("id", "integer primary key", "bigint"), ("name", "text", "text")))
    path = specimen.create_source(tmp_path / "s.db", [(1, "c"), (2, "a"), (3, "b")])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create index by_name on t (name, id)")
        connection.execute("analyze")
    assert [row[0][1] for row in read(path, specimen)] == [1, 2, 3]


def test_large_rows_are_read_in_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch holds no more than the limit beside the largest row, wherever the large rows lie."""
    monkeypatch.setattr(runs, "BATCH_BYTES", 50_000)
    specimen = Specimen("b", (("id", "integer", "bigint"), ("v", "blob", "bytea")), largest_row_bytes=100_000)
    sizes = [100_000 if 20_000 <= n < 20_040 or n == 37_000 else n % 7 for n in range(40_000)]
    path = specimen.create_source(tmp_path / "s.db", ((n, b"x" * size) for n, size in enumerate(sizes)))
    largest, rows, batches = 0, 0, 0
    with closing(adbc_driver_sqlite.dbapi.connect(f"file:{path}?mode=ro")) as source:
        for batch in SourceTableReader(source, specimen.plan).batches():
            assert batch.first == rows
            found = [len(cell) for cell in batch.columns[1].dense()[0].array.to_pylist()]
            assert found == sizes[rows : rows + batch.row_count]
            largest = max(largest, sum(found))
            rows, batches = rows + batch.row_count, batches + 1
    assert rows == 40_000
    assert largest <= 150_000
    assert batches < 25_000


def test_an_empty_table_has_no_batches(tmp_path: Path) -> None:
    """Neither with small rows nor where lengths have to be looked at."""
    for largest in (500, 0, 10**7):
        specimen = Specimen("e", (("id", "integer", "bigint"),), largest_row_bytes=largest)
        path = specimen.create_source(tmp_path / f"{largest}.db", [])
        assert read(path, specimen) == []


def test_a_table_that_is_not_there_is_an_error_of_the_source(tmp_path: Path) -> None:
    """With SQLite's own words."""
    path = Specimen("t", (("v", "", "text"),)).create_source(tmp_path / "s.db", [])
    with pytest.raises(SourceError, match="no such table: gone"):
        read(path, Specimen("gone", (("v", "", "text"),)))


def test_utf16_and_without_rowid_are_read_as_any_other(tmp_path: Path) -> None:
    """Texts become UTF-8; the order is that of the primary key."""
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma encoding = 'UTF-16le'")
        connection.execute("create table t (k text primary key, v text) without rowid")
        connection.executemany("insert into t values (?, ?)", [("é", "😀"), ("a", None), ("z", "")])
        connection.commit()
    specimen = Specimen("t", (("k", "text", "text"), ("v", "text", "text")))
    assert [[value for _, value in row] for row in read(path, specimen)] == [
        [b"a", None],
        [b"z", b""],
        ["é".encode(), "😀".encode()],
    ]
