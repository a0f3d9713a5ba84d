"""The server goes away in the middle: nobody hangs, the cause is named, and what can be tried again is."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from etl.errors import TargetError, TargetLostError
from etl.load.address import parse_address
from etl.load.connect import Connections, connect, guarded
from etl.shell.embedded import EmbeddedServer, start_server, stop_server

CHUNK = b"x\n" * (1 << 19)
TRICKLE_S = 0.02


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server that may be killed."""
    server = start_server(tmp_path_factory.mktemp("own") / "pg")
    yield server
    stop_server(server.directory)


@pytest.fixture
async def connection(own_server: EmbeddedServer) -> AsyncIterator[asyncpg.Connection]:
    """A connection to it."""
    for _ in range(50):  # the test before may have left it in crash recovery
        try:
            connection = await connect(parse_address(own_server.dsn))
            break
        except TargetError:
            await asyncio.sleep(0.1)
    else:
        pytest.fail("the server did not come back")
    await connection.execute("set search_path = public; create table if not exists t (c text)")
    yield connection
    connection.terminate()


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield CHUNK


async def copy_for_ever(connection: asyncpg.Connection) -> None:
    await connection.copy_to_table("t", source=endless(), format="csv")


async def test_a_backend_killed_under_back_pressure_ends_the_copy(connection: asyncpg.Connection) -> None:
    """The driver's writer waits for a socket that will never drain; the loss of the connection must end it."""
    backend = connection.get_server_pid()
    work = asyncio.create_task(guarded(connection, copy_for_ever(connection)))
    await asyncio.sleep(0.3)
    os.kill(backend, signal.SIGSTOP)  # the socket fills and the writer is held back
    await asyncio.sleep(0.5)
    assert not work.done()
    os.kill(backend, signal.SIGKILL)
    with pytest.raises(TargetLostError):
        await asyncio.wait_for(work, 10)


async def test_a_cancelled_copy_on_a_paused_server_unwinds_within_seconds(connection: asyncpg.Connection) -> None:
    """A paused server never answers a polite close: after a moment the connection is cut."""
    backend = connection.get_server_pid()
    work = asyncio.create_task(guarded(connection, copy_for_ever(connection)))
    await asyncio.sleep(0.3)
    os.kill(backend, signal.SIGSTOP)
    try:
        await asyncio.sleep(0.3)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(work, 8)
    finally:
        os.kill(backend, signal.SIGCONT)


async def test_an_administrator_who_ends_the_session_is_named(
    connection: asyncpg.Connection, own_server: EmbeddedServer
) -> None:
    """pg_terminate_backend is a lost connection too, to be tried again."""
    work = asyncio.create_task(guarded(connection, copy_for_ever(connection)))
    await asyncio.sleep(0.2)
    other = await connect(parse_address(own_server.dsn))
    await other.execute("select pg_terminate_backend($1)", connection.get_server_pid())
    await other.close()
    with pytest.raises(TargetLostError):
        await asyncio.wait_for(work, 10)


async def test_a_lost_connection_is_replaced_when_it_is_next_borrowed(
    connection: asyncpg.Connection, own_server: EmbeddedServer
) -> None:
    """The pool of loaders never hands out a dead connection."""
    connections = Connections(parse_address(own_server.dsn), 1)
    try:
        async with connections.borrow() as first:
            first_pid = await first.fetchval("select pg_backend_pid()")
            await connection.execute("select pg_terminate_backend($1)", first_pid)
            await asyncio.sleep(0.2)
        async with connections.borrow() as second:
            assert await second.fetchval("select pg_backend_pid()") != first_pid
    finally:
        await connections.close()


async def test_a_socket_without_a_server_is_one_clear_error(tmp_path: Path) -> None:
    """No traceback, no guess: nobody listens there."""
    with pytest.raises(TargetError, match=r"socket|refused|reached"):
        await connect(parse_address(f"postgresql://postgres@/postgres?host={tmp_path}"))
