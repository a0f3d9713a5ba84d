"""The fixtures keep their promises; every other test leans on them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import asyncpg

from tests.fix_command import EtlCommand


async def test_a_fresh_database_is_empty_and_real(database_dsn: str, server_dsn: str) -> None:
    """Nothing is in the database that a test gets, and it is not the server's own."""
    connection = await asyncpg.connect(database_dsn)
    try:
        tables = await connection.fetchval("select count(*) from pg_class where relnamespace = 'public'::regnamespace")
        name = await connection.fetchval("select current_database()")
    finally:
        await connection.close()
    assert tables == 0
    assert name.startswith("etl_test_")
    assert name not in server_dsn


def test_a_source_is_a_real_sqlite_file(sqlite_path: Path) -> None:
    """The factory writes the rows that it was given."""
    connection = sqlite3.connect(sqlite_path)
    try:
        assert connection.execute("select name from person where id = 3").fetchone() == ("😀",)
    finally:
        connection.close()


def test_a_prepared_command_is_the_one_that_was_started_afresh(etl: EtlCommand, sqlite_path: Path) -> None:
    """Status and output, of what succeeds, fails and is misspelt; its folder and its files are its own."""
    for arguments in (
        ["--help"],
        ["--version"],
        ["inspect", sqlite_path, "--progress", "none"],
        ["inspect", "missing.db"],
        ["migrate", sqlite_path, "postgresql://nobody@127.0.0.1:1/none", "--report", "report.json"],
        ["inspct"],
    ):
        prepared, afresh = etl(*arguments), etl.afresh(*arguments)
        assert prepared == afresh, arguments
    assert etl("inspect", sqlite_path, "--report", "here.json").status == 0
    assert (etl.folder / "here.json").exists()


def test_another_environment_reaches_the_command(etl: EtlCommand, sqlite_path: Path) -> None:
    """The prepared process has one environment; a test that gives another gets a process with it."""
    done = etl("inspect", sqlite_path, env={"ETL_PROGRESS": "bogus"})
    assert (done.status, etl("inspect", sqlite_path).status) == (2, 0)
    assert "bogus" in done.err
