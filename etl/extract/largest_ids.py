"""The largest number in use of every INTEGER PRIMARY KEY, on which the next INSERT depends.

Invariant: SQLite goes down the right edge of each b-tree and reads no row; what cannot be told here is left open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

import aiosqlite

from etl.extract.pages import quote
from etl.model import SourceCatalog, SourceTable

TABLES_A_STATEMENT = 200


async def with_largest_ids(connection: aiosqlite.Connection, catalog: SourceCatalog) -> SourceCatalog:
    """The catalog with ``largest_id`` of its tables."""
    asked = [table for table in catalog.tables if table.rowid_alias is not None]
    found: dict[str, int] = {}
    for start in range(0, len(asked), TABLES_A_STATEMENT):
        found |= await _largest(connection, asked[start : start + TABLES_A_STATEMENT])
    return replace(catalog, tables=tuple(replace(table, largest_id=found.get(table.name)) for table in catalog.tables))


async def _largest(connection: aiosqlite.Connection, tables: Sequence[SourceTable]) -> dict[str, int]:
    terms = ", ".join(
        f"(select max({quote(table.rowid_alias or '')}) from main.{quote(table.name)})" for table in tables
    )
    try:
        async with connection.execute(f"select {terms}") as cursor:
            row = await cursor.fetchone()
    except sqlite3.DatabaseError:  # a damaged page: whoever reads the table says which
        return {}
    return {table.name: number for table, number in zip(tables, row or (), strict=True) if number is not None}
