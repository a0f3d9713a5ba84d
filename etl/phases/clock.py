"""Wall time per phase of a run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from etl.progress import Progress


class Clock:
    """Tells the progress what begins and ends, and keeps the seconds for the report."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def phase(self, name: str, total_rows: int = 0) -> Iterator[None]:
        started = time.perf_counter()
        self.progress.start_phase(name, total_rows)
        yield
        seconds = time.perf_counter() - started
        # a phase may come twice: tables created, then filled
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.progress.finish_phase(name, seconds)
