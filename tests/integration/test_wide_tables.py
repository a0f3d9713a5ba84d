"""Tables as wide as PostgreSQL lets them be: SQLite returns 2,000 columns at most, and we must stay below."""

from __future__ import annotations

import asyncio

import asyncpg

from tests.fix_command import EtlCommand
from tests.fix_source import MakeSource

TYPES = {"smallint": 7, "boolean": 1, "text": "t"}  # small ones: a row must fit into a page of the server
WIDTH = 1_500


def test_a_table_of_1500_columns_arrives_and_is_verified(
    make_source: MakeSource, database_dsn: str, etl: EtlCommand
) -> None:
    """Wide exports exist; a limit of the driver's SQL must not show in the middle of a run."""
    kinds = [list(TYPES)[place % len(TYPES)] for place in range(WIDTH - 1)]
    columns = ", ".join(f"c{place} {kind}" for place, kind in enumerate(kinds))
    rows = [
        (key, *(None if (place + key) % 9 == 0 else TYPES[kind] for place, kind in enumerate(kinds)))
        for key in (1, 2, 3)
    ]
    script = (
        f"create table w (id integer primary key, {columns}); create table large (id integer primary key, {columns})"
    )
    large = [(1, *("y" * 9_000 if place == 2 else None for place in range(WIDTH - 1)))]
    large += [(2, *("y" * 3_000_000 if place == 2 else None for place in range(WIDTH - 1)))]
    done = etl("migrate", make_source(script, {"w": rows, "large": large}), database_dsn)
    assert done.status == 0, done.err
    found = asyncio.run(fetch(database_dsn, "select count(*), count(c0), bool_and(c1), min(c2), sum(c1497) from w"))
    assert tuple(found) == (3, 3, True, "t", 21)


async def fetch(dsn: str, query: str) -> asyncpg.Record:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchrow(query)
    finally:
        await connection.close()


def test_a_row_that_no_page_holds_is_told_what_helps(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """8 kB is PostgreSQL's limit for what cannot be moved out of a row; smaller types are the way out."""
    names = [f"c{number}" for number in range(1_200)]
    source = make_source(
        f"create table wide ({', '.join(f'{name} integer' for name in names)})", {"wide": [[7] * 1_200]}
    )
    done = etl("migrate", source, database_dsn)
    assert done.status == 1
    assert "row is too big" in done.errors[0]
    assert "--integers fit" in done.hints[0]
    assert etl("migrate", source, database_dsn, "--integers", "fit").status == 0
