"""Looks whether the sequences behind columns give numbers that are free."""

from __future__ import annotations

import asyncpg

from etl.model import Difference, TablePlan, Way
from etl.verify.catalog_rows import Catalog
from etl.verify.object_differences import object_difference
from etl.verify.readings import quoted


async def compare_sequences(
    target: asyncpg.Connection, table: TablePlan, schema: str, catalog: Catalog
) -> list[Difference]:
    """An identity's next value must lie above every key, and above SQLite's high-water mark.

    So must that of a serial column, in a table that the target had.
    """
    differences = []
    for column in table.columns:
        there = catalog.columns[table.name].get(column.name)
        planned = column.identity or table.way is Way.FILL
        if not planned or there is None or not (there.identity or table.way is Way.FILL):
            continue  # a column that is no identity is told by its columns
        name = f"{quoted(schema)}.{quoted(table.name)}"
        sequence = await target.fetchval("select pg_catalog.pg_get_serial_sequence($1, $2)", name, column.name)
        if sequence is None and not column.identity:
            continue  # nor is it serial
        if sequence is None:
            differences.append(
                object_difference(table, column.name, "an identity sequence", "nothing", column.source.name)
            )
            continue
        largest = await target.fetchval(f"select max({quoted(column.name)}) from {name}")
        next_value = await target.fetchval(
            f"select case when s.is_called then s.last_value::numeric + q.seqincrement else s.last_value end"
            f" from {sequence} as s, pg_catalog.pg_sequence as q where q.seqrelid = $1::text::regclass",
            sequence,
        )
        counted = table.way is Way.CREATE or column.source.name == table.source.rowid_alias
        given = table.source.sequence if counted else None
        taken = max(largest or 0, given or 0)
        if next_value <= taken:
            wanted = f"a next value above {taken}"
            differences.append(
                object_difference(table, column.name, wanted, f"next value {next_value}", column.source.name)
            )
    return differences
