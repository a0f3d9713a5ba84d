"""What a run holds on the target while it lasts: its connections, its locks, its staging schema.

Invariant: on the way out, however it ends, connections are closed within seconds and what was not published is gone,
or left to the next run's sweep when the server does not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg

from etl.load.address import TargetAddress
from etl.load.connect import Connections, Lender, connect, hang_up
from etl.load.journal import Staging, create_staging, discard

CLEAN_UP_S = 4.0


@dataclass(frozen=True, slots=True)
class Session:
    """``connections`` work, one a job, ``spare`` ones beside them; ``control`` holds the run's advisory locks."""

    connections: Lender
    spare: Lender
    control: asyncpg.Connection

    @property
    def server_version(self) -> str:
        version = self.control.get_server_version()
        return f"{version.major}.{version.minor}"


@contextlib.asynccontextmanager
async def open_session(address: TargetAddress, jobs: int) -> AsyncIterator[Session]:
    """Connect to the target; raises TargetError when it cannot be reached or refuses us."""
    control = await connect(address)
    connections, spare = Connections(address, jobs), Connections(address, jobs)
    try:
        yield Session(connections, spare, control)
    finally:
        await spare.close()
        await connections.close()
        await hang_up(control)


@contextlib.asynccontextmanager
async def staged(session: Session) -> AsyncIterator[Staging]:
    """The run's staging schema; whatever happens, what was not published is dropped on the way out."""
    staging = await create_staging(session.control)
    try:
        yield staging
    finally:
        clean_up = asyncio.ensure_future(discard(session.connections, staging))
        try:
            await asyncio.wait_for(asyncio.shield(clean_up), CLEAN_UP_S)
        except Exception:  # what cannot be dropped now, the next run sweeps; the first error is the one to show
            clean_up.cancel()
