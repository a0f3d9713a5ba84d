"""A real PostgreSQL for the tests: one server a session, one empty database a test.

``ETL_TEST_DSN`` names another server (a superuser's DSN); otherwise the embedded one runs on the RAM disk,
where there is one, and is stopped and removed at the end.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from etl.shell.embedded import embedded_server


def run_apart(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop of its own in a thread of its own: the loop of the test stays as it is."""
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def with_database(dsn: str, database: str) -> str:
    """The same server's DSN for another database."""
    parts = urlsplit(dsn)
    text = urlunsplit(parts._replace(path=f"/{database}"))
    # urlunsplit drops the empty authority's slashes, and libpq wants them
    return text if "://" in text else text.replace(":/", ":///", 1)


def with_role(dsn: str, role: str, password: str) -> str:
    """The same database's DSN for another role."""
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return dsn.replace(f"//{parts.netloc}/", f"//{role}:{password}@{host}/", 1)


async def execute(dsn: str, *statements: str) -> None:
    """Run statements one by one, each in its own transaction."""
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def rows_of(dsn: str, query: str) -> list[tuple[Any, ...]]:
    """What the server says, as text wherever it matters."""

    async def fetch() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(dsn, server_settings={"TimeZone": "UTC"})
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return asyncio.run(fetch())


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """The DSN of a PostgreSQL where the tests may do anything."""
    given = os.environ.get("ETL_TEST_DSN")
    if given:
        yield given
        return
    ram = Path("/dev/shm")  # noqa: S108 - not a file of ours: a folder is made inside it
    folder = Path(tempfile.mkdtemp(prefix="etl-test-", dir=ram if os.access(ram, os.W_OK) else None))
    try:
        with embedded_server(folder / "pg") as server:
            yield server.dsn
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_database(server_dsn: str, template: str = "template1") -> Iterator[str]:
    """The DSN of a copy of the template; dropped afterwards, whoever is still connected."""
    name = f"etl_test_{uuid.uuid4().hex[:12]}"
    run_apart(execute(server_dsn, f"create database {name} template {template}"))
    try:
        yield with_database(server_dsn, name)
    finally:
        run_apart(execute(server_dsn, f"drop database if exists {name} with (force)"))


@pytest.fixture
def database_dsn(server_dsn: str) -> Iterator[str]:
    """The DSN of a fresh, empty database."""
    with temporary_database(server_dsn) as dsn:
        yield dsn
