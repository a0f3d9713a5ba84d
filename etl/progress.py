"""What the pipeline tells while it runs, as a protocol; the ways to show it stand in ``shell/``."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What the pipeline calls; every method returns at once and may be called thousands of times a second."""

    def start_phase(self, phase: str, total_rows: int) -> None:
        """A phase begins: ``load``, ``build``, ``verify``, ``publish``; 0 when rows do not measure it."""

    def start_table(self, table: str, total_rows: int) -> None:
        """A table begins within the phase; ``total_rows`` is an estimate."""

    def advance(self, table: str, rows: int, source_bytes: int) -> None:
        """A page of the table is through."""

    def finish_table(self, table: str) -> None:
        """The table is through with the phase."""

    def finish_phase(self, phase: str, seconds: float) -> None:
        """The phase is over."""

    def note(self, message: str) -> None:
        """Something that the user should read."""


class SilentProgress:
    """Says nothing (``--progress none``)."""

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
