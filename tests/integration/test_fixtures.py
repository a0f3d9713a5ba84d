"""The fixtures keep their promises; every other test leans on them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import asyncpg


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
