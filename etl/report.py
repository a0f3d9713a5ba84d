"""What a run says when it is over: the closing table on stdout and the JSON report (format 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from etl.errors import ExitStatus
from etl.model import Difference, LoadedTable, Plan, VerifiedTable


@dataclass(frozen=True, slots=True)
class Sequence:
    """Where a sequence stands after the load: the next INSERT gets ``next_value``."""

    table: str
    column: str
    next_value: int


@dataclass(frozen=True, slots=True)
class Report:
    """The whole run in one value. ``loaded`` is empty for ``etl verify``; ``verified`` for ``--verify none``."""

    command: str  # migrate | verify
    source: str
    target: str  # without password
    plan: Plan
    status: ExitStatus
    loaded: tuple[LoadedTable, ...] = ()
    verified: tuple[VerifiedTable, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    differences: tuple[Difference, ...] = ()  # of schema objects; those of rows stand in ``verified``
    index_count: int = 0
    foreign_key_count: int = 0
    phases: Mapping[str, float] = field(default_factory=dict)  # name → seconds, wall
    server_version: str = ""
    notes: tuple[str, ...] = ()
