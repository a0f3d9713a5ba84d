"""What of the server as a whole would make a run fail at its end, or hurt others: locks, publications.

Invariant: each is said before a row moves, with what to change.
"""

from __future__ import annotations

import asyncpg

from etl.errors import TargetError
from etl.model import Plan

SAFE_SHARE = 0.8  # of the lock table: others need it too


async def check_circumstances(connection: asyncpg.Connection, plan: Plan) -> None:
    """Raise TargetError for what the server as it is set up does not allow."""
    await check_locks(connection, plan)
    await check_publications(connection)


async def check_locks(connection: asyncpg.Connection, plan: Plan) -> None:
    """The publish locks every table, index and sequence of the run at once."""
    needed = sum(
        1 + bool(table.primary_key) + len(table.indexes) + sum(column.identity for column in table.columns)
        for table in plan.tables
    ) + len(plan.views)
    slots = await connection.fetchval(
        "select current_setting('max_locks_per_transaction')::int"
        " * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)"
    )
    if needed > slots * SAFE_SHARE:
        raise TargetError(
            f"the publish needs {needed:,} locks at once; the server has room for {slots:,}, those of others included",
            "raise max_locks_per_transaction (and restart the server), or move the tables in parts with --tables",
        )


async def check_publications(connection: asyncpg.Connection) -> None:
    """A publication FOR ALL TABLES would send the staging schema to subscribers, which have no such tables."""
    name = await connection.fetchval(
        "select pubname from pg_catalog.pg_publication where puballtables and exists (select from"
        " pg_catalog.pg_replication_slots where slot_type = 'logical' and database = current_database()) limit 1"
    )
    if name is not None:
        raise TargetError(
            f"the publication {name} is FOR ALL TABLES: its subscribers would stop at the tables of this run",
            f"let {name} name its tables or schemas for the time of the run, and add the new tables afterwards",
        )
