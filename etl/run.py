"""What every step of a run needs, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from etl.clock import Clock
from etl.extract.snapshot import Snapshot
from etl.load.connect import Connections
from etl.load.rejects import RejectFolder
from etl.load.session import Session
from etl.options import Options
from etl.progress import Progress


@dataclass(frozen=True, slots=True)
class Run:
    """One ``migrate`` or ``verify``: its source, its target, what was asked for, and who is told."""

    snapshot: Snapshot
    session: Session
    options: Options
    clock: Clock
    rejects: RejectFolder | None = None  # with --on-error reject

    @property
    def connections(self) -> Connections:
        return self.session.connections

    @property
    def progress(self) -> Progress:
        return self.clock.progress
