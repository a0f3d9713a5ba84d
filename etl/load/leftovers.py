"""Staging schemas whose runs are over: what is in them, dropped, or taken over by a run that goes on.

Invariant: a schema is touched only with our marker on it and with its run's advisory lock in our hands.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import asyncpg

from etl.load.collations import drop_unused_collations
from etl.load.connect import named_errors, quote
from etl.load.journal import JOURNAL, MARKER, PREFIX, Staging, drop_staging

WORTH_KEEPING_BYTES = 16 << 20  # what is less is loaded again in a second


@dataclass(frozen=True, slots=True)
class Leftover:
    """A staging schema without a run. ``finished`` has a note for every table that is there whole, by target name."""

    schema: str
    source: str  # path of its SQLite file, '' where it is not known
    target_schema: str
    finished: dict[str, dict[str, Any]]
    bytes: int  # of the finished tables

    def is_of(self, source: str, target_schema: str) -> bool:
        return (self.source, self.target_schema) == (source, target_schema)

    @property
    def is_worth_keeping(self) -> bool:
        return self.bytes >= WORTH_KEEPING_BYTES


async def find_leftovers(connection: asyncpg.Connection) -> list[Leftover]:
    """The staging schemas of runs that are gone: their advisory lock is free, and ours from now on."""
    found = await connection.fetch(
        "select nspname from pg_namespace where nspname like $1 and obj_description(oid, 'pg_namespace') = $2"
        " and pg_has_role(nspowner, 'usage') order by nspname",
        PREFIX.replace("_", r"\_") + "%",
        MARKER,
    )
    return [
        await describe_staging(connection, schema)
        for schema in (row["nspname"] for row in found)
        if await connection.fetchval("select pg_try_advisory_lock(hashtextextended($1, 0))", schema)
    ]


async def describe_staging(connection: asyncpg.Connection, schema: str) -> Leftover:
    """What the journal of a staging schema says of its run and of its finished tables."""
    rows = await connection.fetch(
        f"select j.kind, j.name, j.table_name, j.details, coalesce(pg_total_relation_size(c.oid), 0) as bytes"
        f" from {quote(schema)}.{JOURNAL} as j left join pg_class as c"
        " on j.kind = 'finished' and c.relnamespace = to_regnamespace($1) and c.relname = j.name"
        " where j.kind = 'run' or j.kind = 'finished' and c.oid is not null order by j.number",
        quote(schema),
    )
    run = next((row for row in rows if row["kind"] == "run"), None)
    finished = {row["name"]: row for row in rows if row["kind"] == "finished"}
    return Leftover(
        schema,
        run["table_name"] if run else "",
        run["name"] if run else "",
        {name: json.loads(row["details"]) for name, row in finished.items()},
        sum(row["bytes"] for row in finished.values()),
    )


async def drop_leftover(connection: asyncpg.Connection, leftover: Leftover) -> None:
    """Drop it and let go of its lock."""
    with named_errors(f"staging schema {leftover.schema}"):
        await drop_staging(connection, Staging(leftover.schema))
    await let_go(connection, leftover)


async def let_go(connection: asyncpg.Connection, leftover: Leftover) -> None:
    """Leave it to somebody else."""
    await connection.execute("select pg_advisory_unlock(hashtextextended($1, 0))", leftover.schema)


async def take_over(connection: asyncpg.Connection, leftover: Leftover, kept: Collection[str]) -> Staging:
    """Go on in its schema with the rows of the ``kept`` tables; all else of it is dropped."""
    schema, journal = quote(leftover.schema), f"{quote(leftover.schema)}.{JOURNAL}"
    with named_errors(f"staging schema {leftover.schema}"):
        async with connection.transaction():
            rows = await connection.fetch(f"select kind, name, table_name from {journal} order by number desc")
            for row in rows:
                if row["kind"] == "view":
                    await connection.execute(f"drop view if exists {schema}.{quote(row['name'])}")
            for row in sorted(rows, key=lambda row: row["kind"] != "foreign key"):  # they hold on to other tables' keys
                if row["kind"] in ("primary key", "unique constraint", "check", "foreign key"):
                    await connection.execute(
                        f"alter table if exists {schema}.{quote(row['table_name'])}"
                        f" drop constraint if exists {quote(row['name'])}"
                    )
                elif row["kind"] == "index":
                    await connection.execute(f"drop index if exists {schema}.{quote(row['name'])}")
            for row in rows:
                if row["kind"] == "table" and row["name"] not in kept:
                    await connection.execute(f"drop table if exists {schema}.{quote(row['name'])}")
            used = await drop_unused_collations(connection, Staging(leftover.schema))
            await connection.execute(
                f"delete from {journal} where kind <> 'run'"
                " and not (kind in ('table', 'loaded', 'finished') and name = any($1::text[]))"
                " and not (kind = 'collation' and name = any($2::text[]))",
                list(kept),
                used,
            )
    return Staging(leftover.schema)
