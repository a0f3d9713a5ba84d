"""Notice a server that is stopped: it answers nothing, and no connection of it breaks.

The kernel of a stopped or frozen server goes on acknowledging packets, so that no keepalive of TCP ever fails, and a
COPY waits for ever. A connection that does nothing else asks ``select 1``; a server at work answers that at once.

Invariant: what is slow is not stopped: only a server that leaves the plainest question unanswered for ``SILENCE_S``
is given up, and then every connection of the run is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import asyncpg

from etl.errors import TargetError
from etl.load.address import TargetAddress
from etl.load.connect import Connections, hang_up, named_errors, open_connection

BEAT_S = 5.0
SILENCE_S = 60.0


@contextlib.asynccontextmanager
async def beating(
    heart: asyncpg.Connection, address: TargetAddress, give_up: Callable[[TargetError], None]
) -> AsyncIterator[None]:
    """Ask again and again while the block runs, on a new connection where ``heart`` is lost; close it at the end.

    On silence ``give_up`` is told why. It cuts the run's connections: work under ``guarded`` then ends with
    TargetLostError.
    """
    asked = [heart]
    task = asyncio.create_task(_ask(asked, address, give_up))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        await hang_up(asked.pop())


async def _ask(asked: list[asyncpg.Connection], address: TargetAddress, give_up: Callable[[TargetError], None]) -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        try:
            async with asyncio.timeout(SILENCE_S):
                if asked[0].is_closed():
                    asked[0] = await open_connection(address)
                await asked[0].fetchval("select 1")
        except TimeoutError:
            asked[0].terminate()
            give_up(
                TargetError(
                    f"the server has not answered for {SILENCE_S:g} seconds: it is stopped, or cut off",
                    "see what it does; run the command again when it answers",
                )
            )
            return
        except (TargetError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            pass  # it is gone, which the others notice by themselves; when it comes back, it is asked again


async def open_heart(control: asyncpg.Connection, pools: Sequence[Connections]) -> asyncpg.Connection:
    """The connection that asks; it is also the second one that shows whether a pooler shares out our sessions.

    ``control`` has no settings yet: behind a pooler they would be left on a stranger's connection.
    Raises TargetError where two open connections are served by one server process, or one by two.
    """
    heart = await open_connection(pools[0].address)
    with named_errors(str(pools[0].address)):
        seen = [await _backend(connection) for connection in (control, heart, control)]
    if seen[0] == seen[1] or seen[0] != seen[2]:
        heart.terminate()
        raise TargetError(
            f"{pools[0].address}: a pooler in transaction mode shares out the connections: the locks and settings of a"
            " session do not hold",
            "connect to PostgreSQL itself, or to a pool in session mode",
        )
    return heart


async def _backend(connection: asyncpg.Connection) -> int:
    async with connection.transaction():
        pid: int = await connection.fetchval("select pg_backend_pid()")
    return pid
