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
        self.seconds[name] = time.perf_counter() - started
        self.progress.finish_phase(name, self.seconds[name])
