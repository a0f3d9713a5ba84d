"""A collation of the application's own: its rows are read all the same, and what stays behind is listed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.fix_command import EtlCommand


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.create_collation("unicase", lambda one, other: (one.lower() > other.lower()) - (one < other))
        connection.executescript(
            "create table cards (id integer primary key, name text collate unicase, size int);"
            "create index by_name on cards (name);"
            "create table tags (name text collate unicase unique);"
            "create table keyed (name text collate unicase primary key) without rowid;"
        )
        connection.executemany("insert into cards (name, size) values (?, ?)", [(f"n{n}", n) for n in range(3_000)])
        connection.execute("insert into cards (name, size) values (x'00', 'text')")
        connection.execute("insert into tags values ('a')")
        connection.commit()
    return path


def test_tables_with_a_custom_collation_arrive(etl: EtlCommand, database_dsn: str, source: Path) -> None:
    """Loaded, checked and compared without the collation; its indexes are named."""
    done = etl(
        "migrate", source, database_dsn, "--exclude", "keyed", "--cast", "cards.name=bytea", "--cast", "*.size=text"
    )
    assert done.status == 5, done.err
    assert "verdict: equal: 2 tables, 3,002 rows" in done.out
    assert "collation tags.name" in done.out
    assert "unique constraint tags: the collation UNICASE has no counterpart" in done.out
    assert (
        etl("inspect", source, "--exclude", "keyed", "--cast", "cards.name=bytea", "--cast", "*.size=text").status == 5
    )


def test_a_table_that_lies_in_the_order_of_a_custom_collation_is_refused(
    etl: EtlCommand, database_dsn: str, source: Path
) -> None:
    """SQLite cannot read its rows without the collation: the user decides."""
    done = etl("migrate", source, database_dsn)
    assert done.status == 1
    assert "in the order of UNICASE" in done.errors[0]
    assert "--exclude keyed" in done.hints[0]
