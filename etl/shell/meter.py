"""Rows and bytes so far, their speed, and the time that is left.

Invariant: totals are estimates, so no figure ever says more than 100 %, and none is used for anything but telling.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Meter:
    """Rows and bytes of one table or one phase, with their speed over the last seconds."""

    total_rows: int  # an estimate; 0 when unknown
    rows: int = 0
    source_bytes: int = 0
    started: float = field(default_factory=time.monotonic)
    _points: deque[tuple[float, int, int]] = field(default_factory=deque)

    WINDOW_S = 6.0
    SPACING_S = 0.2

    def advance(self, rows: int, source_bytes: int, now: float | None = None) -> None:
        """Count a page in."""
        now = time.monotonic() if now is None else now
        if not self._points:
            self._points.append((self.started, 0, 0))
        self.rows += rows
        self.source_bytes += source_bytes
        if now - self._points[-1][0] >= self.SPACING_S:
            self._points.append((now, self.rows, self.source_bytes))
            while len(self._points) > 2 and now - self._points[0][0] > self.WINDOW_S:
                self._points.popleft()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def fraction(self) -> float | None:
        """Between 0 and 1; None where the total is unknown."""
        return min(1.0, self.rows / self.total_rows) if self.total_rows > 0 else None

    @property
    def rows_per_second(self) -> float:
        return self._speed(1)

    @property
    def bytes_per_second(self) -> float:
        return self._speed(2)

    @property
    def seconds_left(self) -> float | None:
        """None while it is unknown: no total, no speed yet, or more rows than were expected."""
        speed = self.rows_per_second
        left = self.total_rows - self.rows
        return left / speed if speed > 0 and left > 0 else None

    def _speed(self, place: int) -> float:
        """Over the window up to now, so that a run that stands still slows down on the screen."""
        if not self._points:
            return 0.0
        first = self._points[0]
        passed = max(time.monotonic() - first[0], 1e-3)
        return ((self.rows, self.source_bytes)[place - 1] - first[place]) / passed
