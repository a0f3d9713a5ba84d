"""The server's disk fills up in the middle of the load."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from etl.shell.embedded import start_server, stop_server
from tests.fix_disk import small_disk

DISK_MB = 64  # the empty database takes 8 of them


@pytest.fixture
def small_database(tmp_path: Path) -> Iterator[str]:
    """A database whose tables lie on the small disk; the WAL lies elsewhere, or the server would stop."""
    with small_disk(tmp_path / "disk", DISK_MB) as disk:
        server = start_server(tmp_path / "pg")
        owner = server.directory.stat()
        place = disk / "tables"
        place.mkdir()
        os.chown(place, owner.st_uid, owner.st_gid)
        try:
            asyncio.run(execute(server.dsn, f"create tablespace small location '{place}'"))
            asyncio.run(execute(server.dsn, "create database app tablespace small"))
            yield server.dsn.replace("/postgres?", "/app?")
        finally:
            stop_server(server.directory)


async def execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def names_of(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return [
            row["name"]
            for row in await connection.fetch(
                "select relname::text as name from pg_class where relnamespace = 'public'::regnamespace"
                " union all select nspname from pg_namespace where nspname like 'etl\\_loading\\_%'"
            )
        ]
    finally:
        await connection.close()


def test_a_full_disk_ends_the_run_and_gives_the_room_back(tmp_path: Path, small_database: str) -> None:
    """One clear line, nothing published, the staging schema dropped; a smaller move then works."""
    path = tmp_path / "large.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table large (id integer primary key, noise blob)")
        connection.executemany("insert into large values (?, ?)", ((i, os.urandom(100_000)) for i in range(1500)))
        connection.execute("create table small (id integer primary key, name text)")
        connection.execute("insert into small values (1, 'a')")
        connection.commit()
    command = [sys.executable, "-m", "etl", "migrate", str(path), small_database, "--progress", "none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("error:") == 1
    assert "53100" in done.stderr
    assert "free disk space" in done.stderr
    assert asyncio.run(names_of(small_database)) == []
    again = subprocess.run([*command, "--tables", "small"], capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
