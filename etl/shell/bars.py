"""Progress bars on a terminal: one per running table and one for the whole phase.

Invariant: the pipeline only counts; drawing happens in rich's own thread, ten times a second.
"""

from __future__ import annotations

from threading import Lock
from types import TracebackType
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from etl.counted_nouns import counted
from etl.shell.meter import Meter
from etl.shell.units import clock, duration, short_count, size

_NAME_WIDTH = 18
_CTRL_C_WIDTH = 3  # a terminal echoes ^C at the end of the last line: a full line would wrap and leave a bar behind
_FIGURES = (4, 5, 7, 12, 9)  # widths: per cent, rows, time left, rows/s, bytes/s; the last are the first to go
_BAR_WIDTH = 6  # at least
_ROWS_SHOWN = 8  # more running tables than this would push the overall bar off small screens


class BarProgress:
    """A context manager: the bars live inside ``with`` and are gone after it; what is done stays as lines."""

    def __init__(self, stream: TextIO) -> None:
        self._lock = Lock()  # dictionaries change while the drawing thread walks over them
        self._phase = ""
        self._whole = Meter(0)
        self._tables: dict[str, Meter] = {}
        self._finished = 0
        self._console = Console(file=stream, highlight=False)
        self._live = Live(
            console=self._console,
            refresh_per_second=10,
            transient=True,
            get_renderable=self._draw,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> BarProgress:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._phase = ""
        self._live.stop()

    def start_phase(self, phase: str, total_rows: int) -> None:
        """The overall bar starts again for this phase."""
        with self._lock:
            self._phase, self._whole, self._tables, self._finished = phase, Meter(total_rows), {}, 0

    def start_table(self, table: str, total_rows: int) -> None:
        """A bar of its own."""
        with self._lock:
            self._tables[table] = Meter(total_rows)

    def advance(self, table: str, rows: int, source_bytes: int) -> None:
        """Count; the next drawing shows it."""
        with self._lock:
            self._whole.advance(rows, source_bytes)
            if table in self._tables:
                self._tables[table].advance(rows, source_bytes)

    def finish_table(self, table: str) -> None:
        """Its bar goes; keys and indexes, which never had one, are counted too."""
        with self._lock:
            self._tables.pop(table, None)
            self._finished += 1

    def finish_phase(self, phase: str, seconds: float) -> None:
        """A line stays: what the phase did and how long it took."""
        with self._lock:
            whole, done, self._phase = self._whole, self._finished, ""
        told = f"[green]✓[/] {phase:<8} {duration(seconds):>8}"
        if whole.rows:
            speed = f"{short_count(whole.rows / max(seconds, 1e-6))} rows/s"
            rate = f"{size(whole.source_bytes / max(seconds, 1e-6))}/s"
            told += f"   {counted(whole.rows, 'row')}, {counted(done, 'table')}, {speed}, {rate}"
        elif done:
            told += f"   {counted(done, 'object')}"
        self._console.print(told)

    def note(self, message: str) -> None:
        """A line above the bars."""
        self._console.print(Text(f"note: {message}"))

    def advise(self, message: str) -> None:
        """As a note."""
        self.note(message)

    def _draw(self) -> RenderableType:
        with self._lock:
            if not self._phase:
                return Text("")
            running = sorted(self._tables.items(), key=lambda item: -item[1].total_rows)
            grid, figures = _grid(self._console.width - _CTRL_C_WIDTH)
            for name, meter in running[:_ROWS_SHOWN]:
                _add_bar(grid, figures, name, meter, "cyan")
            _add_bar(grid, figures, self._phase, self._whole, "bold")
            return grid


def _grid(width: int) -> tuple[Table, int]:
    """Name, bar and figures, with how many of these there is room for; the bar takes what they leave."""
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.width = width
    grid.add_column(width=_NAME_WIDTH, no_wrap=True, overflow="ellipsis")
    grid.add_column(ratio=1, min_width=_BAR_WIDTH)
    shown = len(_FIGURES)
    while shown > 1 and _NAME_WIDTH + 1 + _BAR_WIDTH + sum(1 + figure for figure in _FIGURES[:shown]) > width:
        shown -= 1
    for figure in _FIGURES[:shown]:
        grid.add_column(justify="right", no_wrap=True, width=figure)
    return grid, shown


def _add_bar(grid: Table, figures: int, name: str, meter: Meter, style: str) -> None:
    fraction, left = meter.fraction, meter.seconds_left
    bar = ProgressBar(total=1.0, completed=fraction or 0.0, pulse=fraction is None)
    cells = (
        "" if fraction is None else f"{fraction:.0%}",
        short_count(meter.rows) if meter.rows else "",
        f"{clock(left)}" if left is not None else "",
        f"{short_count(meter.rows_per_second)} rows/s" if meter.rows else "",
        f"{size(meter.bytes_per_second)}/s" if meter.rows else "",
    )
    grid.add_row(Text(name, style=style), bar, *cells[:figures])
