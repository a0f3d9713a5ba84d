"""A table is compared as soon as its own keys are there, while the key of a larger one is still built."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from etl.options import Options
from etl.phases import comparison
from etl.pipeline import migrate
from etl.progress import SilentProgress
from etl.verify.compare import verify_table
from tests.fix_pause import PAUSE, pause_before
from tests.fix_source import MakeSource

SCRIPT = "create table quick (id integer primary key); create table slow (id integer primary key);"


async def test_a_table_is_compared_while_the_key_of_another_is_built(
    make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is given back only when the other table has been compared: waiting for all keys would be for ever."""
    compared = {name: asyncio.Event() for name in ("quick", "slow")}

    async def verify(source: Any, target: Any, table: Any, *rest: Any, **more: Any) -> Any:
        result = await verify_table(source, target, table, *rest, **more)
        compared[table.name].set()
        return result

    monkeypatch.setitem(comparison.WAYS, "full", verify)
    path = make_source(SCRIPT, {"quick": [(n,) for n in range(3)], "slow": [(n,) for n in range(5)]})
    holder = await asyncpg.connect(database_dsn)
    try:
        await holder.execute(f"{pause_before('slow_pkey')} select pg_advisory_lock({PAUSE})")
        run = asyncio.create_task(migrate(Options(path, database_dsn, jobs=2), SilentProgress()))
        await asyncio.wait_for(compared["quick"].wait(), 30)
        assert not compared["slow"].is_set()
        await holder.execute(f"select pg_advisory_unlock({PAUSE})")
        report = await asyncio.wait_for(run, 30)
    finally:
        await holder.close()
    assert compared["slow"].is_set()
    assert {table.name: table.verdict.value for table in report.verified} == {"quick": "equal", "slow": "equal"}
