"""Rows read from the leaves of a table's b-tree are the rows that SQLite reads, whatever the file went through."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.errors import EtlError
from etl.extract.catalog import read_catalog
from etl.extract.database_file import DatabaseFile
from etl.extract.leaf_pages import read_leaf_pages
from etl.extract.pages import read_pages
from etl.extract.reader import Reader
from etl.extract.sizes import read_sizes
from etl.extract.snapshot import open_snapshot, python_reader
from etl.model import SourcePage, SourceTable
from tests.reading import told

DECLARED = ["", "TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB", "DECIMAL(10,2)", "VARCHAR(9)", "POINT"]
CELLS: list[Any] = [
    None, 0, 1, -1, 127, -128, 128, 2**15, -(2**23), 2**31, 2**47, 2**53 + 1, 2**63 - 1, -(2**63), 0.0, -0.0, 5e-324,
    5.0, 5.5, 1e300, float("inf"), float("-inf"), "", "12", "1e5", "a\x00b", "\x00", "é\u0301", b"", b"\xff\x00", b"12",
]  # fmt: skip
BAD_UTF_8 = b"\xff\xfe\x00a"
ROWIDS = [-(2**63), -1, 0, 1, 127, 128, 2**14, 2**28, 2**56, 2**63 - 1]

Read = Callable[[DatabaseFile, Reader, SourceTable, int], AsyncGenerator[SourcePage, None]]

short_cells = st.one_of(
    st.sampled_from(CELLS),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.binary(max_size=12),
)
long_cells = st.builds(lambda cell, times: cell * times, st.sampled_from(["é~", b"\x00\xfe"]), st.integers(0, 900))
rowids = st.one_of(st.sampled_from(ROWIDS), st.integers(-200, 200), st.integers(-(2**63), 2**63 - 1))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Declared types, and what happened to the table: statements with their parameters."""
    declared = draw(st.lists(st.sampled_from(DECLARED), min_size=1, max_size=4))
    if draw(st.integers(0, 9)) == 0:
        declared *= 40  # a header of more than 127 bytes
    leaning = draw(st.sampled_from([short_cells, st.integers(-300, 300), st.just("some text"), st.floats(-9, 9)]))
    cells = st.one_of(leaning, leaning, leaning, leaning, short_cells, draw(st.sampled_from([short_cells, long_cells])))
    marks = ", ".join("?" * (len(declared) + 1))
    names = ", ".join(f"c{i}" for i in range(len(declared)))
    insert = st.builds(
        lambda rowid, row: (f"insert or replace into t values ({marks})", (rowid, *row)),
        rowids,
        st.lists(cells, min_size=len(declared), max_size=len(declared)),
    )
    rows = [
        (
            f"insert into t values ({marks})",
            (None, *draw(st.lists(cells, min_size=len(declared), max_size=len(declared)))),
        )
        for _ in range(draw(st.integers(0, 12)))
    ]
    event = st.one_of(
        insert,
        insert,
        st.builds(lambda cell, rowid: ("update t set c0 = ? where k >= ?", (cell, rowid)), cells, st.integers(0, 12)),
        st.builds(lambda rowid: ("delete from t where k = ?", (rowid,)), rowids),
        st.sampled_from(
            [
                ("vacuum", ()),
                ("alter table t add column added TEXT", ()),
                ("alter table t add column filled INTEGER default 7", ()),
                ("alter table t add column worded TEXT default 'é'", ()),
                ("alter table t add column real_filled REAL default 5", ()),
                ("alter table t add column number_filled NUMERIC default '1.5'", ()),
                ("alter table t add column blob_filled default x'00ff'", ()),
                ("alter table t drop column added", ()),
                ("update t set c0 = cast(? as text)", (BAD_UTF_8,)),
                (f"insert into t ({names}) select {names} from t", ()),
                (f"insert into t ({names}) select {names} from t", ()),
                ("delete from t where k % 3 = 0", ()),
            ]
        ),
    )
    return declared, [*rows, *draw(st.lists(event, max_size=14))]


def make_file(path: Path, page_bytes: int, reserved: int, auto_vacuum: int) -> None:
    """An empty database with pages of this size, at whose ends some bytes are reserved (no pragma sets that)."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma synchronous = off")
        connection.execute(f"pragma page_size = {page_bytes}")
        connection.execute(f"pragma auto_vacuum = {auto_vacuum}")
        connection.execute("create table gone (x)")
        connection.execute("drop table gone")
        connection.execute("vacuum")
    content = bytearray(path.read_bytes())
    content[20] = reserved
    content[105:107] = ((page_bytes - reserved) % 65536).to_bytes(2, "big")
    path.write_bytes(content)


def stored_rows(path: Path) -> list[tuple[Any, ...]]:
    """Rowid, then typeof and value of every column, as SQLite tells them."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        names = [row[1].decode() for row in connection.execute("pragma table_xinfo(t)")][1:]
        terms = "".join(f", typeof({name}), {name}" for name in names)
        return connection.execute(f"select k{terms} from t order by k").fetchall()


