"""Progress as lines: plain ones for a log, JSON for a program. All of it on stderr; bars stand in ``bars.py``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from etl.counted_nouns import counted
from etl.progress import Progress, SilentProgress
from etl.shell.meter import Meter
from etl.shell.units import clock, count, duration, short_count, size

KINDS = ("auto", "bar", "plain", "json", "none")


@contextmanager
def open_progress(kind: str, stream: TextIO) -> Iterator[Progress]:
    """The progress of one of KINDS on ``stream``; ``auto`` is bars on a terminal and lines elsewhere."""
    if kind == "auto":
        kind = "bar" if stream.isatty() else "plain"
    if kind == "bar":
        from etl.shell.bars import BarProgress  # rich is imported for bars only

        with BarProgress(stream) as bars:
            yield bars
    elif kind == "plain":
        yield PlainProgress(stream)
    elif kind == "json":
        yield JsonProgress(stream)
    else:
        yield SilentProgress(stream)


class PlainProgress:
    """Lines for a log: one per phase, one per finished table, and one every few seconds."""

    def __init__(self, stream: TextIO, interval_s: float = 5.0) -> None:
        self._stream = stream
        self._interval_s = interval_s
        self._phase = ""
        self._whole = Meter(0)
        self._tables: dict[str, Meter] = {}
        self._told = time.monotonic()

    def start_phase(self, phase: str, total_rows: int) -> None:
        """Tell the phase and how much is to come."""
        self._phase, self._whole, self._tables = phase, Meter(total_rows), {}
        self._say(f"{phase}: about {counted(total_rows, 'row')}" if total_rows else f"{phase}: started")

    def start_table(self, table: str, total_rows: int) -> None:
        """Remember it; lines tell finished tables only."""
        self._tables[table] = Meter(total_rows)

    def advance(self, table: str, rows: int, source_bytes: int) -> None:
        """Count, and tell when the last line is old."""
        now = time.monotonic()
        self._whole.advance(rows, source_bytes, now)
        meter = self._tables.get(table)
        if meter is not None:
            meter.advance(rows, source_bytes, now)
        if now - self._told >= self._interval_s:
            self._say(f"{self._phase}: {self._state()}")

    def finish_table(self, table: str) -> None:
        """One line with the table's own figures."""
        meter = self._tables.pop(table, None)
        if meter is None:
            return
        if meter.rows:
            seconds = max(meter.seconds, 1e-6)
            figures = f"{counted(meter.rows, 'row')}, {size(meter.source_bytes)} in {duration(seconds)}"
            self._say(f"{self._phase}: {table}: {figures} ({short_count(meter.rows / seconds)} rows/s)")
        else:
            self._say(f"{self._phase}: {table}: done in {duration(meter.seconds)}")

    def finish_phase(self, phase: str, seconds: float) -> None:
        """One line with the phase's time."""
        self._say(f"{phase}: done in {duration(seconds)}")

    def note(self, message: str) -> None:
        """A line of its own."""
        self._say(f"note: {message}")

    def advise(self, message: str) -> None:
        """As a note."""
        self.note(message)

    def _state(self) -> str:
        whole = self._whole
        told = counted(whole.rows, "row")
        if whole.fraction is not None:
            told = (
                f"{count(whole.rows)} of about {count(max(whole.total_rows, whole.rows))} rows ({whole.fraction:.0%})"
            )
        told += f", {short_count(whole.rows_per_second)} rows/s, {size(whole.bytes_per_second)}/s"
        left = whole.seconds_left
        return told if left is None else f"{told}, about {clock(left)} left"

    def _say(self, line: str) -> None:
        self._told = time.monotonic()
        print(line, file=self._stream, flush=True)


class JsonProgress:
    """One JSON object a line: ``event``, ``seconds`` since the start, and what the event is about."""

    def __init__(self, stream: TextIO, interval_s: float = 0.5) -> None:
        self._stream = stream
        self._interval_s = interval_s
        self._started = time.monotonic()
        self._phase = ""
        self._tables: dict[str, Meter] = {}
        self._told: dict[str, float] = {}

    def start_phase(self, phase: str, total_rows: int) -> None:
        """``phase_started``."""
        self._phase, self._tables = phase, {}
        self._say("phase_started", phase=phase, total_rows=total_rows)

    def start_table(self, table: str, total_rows: int) -> None:
        """``table_started``."""
        self._tables[table] = Meter(total_rows)
        self._say("table_started", phase=self._phase, table=table, total_rows=total_rows)

    def advance(self, table: str, rows: int, source_bytes: int) -> None:
        """``table_advanced``, at most two a second for a table."""
        now = time.monotonic()
        meter = self._tables.setdefault(table, Meter(0))
        meter.advance(rows, source_bytes, now)
        if now - self._told.get(table, 0.0) >= self._interval_s:
            self._told[table] = now
            self._say("table_advanced", phase=self._phase, table=table, **_figures(meter))

    def finish_table(self, table: str) -> None:
        """``table_finished``, or ``object_finished`` for a key or an index, which never began."""
        self._told.pop(table, None)
        meter = self._tables.pop(table, None)
        if meter is None:
            self._say("object_finished", phase=self._phase, object=table)
        else:
            self._say("table_finished", phase=self._phase, table=table, **_figures(meter))

    def finish_phase(self, phase: str, seconds: float) -> None:
        """``phase_finished``."""
        self._say("phase_finished", phase=phase, phase_seconds=round(seconds, 3))

    def note(self, message: str) -> None:
        """``note``."""
        self._say("note", message=message)

    def advise(self, message: str) -> None:
        """As a note."""
        self.note(message)

    def _say(self, event: str, **facts: Any) -> None:
        record = {"event": event, "seconds": round(time.monotonic() - self._started, 3), **facts}
        print(json.dumps(record, ensure_ascii=False), file=self._stream, flush=True)


def _figures(meter: Meter) -> dict[str, Any]:
    return {
        "rows": meter.rows,
        "total_rows": max(meter.total_rows, meter.rows),
        "bytes": meter.source_bytes,
        "rows_per_second": round(meter.rows_per_second),
    }
