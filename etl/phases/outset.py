"""How a run begins: the snapshot, and work for the cores that would stand idle while all stages are imported.

    snapshot ─┬─► SQLite counts the pages of the tables, in a thread ──► the plan asks for it
              ├─► SQLite checks the file, in the guardian ─────────────► paused for the load, heard before the publish
              └─► half a second of imports

Invariant: nothing is asked of the target, and no answer is awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from etl.extract.snapshot import Snapshot, open_snapshot
from etl.load.address import parse_address
from etl.options import Options

SENT_S = 0.001  # until what was asked for is under way, in its thread and in the guardian's pipe


@asynccontextmanager
async def outset(options: Options) -> AsyncIterator[Snapshot]:
    """The snapshot of the source, in which SQLite is at work already.

    Raises UsageError for an address that is none, SourceError and SnapshotError as ``open_snapshot`` does.
    """
    if options.target:
        parse_address(options.target)  # a slip of the keyboard costs no snapshot
    async with open_snapshot(options.source, options.jobs) as snapshot:
        snapshot.begin_sizes()
        if not options.dry_run:
            snapshot.begin_check()
        await asyncio.sleep(SENT_S)
        yield snapshot
