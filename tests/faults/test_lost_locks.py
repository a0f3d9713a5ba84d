"""The session that keeps other runs out is ended: the locks are taken again, or the run gives way to who has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from etl.errors import TargetOccupiedError
from etl.options import Options
from etl.pipeline import migrate
from etl.progress import SilentProgress
from tests.fix_pause import PAUSE, pause_before
from tests.fix_source import MakeSource

OTHERS = f"from pg_locks where locktype = 'advisory' and objid <> {PAUSE}"
OF_THE_RUN = f"{OTHERS} and granted"
THERE = (
    "select nspname::text || '.' || relname from pg_class join pg_namespace n on n.oid = relnamespace"
    " where relkind = 'r' and nspname <> 'information_schema' and nspname not like 'pg\\_%'"
)


@asynccontextmanager
async def paused(path: Path, dsn: str) -> AsyncIterator[tuple[asyncio.Task[object], asyncpg.Connection, int]]:
    """A run that has loaded its rows, the connection that holds it up, and the session with its locks."""
    holder = await asyncpg.connect(dsn)
    try:
        await holder.execute(f"{pause_before('t_pkey')} select pg_advisory_lock({PAUSE})")
        run = asyncio.create_task(migrate(Options(path, dsn), SilentProgress()))
        await until(holder, f"select count(*) = 1 from pg_locks where objid = {PAUSE} and not granted")
        yield run, holder, await holder.fetchval(f"select distinct pid {OF_THE_RUN}")
    finally:
        await holder.close()


async def until(connection: asyncpg.Connection, condition: str) -> None:
    async with asyncio.timeout(20):
        while True:
            if await connection.fetchval(condition):
                return
            await asyncio.sleep(0.02)


@pytest.fixture
def path(make_source: MakeSource) -> Path:
    return make_source("create table t (id integer primary key);", {"t": [(1,), (2,)]})


async def test_locks_that_are_lost_are_taken_again(path: Path, database_dsn: str) -> None:
    """A second run is refused as before, and the first one comes to its end."""
    async with paused(path, database_dsn) as (run, holder, session):
        await holder.execute("select pg_terminate_backend($1)", session)
        await until(holder, f"select count(*) = 2 {OF_THE_RUN} and pid <> {session}")
        with pytest.raises(TargetOccupiedError, match="another etl run is loading into the schema public"):
            await migrate(Options(path, database_dsn), SilentProgress())
        await holder.execute(f"select pg_advisory_unlock({PAUSE})")
        await asyncio.wait_for(run, 30)
        assert await holder.fetch("select id from t") == [(1,), (2,)]


async def test_a_run_whose_locks_another_has_gives_way(path: Path, database_dsn: str) -> None:
    """It stops at once, and says why; what it has made is left to the sweep of the next run."""
    async with paused(path, database_dsn) as (run, holder, session):
        rival = await asyncpg.connect(database_dsn)
        taken = asyncio.create_task(
            rival.execute("select pg_advisory_lock(hashtextextended('etl publishes into public', 0))")
        )
        await until(holder, f"select count(*) = 1 {OTHERS} and not granted")
        await holder.execute("select pg_terminate_backend($1)", session)
        with pytest.raises(TargetOccupiedError, match="the connection that kept other runs out was lost"):
            await asyncio.wait_for(run, 30)
        await taken
        await rival.close()
        await holder.execute(f"select pg_advisory_unlock({PAUSE})")
        assert (await migrate(Options(path, database_dsn), SilentProgress())).status == 0
        assert await holder.fetch(THERE) == [("public.t",)]
