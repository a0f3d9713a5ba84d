"""The advisory locks that keep other runs out of this one's target and out of its staging schema, while it lasts.

They end with the session that took them. A run outlives a session that is lost (a server that restarts, an
administrator who ends it), and a second run that found the locks free would sweep the staging schema of the first.

Invariant: what is lost is taken again on a new connection at once, or the run is given up: never do two of them work
in one place, neither knowing of the other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime

import asyncpg

from etl.errors import TargetError, TargetOccupiedError
from etl.load.address import TargetAddress
from etl.load.connect import connect, hang_up, named_errors, retrying

OUR_OLD_SESSION_S = 5.0  # for the server to end a session of ours that it still believes in
ASKED_EVERY_S = 0.1
TRY = "select pg_try_advisory_lock(hashtextextended($1, 0))"


class RunLocks:
    """Locks by name, taken on ``control`` by whoever needs them and held from `hold` on."""

    def __init__(self, control: asyncpg.Connection, address: TargetAddress) -> None:
        self._address = address
        self._names: list[str] = []
        self._lost = asyncio.Event()
        self._began: datetime | None = None
        self._watch(control)

    async def hold(self, name: str) -> None:
        """From now on a lock that the session has goes on to the next one when it is lost."""
        if self._began is None:
            self._began = await _beginning_of(self._connection)
        self._names.append(name)

    @contextlib.asynccontextmanager
    async def kept(self, give_up: Callable[[TargetError], None]) -> AsyncIterator[None]:
        """Take lost locks again while the block runs; ``give_up`` is told why where that fails."""
        task = asyncio.create_task(self._keep(give_up))
        first = self._connection
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            if self._connection is not first:
                await hang_up(self._connection)

    def _watch(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._lost.clear()
        connection.add_termination_listener(lambda _: self._lost.set())

    async def _keep(self, give_up: Callable[[TargetError], None]) -> None:
        while True:
            await self._lost.wait()
            if not self._names:
                return  # whoever asks for one is told by the connection itself
            try:
                async for attempt in retrying():
                    with attempt:
                        await self._take_again()
            except TargetError as error:
                give_up(error)
                return

    async def _take_again(self) -> None:
        connection = await connect(self._address)
        try:
            with named_errors("the locks of the run"):
                await self._end_old_session(connection)
                for name in self._names:
                    if not await connection.fetchval(TRY, name):
                        raise TargetOccupiedError(
                            f"the connection that kept other runs out was lost, and one of them has begun ({name})",
                            "wait for it to end, then run again",
                        )
                self._began = await _beginning_of(connection)
        except BaseException:
            connection.terminate()
            raise
        self._watch(connection)

    async def _end_old_session(self, connection: asyncpg.Connection) -> None:
        """A server may hold on to a session whose network is gone: as long as it does, the locks are out of reach."""
        process = self._connection.get_server_pid()
        end_it = "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start = $2"
        async with asyncio.timeout(OUR_OLD_SESSION_S):
            while True:
                if await connection.fetchval(end_it, process, self._began) is None:
                    return
                await asyncio.sleep(ASKED_EVERY_S)


async def _beginning_of(connection: asyncpg.Connection) -> datetime:
    began: datetime = await connection.fetchval(
        "select backend_start from pg_stat_activity where pid = pg_backend_pid()"
    )
    return began