async def rows_of(pages: AsyncGenerator[SourcePage, None]) -> AsyncGenerator[tuple[Any, ...], None]:
    """In the words of ``stored_rows``."""
    expected = 0
    async for page in pages:
        assert page.number == expected
        expected += 1
        keys = page.keys[0].to_pylist()
        assert [told(page.columns[0], row)[1] for row in range(page.row_count)] == keys
        for row in range(page.row_count):
            yield (keys[row], *(part for values in page.columns[1:] for part in told(values, row)))


async def read_alone(path: Path, page_bytes: int) -> list[tuple[Any, ...]]:
    """Without a guardian: nobody writes."""
    async with python_reader(path) as python:
        (table,) = (await read_catalog(python)).tables
        file, reader = DatabaseFile(path), Reader(path)
        reader.pin()
        rows = [row async for row in rows_of(read_leaf_pages(file, reader, table, page_bytes))]
        reader.close()
        file.close()
        return rows


async def read_snapshot(path: Path, page_bytes: int) -> list[tuple[Any, ...]]:
    async with open_snapshot(path, 1) as snapshot, snapshot.reader() as reader:
        (table,) = (await read_catalog(snapshot.python, read_sizes(reader))).tables
        assert snapshot.file is not None
        return [row async for row in rows_of(read_leaf_pages(snapshot.file, reader, table, page_bytes))]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    history=histories(),
    file=st.tuples(st.sampled_from([512, 1024, 4096, 65536]), st.sampled_from([0, 0, 12, 32]), st.integers(0, 2)),
    page_bytes=st.sampled_from([1, 3000, 2 << 20]),
)
def test_the_leaves_tell_what_sqlite_tells(
    history: tuple[list[str], list[tuple[Any, ...]]], file: tuple[int, int, int], page_bytes: int
) -> None:
    """Every rowid, storage class and value, after inserts, updates, deletes, VACUUM and ALTER TABLE in any order."""
    declared, events = history
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source.db"
        make_file(path, *file)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("pragma synchronous = off")  # each event is a transaction of its own
            columns = "".join(f", c{i} {kind}" for i, kind in enumerate(declared))
            connection.execute(f"create table t (k integer primary key{columns})")
            for sql, parameters in events:
                with contextlib.suppress(sqlite3.OperationalError, sqlite3.IntegrityError):
                    connection.execute(sql, parameters)
            assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert repr(asyncio.run(read_alone(path, page_bytes))) == repr(stored_rows(path))


def make_tall(path: Path, journal_mode: str = "delete") -> None:
    """A table of three levels of small pages, with a hole in its keys and rows that were moved."""
    make_file(path, 512, 0, 0)
    chance = random.Random(7)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"pragma journal_mode = {journal_mode}")
        connection.execute("create table t (k integer primary key, c0 INTEGER, c1 REAL, c2 TEXT, c3 NUMERIC, c4 BLOB)")
        connection.execute("begin")
        for key in range(6000):
            row = (
                key,
                chance.randrange(-(2**20), 2**40),
                chance.random(),
                "x" * chance.randrange(90),
                key / 4,
                b"\0\xff",
            )
            connection.execute("insert into t values (?, ?, ?, ?, ?, ?)", row)
        connection.execute("delete from t where k between 2000 and 2999")
        connection.execute("update t set c2 = c2 || c2 where k % 7 = 0")
        connection.execute("commit")


def make_overflowing(path: Path) -> None:
    """Rows of one to thirty pages, some in pages that others left behind, in no order."""
    make_file(path, 1024, 8, 0)
    chance = random.Random(11)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("create table t (k integer primary key, c0 TEXT, c1 BLOB, c2 INTEGER)")
        connection.execute("begin")
        for key in range(450):
            text = "".join(chance.choices("abcd ~é", k=chance.choice([3, 40, 900, 980, 1000, 4000, 29_000])))
            row = (key, text, chance.randbytes(chance.choice([0, 9, 1012, 2100])), key)
            connection.execute("insert into t values (?, ?, ?, ?)", row)
            if key % 3 == 0:
                connection.execute("delete from t where k = ?", (chance.randrange(key + 1),))
        connection.execute("commit")


@pytest.fixture(scope="module")
def tall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tall") / "source.db"
    make_tall(path)
    return path


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("overflowing") / "source.db"
    make_overflowing(path)
    return path


