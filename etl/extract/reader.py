"""One pinned ADBC connection to the source: a query in, one Arrow table out.

Invariant: the connection's read transaction is never ended before ``close``, and every cursor is closed before it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from adbc_driver_manager import dbapi as adbc
from adbc_driver_sqlite import StatementOptions
from adbc_driver_sqlite import dbapi as adbc_sqlite

from etl.errors import SourceError

MESSAGE_LENGTH = 300


class Reader:
    """A connection that sees the run's snapshot; all methods block, and one thread at a time may use it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.connection: Any = None

    def pin(self) -> None:
        """Open the source read-only and pin the snapshot by reading once (a deferred BEGIN alone pins nothing)."""
        uri = f"file:{quote(str(self._path))}?mode=ro"
        with self._errors_named():
            self.connection = adbc_sqlite.connect(uri)  # opens a transaction at once
        self.query("select count(*) from sqlite_schema", 1)

    def query(self, sql: str, row_limit: int) -> pa.Table:
        """Everything that ``sql`` yields, at most ``row_limit`` rows.

        ADBC infers the column types from one batch, so a batch must hold the whole result: the limit is its size.
        """
        with self._errors_named(), contextlib.closing(self.connection.cursor()) as cursor:
            cursor.adbc_statement.set_options(**{StatementOptions.BATCH_ROWS.value: str(row_limit)})
            cursor.execute(sql)
            table = cursor.fetch_arrow_table()
        if table.num_rows > row_limit:
            raise SourceError(f"{self._path}: {table.num_rows} rows came where at most {row_limit} were asked for")
        return table

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    @contextlib.contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except adbc.Error as error:
            raise SourceError(f"{self._path}: {sqlite_words(str(error))}", source_hint(str(error))) from error


def sqlite_words(text: str) -> str:
    """The driver's message without its prefixes, and without the end of a long statement."""
    words = text.removeprefix("IO: ").removeprefix("INTERNAL: ").strip()
    return words if len(words) <= MESSAGE_LENGTH else f"{words[:MESSAGE_LENGTH]}…"


def source_hint(text: str) -> str | None:
    """The next step for the errors of SQLite that a user can act on."""
    if "malformed" in text or "corrupt" in text.lower():
        return "the file is damaged or truncated: restore a backup, or salvage it with `sqlite3 FILE .recover`"
    if "not a database" in text:
        return "it may be encrypted: decrypt it first (SQLCipher: sqlcipher_export) and migrate the plain copy"
    if "unable to open" in text or "failed to open" in text:
        return "check the path and its permissions; a WAL database also needs a writable folder"
    if "no such collation" in text or "no such module" in text:
        return "the application registers this itself; exclude the table with --exclude"
    return None
