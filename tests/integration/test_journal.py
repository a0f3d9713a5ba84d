"""What is made in the staging schema and the journal's entry on it come together, in one message, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from etl.errors import TargetError
from etl.load.journal import Staging, create_staging
from etl.model import Statement


@pytest.fixture
async def server(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_dsn, statement_cache_size=0)
    yield connection
    await connection.close()


def table(staging: Staging, name: str, columns: str = "(x int)") -> Statement:
    quoted = '"' + name.replace('"', '""') + '"'
    return Statement("table", name, name, f'create table "{staging.schema}".{quoted} {columns}')


async def journalled(server: asyncpg.Connection, staging: Staging) -> list[str]:
    rows = await server.fetch(f'select name from "{staging.schema}".etl_journal where kind = $1', "table")
    return [row["name"] for row in rows]


async def test_an_object_and_its_entry_take_one_message(server: asyncpg.Connection) -> None:
    """A thousand small tables are otherwise mostly waiting."""
    staging = await create_staging(server, "source", "public")
    sent: list[str] = []
    with server.query_logger(lambda record: sent.append(record.query)):
        await staging.execute(server, [table(staging, "a 'quoted\\ \"name")])
        await asyncio.sleep(0)  # the driver tells it in a later turn of the loop
    assert len(sent) == 1
    assert await journalled(server, staging) == ["a 'quoted\\ \"name"]


@pytest.mark.parametrize("before", [(), ("whole",)])
async def test_what_fails_leaves_neither_object_nor_entry(before: tuple[str, ...], server: asyncpg.Connection) -> None:
    """Nor does what stood before it in the same batch; the error names the statement."""
    staging = await create_staging(server, "source", "public")
    broken = table(staging, "broken", "(x no_such_type)")
    with pytest.raises(TargetError, match="table broken"):
        await staging.execute(server, [*(table(staging, name) for name in before), broken])
    assert await journalled(server, staging) == []
    assert not await server.fetchval("select exists (select from pg_class where relname in ('whole', 'broken'))")
    assert not server.is_in_transaction()
