"""What the pipeline tells while it runs, as a protocol; the ways to show it stand in ``shell/``."""

from __future__ import annotations

from typing import Protocol, TextIO


class TableProgress(Protocol):
    """What is told of tables within a phase; returns at once, and may be called thousands of times a second."""

    def start_table(self, table: str, total_rows: int) -> None:
        """A table begins within the phase; ``total_rows`` is an estimate."""

    def advance(self, table: str, rows: int, source_bytes: int) -> None:
        """A page of the table is through."""

    def finish_table(self, table: str) -> None:
        """The table is through with the phase."""


class Progress(TableProgress, Protocol):
    """What the pipeline calls."""

    def start_phase(self, phase: str, total_rows: int) -> None:
        """A phase begins: ``load``, ``build``, ``verify``, ``publish``; 0 when rows do not measure it."""

    def finish_phase(self, phase: str, seconds: float) -> None:
        """The phase is over."""

    def note(self, message: str) -> None:
        """Something that the user should read."""

    def advise(self, message: str) -> None:
        """Something that is left for the user to do: said even where nobody wants to hear of progress."""


class HeldProgress:
    """For a phase that begins beside another one: says nothing before its turn, and then what is left to do."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._held = True
        self._left: dict[str, int] = {}  # rows of the tables that have begun and not ended
        self.rows = 0  # that nobody was told of

    def start_table(self, table: str, total_rows: int) -> None:
        """Remember it, or tell it."""
        self._left[table] = total_rows
        if not self._held:
            self._progress.start_table(table, total_rows)

    def advance(self, table: str, rows: int, source_bytes: int) -> None:
        """Add it up, or tell it."""
        if self._held:
            self._left[table] -= rows
            self.rows += rows
        else:
            self._progress.advance(table, rows, source_bytes)

    def finish_table(self, table: str) -> None:
        """Forget it, or tell it."""
        del self._left[table]
        if not self._held:
            self._progress.finish_table(table)

    def release(self) -> None:
        """Tell everything from now on."""
        self._held = False
        for table, rows in self._left.items():
            self._progress.start_table(table, max(rows, 0))


class SilentProgress:
    """Says nothing (``--progress none``) but what the user has to do, on ``stream``."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def start_phase(self, phase: str, total_rows: int) -> None:
        """Nothing."""

    def start_table(self, table: str, total_rows: int) -> None:
        """Nothing."""

    def advance(self, table: str, rows: int, source_bytes: int) -> None:
        """Nothing."""

    def finish_table(self, table: str) -> None:
        """Nothing."""

    def finish_phase(self, phase: str, seconds: float) -> None:
        """Nothing."""

    def note(self, message: str) -> None:
        """Nothing."""

    def advise(self, message: str) -> None:
        """A line."""
        if self._stream is not None:
            print(f"note: {message}", file=self._stream, flush=True)
