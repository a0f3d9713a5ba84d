"""What every step of a run needs, as one value."""

from __future__ import annotations

from dataclasses import dataclass, replace

import asyncpg

from etl.coercion_log import CoercionLog
from etl.difference_log import DifferenceLog
from etl.extract.snapshot import Snapshot
from etl.load.connect import Lender, OneConnection
from etl.load.rejects import RejectFolder
from etl.load.replacement import Replacing
from etl.load.session import Session
from etl.options import Options
from etl.phases.clock import Clock
from etl.progress import Progress


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

    def keep_files(self) -> None:
        """The run has published: what it wrote beside it gets its final name."""
        if self.rejects is not None:
            self.rejects.keep()
        if self.coercion_log is not None:
            self.coercion_log.keep()

    def discard_files(self) -> None:
        """Take away what is not kept."""
        if self.rejects is not None:
            self.rejects.discard()
        if self.coercion_log is not None:
            self.coercion_log.discard()
