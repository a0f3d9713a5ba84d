"""Virtual tables: which of them hold the only copy of their data, and are read as ordinary tables.

Invariant: full-text and R-tree tables that keep their own rows are moved; those that index or compute other rows are
named, and so is one whose module is not there: its rows, if it has any, cannot be seen.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import Protocol

import aiosqlite

from etl.extract.quoting import QUOTED
from etl.model import Affinity, SkippedObject, SourceColumn, SourceTable

FULL_TEXT = frozenset({"fts3", "fts4", "fts5"})
SPATIAL = frozenset({"rtree", "rtree_i32"})
USING = re.compile(r"\busing\s+(\w+)", re.IGNORECASE)
CONTENT = re.compile(r"""[(,]\s*content\s*=\s*('[^']*'|"[^"]*"|[^,\s)]*)""", re.IGNORECASE)
HIDDEN = 1  # in table_xinfo: the table's own name, rank and the like
FULL_TEXT_ADVICE = (
    "its rows are copied to a plain table; for MATCH, create an index on it"
    " using gin (to_tsvector('simple', …)) and search with @@"
)
SPATIAL_ADVICE = (
    "its rows are copied to a plain table; for searches by area, create an index on it"
    " using gist (box(point(…), point(…))), or use PostGIS"
)


class Size(Protocol):
    """What is known of a table's size."""

    @property
    def rows(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def largest_row_bytes(self) -> int: ...


async def read_virtual_table(
    connection: aiosqlite.Connection, name: str, sql: str, sizes: Mapping[str, Size]
) -> tuple[SourceTable | None, SkippedObject]:
    """The table to move, where it holds rows of its own, and what is to be said of it."""
    module, content = read_module(sql)
    try:
        columns = await _columns(connection, name)
    except sqlite3.Error as error:
        reason = f"SQLite cannot open it here: {error}"
        return None, SkippedObject("missing module", name, sql, reason)
    if module not in FULL_TEXT | SPATIAL:
        reason = f"the module {module} has no counterpart in PostgreSQL, and computes the rows from elsewhere"
        return None, SkippedObject("virtual table", name, sql, reason)
    if module in FULL_TEXT and content is not None:
        where = f"an index over the rows of {content}" if content else "an index without rows"
        reason = f"{where}: only the index stays behind; for MATCH, use gin (to_tsvector('simple', …)) and @@"
        return None, SkippedObject("virtual table", name, sql, reason)
    advice = FULL_TEXT_ADVICE if module in FULL_TEXT else SPATIAL_ADVICE
    table = _as_table(name, module, columns, sizes)
    return table, SkippedObject("virtual table", name, sql, advice, table=name)


def read_module(sql: str) -> tuple[str, str | None]:
    """The module of a CREATE VIRTUAL TABLE, in lower case, and its ``content=``; '' for a table without content."""
    blanked = QUOTED.sub(lambda match: " " * len(match[0]), sql)
    using = USING.search(blanked)
    if using is None:
        return "", None
    option = CONTENT.search(sql, using.end())
    return using[1].lower(), None if option is None else option[1].strip("'\"")


def _as_table(name: str, module: str, columns: list[SourceColumn], sizes: Mapping[str, Size]) -> SourceTable:
    """A table that is read by one cursor; full-text rows keep their rowid, which other tables refer to."""
    if module in FULL_TEXT and "rowid" not in {column.name.lower() for column in columns}:
        columns = [SourceColumn("rowid", "INTEGER", Affinity.INTEGER, not_null=True, key_position=1), *columns]
    keys = tuple(column.name for column in columns if column.key_position)
    size = sizes.get(f"{name}_content") or sizes.get(f"{name}_rowid")
    return SourceTable(
        name=name,
        columns=tuple(columns),
        primary_key=keys,
        rowid_alias=keys[0] if keys else None,
        rowid_name=None,
        without_rowid=True,
        rows_estimate=size.rows if size else 0,
        bytes=size.bytes if size else 0,
        largest_row_bytes=size.largest_row_bytes if size else 0,
        module=module,
        sql="",
    )


async def _columns(connection: aiosqlite.Connection, name: str) -> list[SourceColumn]:
    async with connection.execute(
        "select name, type, hidden, cid from pragma_table_xinfo(?, 'main') order by cid", [name]
    ) as cursor:
        found = [tuple(row) async for row in cursor]
    return [
        SourceColumn(
            column,
            "INTEGER" if declared == "INT" else declared or "",
            {"INT": Affinity.INTEGER, "REAL": Affinity.REAL}.get(declared or "", Affinity.BLOB),
            not_null=declared == "INT" and cid == 0,
            key_position=int(declared == "INT" and cid == 0),  # the id of an R-tree
        )
        for column, declared, hidden, cid in found
        if hidden != HIDDEN
    ]
