"""What SQLite says of the views: their text and the names of their columns.

Invariant: a view that SQLite itself cannot read (its table is gone) is told with SQLite's reason and stops nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import aiosqlite

from etl.model import SourceView


async def read_views(connection: aiosqlite.Connection, listed: Iterable[tuple[str, str]]) -> tuple[SourceView, ...]:
    """The views of these (name, sql), in their order."""
    return tuple([await _read_view(connection, name, sql) for name, sql in listed])


async def _read_view(connection: aiosqlite.Connection, name: str, sql: str) -> SourceView:
    try:
        async with connection.execute("select name from pragma_table_xinfo(?, 'main') order by cid", [name]) as cursor:
            columns = tuple([row[0] async for row in cursor])
    except sqlite3.Error as error:
        return SourceView(name, sql, problem=f"SQLite cannot read it: {error}")
    return SourceView(name, sql, columns)
