"""What every step of a run needs, as one value."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import asyncpg

from etl.coercion_log import CoercionLog
from etl.difference_log import DifferenceLog
from etl.errors import UnknownOutcomeError
from etl.extract.snapshot import Snapshot
from etl.load.connect import Lender, OneConnection
from etl.load.rejects import RejectFolder
from etl.load.replacement import Replacing
from etl.load.session import Session
from etl.model import Plan
from etl.options import Options
from etl.phases.clock import Clock
from etl.progress import Progress
from etl.standing import Standing
from etl.threads import in_stoppable_thread, in_thread


@dataclass(frozen=True, slots=True)
class Run:
    """One ``migrate`` or ``verify``: its source, its target, what was asked for, and who is told."""

    snapshot: Snapshot
    session: Session
    options: Options
    clock: Clock
    rejects: RejectFolder | None = None  # with --on-error reject
    coercion_log: CoercionLog | None = None  # with --coercion-log
    differences: DifferenceLog | None = None  # with --differences
    standing: Standing = field(default_factory=Standing)
    _one_by_one: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def connections(self) -> Lender:
        return self.session.connections

    def on(self, connection: asyncpg.Connection) -> Run:
        """The same run with this one connection for everything: every step is part of its transaction."""
        one = OneConnection(connection, self.connections.address)
        return replace(self, session=replace(self.session, connections=one))

    @property
    def apart(self) -> Run:
        """The same run on connections of their own, for what goes on beside another step."""
        return replace(self, session=replace(self.session, connections=self.session.spare))

    @property
    def replacing(self) -> Replacing:
        """What of the target gives way to the run's own tables."""
        return Replacing(self.options.mode == "replace", self.options.rebuild_dependents)

    @property
    def progress(self) -> Progress:
        return self.clock.progress

    @property
    def counts_in_verification(self) -> bool:
        """Whether what was coerced may be counted when both sides are read again: all of it, and nobody logs each."""
        return self.options.verify == "full" and self.coercion_log is None

    @contextlib.asynccontextmanager
    async def deciding(self, plan: Plan) -> AsyncIterator[AbstractContextManager[None]]:
        """Around the COMMIT that shows what is planned: what files say of its rows is on the disk before it begins.

        Raises WritingError then. Yields what is to last while the COMMIT is in doubt. Files of a COMMIT that has failed
        are left to ``close_files``; of one that may have taken effect they are kept. One comes after the other.
        """
        names = [table.source.name for table in plan.tables]
        async with self._one_by_one:
            if self.rejects is not None:
                await in_thread(self.rejects.complete, names)
            if self.coercion_log is not None:
                await in_stoppable_thread(self.coercion_log.complete, names)
            try:
                yield self.standing.deciding([table.name for table in plan.tables] + [view.name for view in plan.views])
            except UnknownOutcomeError:
                self._keep_files(names)
                raise
            self._keep_files(names)

    def _keep_files(self, names: Iterable[str]) -> None:
        if self.coercion_log is not None:
            self.coercion_log.keep()
        if self.rejects is not None:
            self.rejects.keep(names)

    def close_files(self) -> None:
        """The run is over: what is kept has its final name, and the rest is gone."""
        if self.rejects is not None:
            self.rejects.close()
        if self.coercion_log is not None:
            self.coercion_log.close()
