"""What a step says when it is over, and how it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from etl.errors import EtlError

DONE, SKIPPED, FAILED, NOT_REACHED, NOT_ASKED = "done", "skipped", "failed", "not reached", "not asked for"


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """``lines`` are for a person, ``data`` for the JSON report; ``changed`` names what is there now and was not."""

    name: str
    state: str  # done | skipped | failed | not reached | not asked for
    lines: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    seconds: float = 0.0


class StepError(EtlError):
    """A step that failed although nothing broke: everything that it found is in ``lines``."""

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        lines: Sequence[str] = (),
        data: Mapping[str, Any] | None = None,
        changed: Sequence[str] = (),
    ) -> None:
        super().__init__(message, hint)
        self.lines = tuple(lines)
        self.data = dict(data or {})
        self.changed = tuple(changed)
