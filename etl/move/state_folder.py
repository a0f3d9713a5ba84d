"""The state folder of a move: which steps are done, the hashes of the originals, and room for a copy of the source.

Invariant: the journal is written whole or not at all; nothing is written before the first step that changes anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etl.errors import EtlError, UsageError
from etl.move.atomic_files import write_file
from etl.move.step_outcome import StepError

JOURNAL = "journal.json"


class StateFolder:
    """A folder of its own beside the plan, readable by its owner alone."""

    def __init__(self, path: Path, plan_file: Path) -> None:
        self.path = path
        self._plan_file = plan_file
        self._content: dict[str, Any] = {}

    def begin(self) -> None:
        """A move from the start: what an earlier one wrote down no longer counts."""
        self._content = {"plan": self._plan_hash(), "steps": [], "changed": [], "originals": {}}

    def join(self) -> None:
        """A single step: what is written down stays, as long as the plan is the same."""
        try:
            self.resume()
        except EtlError:
            self.begin()

    def resume(self) -> None:
        """Go on where an earlier move ended; raises UsageError when there is none, or its plan was another one."""
        try:
            content = json.loads((self.path / JOURNAL).read_text(encoding="utf-8"))
            self._content = {name: content[name] for name in ("plan", "steps", "changed", "originals")}
        except FileNotFoundError:
            raise UsageError(
                f"--resume: no earlier move is written down in {self.path}", "run it without --resume"
            ) from None
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise StepError(f"{self.path / JOURNAL}: cannot be read: {error}", "run it without --resume") from error
        if self._content.get("plan") != self._plan_hash():
            raise UsageError(
                f"--resume: {self._plan_file} is not the plan of the earlier move any more",
                "run single steps with --only or --from, or all of it without --resume",
            )

    @property
    def done(self) -> tuple[str, ...]:
        """The steps that an earlier move, or this one, has done."""
        return tuple(self._content["steps"])

    @property
    def changed(self) -> tuple[str, ...]:
        """What has changed since the move began, this run's and those before it."""
        return tuple(self._content["changed"])

    @property
    def originals(self) -> dict[str, str]:
        """Path → hash of the originals, as the move found them."""
        return dict(self._content.get("originals", {}))

    def note_originals(self, hashes: Mapping[str, str]) -> None:
        self._content["originals"] = dict(hashes)

    def note_ended(self, step: str, changed: tuple[str, ...], *, is_done: bool) -> None:
        if is_done and step not in self._content["steps"]:
            self._content["steps"].append(step)
        self._content["changed"] += [line for line in changed if line not in self._content["changed"]]
        self._write()

    def note_begun(self, step: str, *, all_or_nothing: bool) -> None:
        """Until the step is done again, it is not done; but for one that leaves everything as it was when it fails."""
        if not all_or_nothing:
            self._content["steps"] = [name for name in self._content["steps"] if name != step]
        self._write()

    def make(self) -> Path:
        """The folder, made when it is not there; raises StepError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StepError(
                f"state folder {self.path}: cannot be made: {error.strerror}",
                'name another one in the plan: [state] folder = "…"',
            ) from error
        return self.path

    def leave(self) -> None:
        """Take the folder away when nothing is in it."""
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def _write(self) -> None:
        write_file(self.make() / JOURNAL, json.dumps(self._content, indent=1).encode(), 0o600)

    def _plan_hash(self) -> str:
        return hashlib.sha256(self._plan_file.read_bytes()).hexdigest()


def is_writable(path: Path) -> bool:
    """Whether a file of this name could be made, as far as permissions tell: the nearest folder that exists decides."""
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
