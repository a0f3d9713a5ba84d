"""Verification that is cancelled, loses its server, or is given what it cannot judge."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from pathlib import Path

import adbc_driver_sqlite.dbapi
import asyncpg
import pytest

from etl.errors import PlanError, TargetError
from etl.verify.compare import verify_table
from tests.verifying import Specimen, connected, verify

ROWS = 60_000
SPECIMEN = Specimen("t", (("id", "integer", "bigint"), ("v", "text", "text")), ("id",))
FILL = f"create table t as select n::bigint as id, repeat('x', 200) as v from generate_series(0, {ROWS - 1}) n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Some batches of rows."""
    return SPECIMEN.create_source(tmp_path / "s.db", ((n, "x" * 200) for n in range(ROWS)))


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_cancelled_verification_leaves_both_connections_usable(
    after: int, source: Path, database_dsn: str
) -> None:
    """At once, without a thread that still reads, and without a transaction left open."""
    async with connected(database_dsn) as target:
        await target.execute(FILL)
        with closing(adbc_driver_sqlite.dbapi.connect(f"file:{source}?mode=ro")) as reader:
            batches = 0
            reached = asyncio.Event()

            def on_rows(rows: int, size: int) -> None:
                nonlocal batches
                batches += 1
                if batches >= after:
                    reached.set()

            work = asyncio.ensure_future(verify_table(reader, target, SPECIMEN.plan, "public", on_rows))
            if after:
                await reached.wait()
            else:
                await asyncio.sleep(0)
            started = time.perf_counter()
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
            assert time.perf_counter() - started < 3
            assert not target.is_in_transaction()
            assert await target.fetchval("select count(*) from t") == ROWS
            again = await verify_table(reader, target, SPECIMEN.plan, "public", lambda rows, size: None)
            assert again.differences == ()


async def test_a_server_that_goes_away_is_an_error_and_no_hang(source: Path, database_dsn: str) -> None:
    """The backend is terminated in the middle of the stream."""
    async with connected(database_dsn) as control:
        await control.execute(FILL)
        target = await asyncpg.connect(database_dsn)
        pid = await target.fetchval("select pg_backend_pid()")
        killers: list[asyncio.Task[object]] = []

        def on_rows(rows: int, size: int) -> None:
            if not killers:
                killers.append(asyncio.ensure_future(control.fetchval("select pg_terminate_backend($1)", pid)))

        with (
            closing(adbc_driver_sqlite.dbapi.connect(f"file:{source}?mode=ro")) as reader,
            pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)),
        ):
            async with asyncio.timeout(20):
                await verify_table(reader, target, SPECIMEN.plan, "public", on_rows)
        await killers[0]
        target.terminate()


async def test_a_table_that_is_not_there_is_named(source: Path, database_dsn: str) -> None:
    """With a hint, and before anything is read."""
    async with connected(database_dsn) as target:
        with pytest.raises(TargetError, match=r"^public\.t: there is no such table in the target$") as raised:
            await verify(source, target, SPECIMEN.plan)
        assert raised.value.hint is not None


@pytest.mark.parametrize("kind", ["point", "line", "tsvector"])
async def test_a_type_without_a_rule_is_refused(kind: str, source: Path, database_dsn: str) -> None:
    """No verdict is better than one by guess."""
    specimen = Specimen("t", (("id", "integer", "bigint"), ("v", "text", kind)))
    async with connected(database_dsn) as target:
        with pytest.raises(PlanError) as raised:
            await verify(source, target, specimen.plan)
    assert str(raised.value) == f"t.v: verification has no rule for the type {kind}"


async def test_rows_hidden_by_a_policy_are_an_error(source: Path, database_dsn: str) -> None:
    """Row security would make rows look missing; the server is told to refuse instead."""
    async with connected(database_dsn) as target:
        await target.execute(
            f"{FILL}; alter table t enable row level security; create policy few on t using (id > 5);"
            "drop role if exists etl_test_reader; create role etl_test_reader; grant select on t to etl_test_reader;"
            "grant usage on schema public to etl_test_reader; set role etl_test_reader"
        )
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await verify(source, target, SPECIMEN.plan)
        finally:
            await target.execute("reset role; drop owned by etl_test_reader; drop role etl_test_reader")
