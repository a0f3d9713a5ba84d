"""A server that is stopped says nothing and closes nothing: the run ends all the same, and the target is as before."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.errors import TargetError, TargetLostError
from etl.load import heartbeat
from etl.load.address import parse_address
from etl.load.connect import guarded
from etl.load.session import open_session
from etl.options import Options
from etl.pipeline import migrate
from etl.progress import SilentProgress
from etl.shell.embedded import EmbeddedServer, start_server, stop_server
from tests.fix_server import execute
from tests.fix_source import build_source


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server that may be stopped."""
    server = start_server(tmp_path_factory.mktemp("own") / "pg")
    yield server
    stop_server(server.directory)


def processes_of(server: EmbeddedServer) -> list[int]:
    """The postmaster and its children."""
    postmaster = int((Path(server.directory) / "postmaster.pid").read_text().splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [postmaster, *map(int, children)]


def send(signal_number: int, server: EmbeddedServer) -> None:
    for process in processes_of(server):
        os.kill(process, signal_number)


class StopsTheServer(SilentProgress):
    """Stops every process of the server when the first rows have arrived, as a frozen machine does."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self.stopped_at: float | None = None

    def advance(self, table: str, rows: int, source_bytes: int) -> None:
        if self.stopped_at is None:
            send(signal.SIGSTOP, self._server)
            self.stopped_at = time.monotonic()


async def test_a_stopped_server_ends_the_run(
    own_server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever for a COPY that nobody reads; and when the server is back, nothing of the run is there."""
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.1)
    monkeypatch.setattr(heartbeat, "SILENCE_S", 1.5)
    rows = [(n, "x" * 400) for n in range(100_000)]
    source = build_source(tmp_path / "s.db", "create table t (id integer primary key, a text)", {"t": rows})
    progress = StopsTheServer(own_server)
    try:
        with pytest.raises(TargetError, match=r"has not answered for 1\.5 seconds"):
            await asyncio.wait_for(migrate(Options(source, own_server.dsn), progress), 60)
        assert progress.stopped_at is not None
        assert time.monotonic() - progress.stopped_at < 30
    finally:
        send(signal.SIGCONT, own_server)
    again = await migrate(Options(source, own_server.dsn), SilentProgress())
    assert again.status == 0


async def test_a_server_that_came_back_is_asked_again(
    own_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection that asks is lost with all the others when a server restarts, and nobody else would notice."""
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.1)
    monkeypatch.setattr(heartbeat, "SILENCE_S", 1.5)
    async with open_session(parse_address(own_server.dsn), 1) as session, session.connections.borrow() as connection:
        ours = [session.control.get_server_pid(), connection.get_server_pid()]
        others = "from pg_stat_activity where backend_type = 'client backend' and pid <> all($1)"
        (heart,) = [row["pid"] for row in await connection.fetch(f"select pid {others}", ours)]
        await connection.execute(f"select pg_terminate_backend({heart})")
        for _ in range(200):
            if await connection.fetchval(f"select array_agg(pid) {others}", ours) not in (None, [heart]):
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("nobody asks the server any more")
        send(signal.SIGSTOP, own_server)
        try:
            with pytest.raises(TargetLostError):
                await asyncio.wait_for(guarded(connection, connection.execute("select 1")), 20)
        finally:
            send(signal.SIGCONT, own_server)


class StopsTheServerAt(StopsTheServer):
    """Stops it when the first rows of one table have arrived."""

    def __init__(self, server: EmbeddedServer, table: str) -> None:
        super().__init__(server)
        self._table = table

    def advance(self, table: str, rows: int, source_bytes: int) -> None:
        if table == self._table:
            super().advance(table, rows, source_bytes)


async def test_what_was_committed_before_the_silence_is_named(
    own_server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--per-table: the target is not as before."""
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.1)
    monkeypatch.setattr(heartbeat, "SILENCE_S", 1.5)
    tables = (
        "create table parent (id integer primary key)",
        "create table child (id integer primary key, parent_id integer references parent (id))",
    )
    await execute(own_server.dsn, "create schema filled", *(sql.replace("table ", "table filled.", 1).replace(
        "references ", "references filled.") for sql in tables))  # fmt: skip
    rows = {"parent": [(1,)], "child": [(n, 1) for n in range(100_000)]}
    source = build_source(tmp_path / "s.db", ";".join(tables), rows)
    progress = StopsTheServerAt(own_server, "child")
    options = Options(source, own_server.dsn, target_schema="filled", per_table=True)
    try:
        with pytest.raises(TargetError) as caught:
            await asyncio.wait_for(migrate(options, progress), 60)
        assert progress.stopped_at is not None
        assert "committed before, and there to stay: parent" in caught.value.message
        assert "the target is as before" not in f"{caught.value.message} {caught.value.hint}"
    finally:
        send(signal.SIGCONT, own_server)


async def test_a_server_that_is_slow_is_not_given_up(
    own_server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement of minutes leaves the plainest question answered."""
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.05)
    monkeypatch.setattr(heartbeat, "SILENCE_S", 0.5)
    async with open_session(parse_address(own_server.dsn), 1) as session, session.connections.borrow() as connection:
        await connection.execute("select pg_sleep(1.5)")
        assert await session.control.fetchval("select 1") == 1
