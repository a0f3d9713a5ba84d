"""Single questions to the source and to the target, outside of a run.

Invariant: the source is opened read-only and never while a run reads it (``extract/snapshot.py`` says why).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg

from etl.errors import SourceError
from etl.extract.reader import source_hint
from etl.extract.snapshot import inspect_file
from etl.load.address import parse_address
from etl.load.connect import connect, hang_up, named_errors


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection; raises SourceError for what is no readable SQLite database, and for SQLite's errors."""
    path = inspect_file(path)
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise SourceError(f"{path}: {error}", source_hint(str(error))) from error


@contextlib.asynccontextmanager
async def open_target(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the target; raises TargetError when it cannot be reached, and for its errors."""
    address = parse_address(dsn)
    connection = await connect(address)
    try:
        with named_errors(str(address)):
            yield connection
    finally:
        await hang_up(connection)


def quoted(name: str) -> str:
    """An identifier for SQL, of SQLite and of PostgreSQL."""
    return '"' + name.replace('"', '""') + '"'
