"""Rows whose foreign keys lead nowhere: SQLite checks them only where the application asked for it.

Invariant: SQLite's own check decides (``pragma foreign_key_check``). It refuses a whole table for one foreign key that
has no parent key; the others are then looked for by an anti-join each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

import aiosqlite

from etl.extract.pages import quote
from etl.model import Orphans, SourceForeignKey, SourceTable

CHECK_SQL = """
select fkid, parent, count(*), min(rowid) from pragma_foreign_key_check({table}) group by fkid, parent order by fkid"""


async def read_orphans(
    connection: aiosqlite.Connection, table: SourceTable, keys: Sequence[SourceForeignKey], sample_count: int = 0
) -> tuple[Orphans, ...]:
    """Per foreign key that has orphans, how many and the first; rows with NULL in the key are none.

    ``keys``: those of the table that have a parent key, with the parent's columns named, and any that SQLite does not
    know of. Of each foreign key that has orphans the first ``sample_count`` come with key and value.
    """
    if not keys:
        return ()
    declared = {key.columns for key in table.foreign_keys}
    others = [await _anti_join(connection, table, key) for key in keys if key.columns not in declared]
    found = (*await _count_orphans(connection, table, keys), *(orphans for orphans in others if orphans.count))
    if not sample_count:
        return found
    by_columns = {key.columns: key for key in keys}
    return tuple(
        [
            replace(orphans, samples=await _samples(connection, table, by_columns[orphans.columns], sample_count))
            for orphans in found
            if orphans.columns in by_columns
        ]
    )


async def _count_orphans(
    connection: aiosqlite.Connection, table: SourceTable, keys: Sequence[SourceForeignKey]
) -> tuple[Orphans, ...]:
    name = "'" + table.name.replace("'", "''") + "'"
    try:
        found = list(await connection.execute_fetchall(CHECK_SQL.format(table=name)))
    except sqlite3.OperationalError as error:
        if "mismatch" not in str(error):
            raise
        known = {key.columns for key in table.foreign_keys}
        joined = [await _anti_join(connection, table, key) for key in keys if key.columns in known]
        return tuple(orphans for orphans in joined if orphans.count)
    # the list of foreign keys numbers the last declared one 0
    columns = {len(table.foreign_keys) - 1 - place: key.columns for place, key in enumerate(table.foreign_keys)}
    return tuple(
        Orphans(table.name, columns[number], parent, count, _row(table, first))
        for number, parent, count, first in found
    )


async def _anti_join(connection: aiosqlite.Connection, table: SourceTable, key: SourceForeignKey) -> Orphans:
    first = "null" if table.rowid_name is None else f"min(c.{quote(table.rowid_name)})"
    ((count, row),) = await connection.execute_fetchall(f"select count(*), {first} {_lonely(table, key)}")
    return Orphans(table.name, key.columns, key.parent, count, _row(table, row))


async def _samples(
    connection: aiosqlite.Connection, table: SourceTable, key: SourceForeignKey, limit: int
) -> tuple[tuple[str, str], ...]:
    """Key and value of the first orphans of a foreign key."""
    names = table.primary_key or ((table.rowid_name,) if table.rowid_name else key.columns)
    listed = [quote(name) if name != table.rowid_name or table.primary_key else name for name in names]
    terms = ", ".join(f"c.{term}" for term in (*listed, *map(quote, key.columns)))
    rows = await connection.execute_fetchall(f"select {terms} {_lonely(table, key)} limit {limit}")
    return tuple(
        (
            ", ".join(f"{name}={value!r}" for name, value in zip(names, row, strict=False)),
            ", ".join(repr(value) for value in tuple(row)[len(names) :]),
        )
        for row in rows
    )


def _lonely(table: SourceTable, key: SourceForeignKey) -> str:
    there = " and ".join(f"c.{quote(column)} is not null" for column in key.columns)
    same = " and ".join(
        f"p.{quote(parent)} = c.{quote(child)}" for child, parent in zip(key.columns, key.parent_columns, strict=True)
    )
    parents = f"select 1 from {quote(key.parent)} as p where {same}"
    return f"from {quote(table.name)} as c where {there} and not exists ({parents})"


def _row(table: SourceTable, rowid: int | None) -> str:
    return "" if rowid is None else f"{table.rowid_alias or 'rowid'}={rowid}"
