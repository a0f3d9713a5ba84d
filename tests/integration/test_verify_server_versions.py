"""A checksum is of the rows, not of the server: another major version of PostgreSQL sends other catalogs, same sums."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from benchmarks.server import running_server
from etl.errors import ExitStatus
from etl.phases.comparison import verify
from etl.pipeline import migrate
from etl.progress import SilentProgress
from etl.report import Report
from tests.fix_server import rows_of
from tests.random_databases import RandomDatabase, quoted, random_database

INSTALLED = Path("/usr/lib/postgresql")  # where Debian has a folder for each major version


@pytest.fixture(scope="module")
def other_dsn(server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of another major version than the tests' own."""
    own = rows_of(server_dsn, "select current_setting('server_version_num')::int / 10000")[0][0]
    found = [path for path in sorted(INSTALLED.glob("*/bin")) if path.parent.name != str(own)]
    if not found:
        pytest.skip(f"no other PostgreSQL than {own} is installed")
    ram = Path("/dev/shm")  # noqa: S108 - not a file of ours: a folder is made inside it
    parent = ram if ram.is_dir() else tmp_path_factory.mktemp("server")
    with running_server(None, found[-1], parent) as server:
        yield server.dsn


async def moved(database: RandomDatabase, dsn: str) -> Report:
    """The verified report of the database in a schema of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"create schema {quoted(database.schema)}")
        await migrate(database.options(dsn), SilentProgress())
        return await verify(database.options(dsn), SilentProgress())
    finally:
        await connection.execute(f"drop schema {quoted(database.schema)} cascade")
        await connection.close()


def sums(report: Report) -> dict[str, tuple[int, str | None, str | None]]:
    return {one.name: (one.target_rows, one.source_checksum, one.target_checksum) for one in report.verified}


@pytest.mark.parametrize("number", range(1000, 1008))
def test_checksums_are_those_of_another_server_version(
    number: int, server_dsn: str, other_dsn: str, tmp_path: Path
) -> None:
    """A report of today is compared with a server of years later."""
    database = random_database(number, tmp_path)
    here, there = asyncio.run(moved(database, server_dsn)), asyncio.run(moved(database, other_dsn))
    assert (here.status, there.status) == (ExitStatus.DONE, ExitStatus.DONE)
    assert re.match(r"\d+", here.server_version).group() != re.match(r"\d+", there.server_version).group()  # type: ignore[union-attr]
    assert sums(here) == sums(there)
    assert all(source == target is not None for _, source, target in sums(here).values())
