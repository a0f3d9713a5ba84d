"""What a run holds on the target while it lasts: its connections, its locks, its staging schema.

Invariant: on the way out, however it ends, connections are closed within seconds and what was not published is gone,
or left to the next run's sweep when the server does not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import asyncpg

from etl.errors import SnapshotError, TargetError
from etl.load.address import TargetAddress
from etl.load.connect import Connections, Lender, hang_up, named_errors, open_connection
from etl.load.heartbeat import beating, open_heart
from etl.load.journal import Staging, create_staging, discard
from etl.load.leftovers import Leftover, describe_staging
from etl.load.run_locks import RunLocks
from etl.load.session_settings import apply_settings

CLEAN_UP_S = 4.0


@dataclass(frozen=True, slots=True)
class Session:
    """``connections`` work, one a job, ``spare`` ones beside them; ``control`` takes the run's advisory ``locks``."""

    connections: Lender
    spare: Connections
    control: asyncpg.Connection
    locks: RunLocks

    @property
    def server_version(self) -> str:
        version = self.control.get_server_version()
        return f"{version.major}.{version.minor}"


@contextlib.asynccontextmanager
async def open_session(address: TargetAddress, jobs: int) -> AsyncIterator[Session]:
    """Connect to the target; raises TargetError when it cannot be reached or refuses us."""
    control = await open_connection(address)
    connections, spare = Connections(address, jobs), Connections(address, jobs)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(hang_up, control)
        heart = await open_heart(control, (connections, spare))
        stack.callback(heart.terminate)  # where what follows fails; `beating` closes it otherwise
        with named_errors(str(address)):
            await apply_settings(control, address)
        stack.push_async_callback(connections.close)
        stack.push_async_callback(spare.close)

        def give_up(reason: TargetError) -> None:
            for pool in (connections, spare):
                pool.condemn(reason)
            control.terminate()

        locks = RunLocks(control, address)
        await stack.enter_async_context(locks.kept(give_up))
        await stack.enter_async_context(beating(heart, address, give_up))
        yield Session(connections, spare, control, locks)


@contextlib.asynccontextmanager
async def staged(
    session: Session,
    source: str,
    target_schema: str,
    earlier: Staging | None,
    tell_kept: Callable[[Leftover], None] | None,
    lent: str | None = None,
) -> AsyncIterator[Staging]:
    """The run's staging schema, a new one or that of an ``earlier`` run, or the one that is ``lent``;
    what was not published is dropped at the end.

    After a failure, but that of the snapshot, it is kept where a finished table in it is worth it; ``tell_kept``
    (None: never keep) is told so.
    """
    staging = earlier or await create_staging(session.control, source, target_schema, lent)
    await session.locks.hold(staging.schema)
    try:
        yield staging
    except BaseException as failure:
        # where the snapshot was lost, nobody knows what the finished tables hold
        is_known = not isinstance(failure, SnapshotError)
        await _bounded(_keep_or_discard(session, staging, tell_kept if is_known else None))
        raise
    await _bounded(discard(session.connections, staging))


async def _keep_or_discard(session: Session, staging: Staging, tell_kept: Callable[[Leftover], None] | None) -> None:
    if tell_kept is not None:
        async with session.connections.borrow() as connection:
            if await staging.exists(connection):
                leftover = await describe_staging(connection, staging.schema)
                if leftover.is_worth_keeping:
                    tell_kept(leftover)
                    return
    await discard(session.connections, staging)


async def _bounded(work: Coroutine[Any, Any, None]) -> None:
    clean_up = asyncio.ensure_future(work)
    try:
        await asyncio.wait_for(asyncio.shield(clean_up), CLEAN_UP_S)
    except Exception:  # what cannot be dropped now, the next run sweeps; the first error is the one to show
        clean_up.cancel()
