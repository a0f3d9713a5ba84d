"""Full-text and R-tree tables may be the only copy of their rows: they arrive, or the run stops."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from tests.fix_command import EtlCommand
from tests.fix_source import MakeSource
from tests.planning import case_script

ROWS = {
    "notes": [(5, "Eins", "erste notiz", "x"), (9, "Zwei", "zweite", None)],
    "old3": [(3, "q", "w")],
    "old4": [],
    "doc": [(1, "hallo")],
    "boxes": [(1, 0.09999999403953552, 2.5, -3.0, 4.0), (2, 1.0, 1.0, 1.0, 1.0)],
    "ibox": [(7, 1, 2)],
    "auxed": [(7, 1.0, 2.0, "here")],
}


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    return make_source(case_script("virtual"))


async def test_contentful_virtual_tables_become_plain_tables(etl: EtlCommand, database_dsn: str, source: Path) -> None:
    """Every row with its rowid, and a word on what to do about MATCH; indexes over other rows are only named."""
    done = etl("migrate", source, database_dsn)
    assert done.status == 5, done.err
    assert etl("verify", source, database_dsn).status == 0
    server = await asyncpg.connect(database_dsn)
    try:
        names = {
            row["tablename"]
            for row in await server.fetch("select tablename from pg_tables where schemaname = 'public'")
        }
        assert names == set(ROWS)
        with closing(sqlite3.connect(source)) as connection:
            for name in ROWS:
                columns = "rowid, *" if name in {"notes", "old3", "old4"} else "*"
                expected = connection.execute(f"select {columns} from {name}").fetchall()
                assert len(expected) == len(ROWS[name])
                assert [tuple(row) for row in await server.fetch(f"select * from {name}")] == expected
        assert await server.fetchval("insert into notes (title) values ('new') returning rowid") == 10
    finally:
        await server.close()
    assert "virtual table notes: its rows are copied to a plain table; for MATCH, create an index" in done.out
    assert "virtual table boxes: its rows are copied to a plain table; for searches by area" in done.out
    assert "virtual table ext: an index over the rows of doc" in done.out
    assert "virtual table less: an index without rows" in done.out
    assert "virtual table v5: the module fts5vocab" in done.out


def test_a_missing_module_stops_the_run_unless_its_table_is_excluded(
    etl: EtlCommand, database_dsn: str, source: Path
) -> None:
    """Nobody can say what the table holds, so nobody may leave it out but the user."""
    with closing(sqlite3.connect(source)) as connection:
        connection.executescript(
            "pragma writable_schema = on; insert into sqlite_schema (type, name, tbl_name, rootpage, sql) values"
            " ('table', 'places', 'places', 0, 'CREATE VIRTUAL TABLE places USING spellfix9(a)');"
        )
    refused = etl("migrate", source, database_dsn)
    assert refused.status == 1
    assert "no such module: spellfix9" in refused.errors[0]
    assert "--exclude places" in refused.hints[0]
    assert etl("migrate", source, database_dsn, "--exclude", "places").status == 5