@pytest.mark.parametrize("page_bytes", [1, 5000, 2 << 20])
def test_a_tall_tree_is_read_without_sqlite(tall: Path, page_bytes: int, caplog: pytest.LogCaptureFixture) -> None:
    """Three levels, pages of every size: and the fallback, which would hide a mistake, is never used."""
    with caplog.at_level(logging.DEBUG, "etl"):
        found = asyncio.run(read_snapshot(tall, page_bytes))
    assert repr(found) == repr(stored_rows(tall))
    assert len(found) == 5000
    assert "read through SQLite" not in caplog.text


@pytest.mark.parametrize("page_bytes", [30_000, 2 << 20])
def test_overflow_pages_are_read_without_sqlite(
    overflowing: Path, page_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Long texts are in most databases: chains side by side and chains that were scattered by deletes."""
    with caplog.at_level(logging.DEBUG, "etl"):
        found = asyncio.run(read_snapshot(overflowing, page_bytes))
    assert found == stored_rows(overflowing)
    assert ("read through SQLite" in caplog.text) == (page_bytes < 2 << 20)  # single rows are larger than such a page


def test_columns_that_were_added_are_read_without_sqlite(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every application that grew has such rows; their cells are the defaults, in the class that SQLite gives them."""
    path = tmp_path / "source.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("create table t (k integer primary key, c0 TEXT)")
        connection.execute("insert into t values (1, 'one'), (2, 'two')")
        for declared in ("NUMERIC default '12.50'", "REAL default 3", "TEXT default 4", "default x'ff'", "INTEGER"):
            name = "a" + re.sub(r"\W", "", declared)
            connection.execute(f"alter table t add column {name} {declared}")
            connection.execute("insert into t (c0) values (?)", (declared,))
        connection.execute("update t set aTEXTdefault4 = null where k = 3")
    with caplog.at_level(logging.DEBUG, "etl"):
        found = asyncio.run(read_snapshot(path, 2 << 20))
    assert repr(found) == repr(stored_rows(path))
    assert "read through SQLite" not in caplog.text


def positions(file_bytes: int, page_bytes: int) -> st.SearchStrategy[int]:
    """Places in the file behind its first page; half of them in the headers and pointers of pages."""
    anywhere = st.integers(page_bytes, file_bytes - 1)
    page = st.integers(1, file_bytes // page_bytes - 1)
    return st.one_of(anywhere, st.builds(lambda number, offset: number * page_bytes + offset, page, st.integers(0, 40)))


@pytest.mark.parametrize("made", ["tall", "overflowing"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_is_told_or_read_as_sqlite_reads_it(
    tall: Path, overflowing: Path, made: str, data: st.DataObject
) -> None:
    """Bytes changed anywhere: SQLite's own rows, or what quick_check objects to; never a crash, never a hang."""
    sound_file = {"tall": tall, "overflowing": overflowing}[made]
    content = bytearray(sound_file.read_bytes())
    page_bytes = int.from_bytes(content[16:18], "big")
    for place in data.draw(st.lists(positions(len(content), page_bytes), min_size=1, max_size=6)):
        content[place] = data.draw(st.one_of(st.integers(0, 255), st.just(content[place] ^ 1)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source.db"
        path.write_bytes(content)
        found = asyncio.run(attempt(path, read_leaf_pages, sound_file))
        with contextlib.closing(sqlite3.connect(path)) as connection:
            sound = connection.execute("pragma quick_check(1)").fetchone() == ("ok",)
        assert not sound or found == repr(stored_rows(path))


@pytest.mark.parametrize("target", ["root", "itself"])
def test_a_cycle_in_the_tree_ends(tall: Path, tmp_path: Path, target: str) -> None:
    """An interior page that is its own child, or its root's parent, must not be walked for ever."""
    content = bytearray(tall.read_bytes())
    with contextlib.closing(sqlite3.connect(tall)) as connection:
        ((root,),) = connection.execute("select rootpage from sqlite_schema where name = 't'")
    start = (root - 1) * 512
    child = int.from_bytes(content[start + 8 : start + 12], "big")
    changed = start if target == "itself" else (child - 1) * 512
    assert content[changed] == 5
    content[changed + 8 : changed + 12] = root.to_bytes(4, "big")
    path = tmp_path / "source.db"
    path.write_bytes(content)
    for read in (read_leaf_pages, by_query):
        assert re.search("malformed|damaged", asyncio.run(attempt(path, read, tall)))


async def attempt(path: Path, read: Read, sound: Path) -> str:
    """All rows as text, or the error; the catalog is that of the sound file."""
    async with python_reader(sound) as python:
        (table,) = (await read_catalog(python)).tables
    file, reader = DatabaseFile(path), Reader(path)
    try:
        reader.pin()
        return repr([row async for row in rows_of(read(file, reader, table, 20_000))])
    except EtlError as error:
        return error.message
    finally:
        reader.close()
        file.close()


def by_query(
    file: DatabaseFile, reader: Reader, table: SourceTable, page_bytes: int
) -> AsyncGenerator[SourcePage, None]:
    return read_pages(reader, table, page_bytes)
