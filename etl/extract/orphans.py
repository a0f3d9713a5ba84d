"""Rows whose foreign keys lead nowhere: SQLite checks them only where the application asked for it.

Invariant: SQLite's own check decides (``pragma foreign_key_check``). It refuses a whole table for one foreign key that
has no parent key; the others are then looked for by an anti-join each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import aiosqlite

from etl.extract.pages import quote
from etl.model import Orphans, SourceForeignKey, SourceTable

CHECK_SQL = """
select fkid, parent, count(*), min(rowid) from pragma_foreign_key_check({table}) group by fkid, parent order by fkid"""


async def read_orphans(
    connection: aiosqlite.Connection, table: SourceTable, keys: Sequence[SourceForeignKey]
) -> tuple[Orphans, ...]:
    """Per foreign key that has orphans, how many and the first; rows with NULL in the key are none.

    ``keys``: those of the table that have a parent key, with the parent's columns named.
    """
    if not keys:
        return ()
    name = "'" + table.name.replace("'", "''") + "'"
    try:
        found = list(await connection.execute_fetchall(CHECK_SQL.format(table=name)))
    except sqlite3.OperationalError as error:
        if "mismatch" not in str(error):
            raise
        joined = [await _anti_join(connection, table, key) for key in keys]
        return tuple(orphans for orphans in joined if orphans.count)
    # the list of foreign keys numbers the last declared one 0
    columns = {len(table.foreign_keys) - 1 - place: key.columns for place, key in enumerate(table.foreign_keys)}
    return tuple(
        Orphans(table.name, columns[number], parent, count, _row(first)) for number, parent, count, first in found
    )


async def _anti_join(connection: aiosqlite.Connection, table: SourceTable, key: SourceForeignKey) -> Orphans:
    there = " and ".join(f"c.{quote(column)} is not null" for column in key.columns)
    same = " and ".join(
        f"p.{quote(parent)} = c.{quote(child)}" for child, parent in zip(key.columns, key.parent_columns, strict=True)
    )
    first = "null" if table.rowid_name is None else f"min(c.{quote(table.rowid_name)})"
    sql = (
        f"select count(*), {first} from {quote(table.name)} as c where {there}"
        f" and not exists (select 1 from {quote(key.parent)} as p where {same})"
    )
    ((count, row),) = await connection.execute_fetchall(sql)
    return Orphans(table.name, key.columns, key.parent, count, _row(row))


def _row(rowid: int | None) -> str:
    return "" if rowid is None else f"rowid={rowid}"
