"""The connection breaks just when COMMIT is on its way: what the run then says of the target is what it is.

A proxy stands between the run and the server. When the COMMIT that decides passes by, it cuts every connection of the
run; the server has not seen the COMMIT by then, or has answered it, or hears of it later, or never, and from nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.errors import TargetError
from etl.load import connect
from etl.load.address import parse_address
from etl.load.commit import was_committed
from tests.fix_command import EtlCommand
from tests.fix_server import execute, rows_of, run_apart
from tests.fix_source import MakeSource

COMMIT = b"Q\x00\x00\x00\x0cCOMMIT;\x00"  # as the driver sends it
SCRIPT = """
create table parent (id integer primary key, name text);
create table child (id integer primary key, parent_id integer references parent (id));
"""
ROWS = {"parent": [(1, "Ada"), (2, "Grace")], "child": [(1, 1), (2, 2), (3, 2)]}
PARENT = "create table parent (id bigint generated always as identity primary key, name text)"
CHILD = "create table child (id serial primary key, parent_id bigint references parent)"
OLD = "insert into parent (name) values ('old')"
# way → the target's own tables, the flags, what the deciding connection has said before its COMMIT
WAYS: dict[str, tuple[tuple[str, ...], tuple[str, ...], bytes]] = {
    "create": ((), (), b"set schema"),
    "replace": ((PARENT, OLD), ("--mode", "replace"), b"set schema"),
    "fill": ((PARENT, CHILD, OLD), ("--force",), b"restart with"),
    "fill and create": ((PARENT, OLD), ("--force",), b"set schema"),
    "table by table": ((PARENT, CHILD), ("--per-table",), b"restart with"),
}
# what becomes of the COMMIT → whether it takes effect
FATES = {"cut before": False, "answered": True, "late": True, "held back": False}
UNREACHABLE = "answered, and nobody answers any more"
LATE_S = 1.0  # well within the patience of the run
HELD_BACK_S = 60.0  # the server still waits for it when the run has decided
IMPATIENT = {"etl.load.commit.PATIENCE_S": 1.0}
STATE = (
    "select 'parent', id, name from public.parent union all select 'child', id, parent_id::text from public.child"
    " order by 1 desc, 2"
)
NEW = [("parent", 1, "Ada"), ("parent", 2, "Grace"), ("child", 1, "1"), ("child", 2, "2"), ("child", 3, "2")]


class Proxy:
    """Passes bytes on until the COMMIT of a connection that has said ``marker`` comes by."""

    def __init__(self, upstream: str, marker: bytes, fate: str) -> None:
        self._upstream, self._marker, self._fate = upstream, marker, fate
        self._writers: set[asyncio.StreamWriter] = set()  # to the run
        self._servers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.struck = False
        self._is_struck = threading.Event()
        self.port = 0

    async def serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        started.set()
        await self._ended.wait()
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers | self._servers:
            writer.transport.abort()
        await asyncio.sleep(0)  # in which they are closed

    def wait_until_struck(self, seconds: float) -> None:
        """Raises AssertionError when nothing has come by until then."""
        assert self._is_struck.wait(seconds)

    def end(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._ended.set)

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None
        server, to_server = await asyncio.open_unix_connection(self._upstream)
        back = asyncio.create_task(pass_on(server, to_client))
        self._tasks |= {own, back}
        self._writers.add(to_client)
        self._servers.add(to_server)
        said, decides = b"", False
        with contextlib.suppress(OSError):
            while data := await client.read(1 << 16):
                said = said[-len(self._marker) :] + data
                decides |= self._marker in said
                if COMMIT in data and decides and not self.struck:
                    self.struck = True
                    back.cancel()
                    await self._strike(data, server, to_server)
                    return
                to_server.write(data)
                await to_server.drain()
        to_server.close()

    async def _strike(self, data: bytes, server: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        self._is_struck.set()
        if self._fate == UNREACHABLE:  # for whoever wants to ask what has become of it
            self._listener.close()
        if self._fate in ("answered", UNREACHABLE):
            to_server.write(data)
            assert b"COMMIT" in await server.read(1 << 16)
        elif self._fate == "cut before":
            to_server.transport.abort()
        for writer in self._writers:
            writer.transport.abort()
        if self._fate == "late":
            await asyncio.sleep(LATE_S)
            to_server.write(data)
            await server.read(1 << 16)
        elif self._fate == "held back":
            await asyncio.sleep(HELD_BACK_S)
        to_server.transport.abort()


async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    sink.close()


@contextlib.contextmanager
def proxied(dsn: str, marker: bytes, fate: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy before the server, and the DSN that leads through it."""
    arguments = parse_address(dsn).arguments
    (host,) = arguments["host"]
    proxy = Proxy(f"{host}/.s.PGSQL.{arguments.get('port', [5432])[0]}", marker, fate)
    started = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(proxy.serve(started),))
    thread.start()
    try:
        assert started.wait(10)
        yield proxy, f"postgresql://{arguments['user']}@127.0.0.1:{proxy.port}/{arguments['database']}"
    finally:
        proxy.end()
        thread.join()


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_said_of_a_lost_commit_is_true(
    way: str, fate: str, etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """A run that failed has left the target as it was, and one that says that it is done has published all of it."""
    tables, flags, marker = WAYS[way]
    run_apart(execute(database_dsn, *tables))
    source = make_source(SCRIPT, ROWS)
    shortened = IMPATIENT if fate == "held back" and way != "create" else {}  # all of its patience is tried once
    with proxied(database_dsn, marker, fate) as (proxy, dsn):
        done = etl.impatient(shortened, "migrate", source, dsn, *flags)
        assert proxy.struck
    if FATES[fate]:
        assert (done.status, done.errors) == (0, []), done.err
        assert rows_of(database_dsn, STATE) == NEW
    else:
        assert done.status == 1
        assert "during COMMIT" in done.errors[0]
        assert "rolled back" in done.errors[0]
        there = [name for name in ("parent", "child") if any(f"create table {name}" in sql for sql in tables)]
        kept = [("old",)] if OLD in tables else []
        found = rows_of(database_dsn, "select relname::text from pg_class where relkind = 'r'"
                        " and relnamespace = 'public'::regnamespace")  # fmt: skip
        assert sorted(found) == sorted((name,) for name in there)
        assert there == [] or rows_of(database_dsn, "select name from public.parent") == kept
    assert rows_of(database_dsn, "select nspname from pg_namespace where nspname like 'etl%'") == []


def test_nobody_says_of_an_unknown_commit_that_the_target_is_as_before(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """The server has committed, and is out of reach: the error leaves it open, and what belongs to the rows is kept."""
    source = make_source(SCRIPT.replace("name text", "name text, flag boolean"), {"parent": [(1, "Ada", 1),
                         (2, "Bob", "maybe")], "child": [(1, 1)]})  # fmt: skip
    with proxied(database_dsn, b"set schema", UNREACHABLE) as (proxy, dsn):
        done = etl.impatient({"etl.load.connect.ATTEMPTS": 2}, "migrate", source, dsn, "--on-error", "reject")
        assert proxy.struck
    assert done.status == 1
    assert "nobody knows whether it took effect" in done.errors[0]
    assert "as before" not in done.err
    assert "etl verify" in done.hints[0]
    assert rows_of(database_dsn, "select id from public.parent") == [(1,)]
    assert [path.name for path in (etl.folder / "rejects").iterdir()] == ["parent.jsonl"]


@pytest.mark.parametrize("signals", [1, 2], ids=["cut off after a while", "left at once"])
def test_a_signal_while_nobody_knows_of_the_commit_says_so(
    signals: int, etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """The process ends in the time that it has, before anybody could find out."""
    source = make_source(SCRIPT, ROWS)
    with proxied(database_dsn, b"set schema", UNREACHABLE) as (proxy, dsn):
        command = etl.command("migrate", source, dsn, "--progress", "none")
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                              env=etl.environment(), cwd=etl.folder) as process:  # fmt: skip
            proxy.wait_until_struck(60)
            for _ in range(signals):
                time.sleep(0.5)
                process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    last = said.splitlines()[-1]
    assert last.startswith(
        "interrupted: left at once" if signals == 2 else "interrupted: cleaning up took more than 5 s"
    )
    assert "nobody knows whether the COMMIT of parent, child took effect" in last
    assert "the target is as before" not in said
    assert rows_of(database_dsn, STATE) == NEW


async def test_a_server_that_cannot_be_asked_leaves_the_outcome_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither "done" nor "as before" would be true: the error says that nobody knows, and how to find out."""
    monkeypatch.setattr(connect, "ATTEMPTS", 2)
    with pytest.raises(TargetError, match="nobody knows") as caught:
        await was_committed(parse_address(f"postgresql://postgres@/postgres?host={tmp_path}"), 1, 1)
    assert "etl verify" in (caught.value.hint or "")


async def test_a_number_that_a_crash_has_forgotten_was_not_committed(server_dsn: str) -> None:
    """A server that crashed before it wrote anything of the transaction does not know its number."""
    assert not await was_committed(parse_address(server_dsn), 1 << 60, 1)
