"""Step 1, detect: where everything is, and where that is known from.

Reads the surroundings and nothing of the data. Optional parts that are missing are said; a missing database stops.
"""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from etl.counted_nouns import counted
from etl.errors import SourceError
from etl.move.candidates import Failed, Origin, Surroundings, first_that_exists, resolve
from etl.move.move_plan import MovePlan
from etl.move.step_outcome import StepOutcome

NAMES = ("database", "config", "env", "documents")


@dataclass(frozen=True, slots=True)
class Detected:
    """What was found; ``failed`` are the candidates that led nowhere, by what they were for."""

    found: Mapping[str, Origin]
    failed: Mapping[str, tuple[Failed, ...]]
    around: Surroundings

    def path(self, name: str) -> Path | None:
        origin = self.found.get(name)
        return None if origin is None else origin.path

    def value(self, name: str) -> str | None:
        origin = self.found.get(name)
        return None if origin is None else origin.value

    @property
    def database(self) -> Path:
        return self.found["database"].path


def detect(plan: MovePlan, environment: Mapping[str, str]) -> Detected:
    """Look for everything that the plan names; raises SourceError when no database is there."""
    around = Surroundings(plan.folder, environment)
    found: dict[str, Origin] = {}
    failed: dict[str, tuple[Failed, ...]] = {}

    def look(name: str, candidates: tuple[str, ...]) -> None:
        wanted = Path.is_dir if name == "documents" else Path.is_file
        origin, misses = first_that_exists(candidates, around, wanted)
        failed[name] = tuple(misses)
        if origin is not None:
            found[name] = origin

    look("env", plan.source.env)
    if "env" in found:
        around = Surroundings(plan.folder, environment, found["env"].path)
    look("database", plan.source.database)
    if "database" not in found:
        tried = "; ".join(f"{miss.candidate}: {miss.why}" for miss in failed["database"])
        raise SourceError(
            f"no database was found ({tried})",
            f"correct [source] database in {plan.path}: the first that exists counts",
        )
    look("config", plan.source.config)
    look("documents", plan.source.documents)
    for name, origin_or_miss in _owner(plan, found["database"].path, around).items():
        if isinstance(origin_or_miss, Origin):
            found[name] = origin_or_miss
        else:
            failed[name] = (origin_or_miss,)
    return Detected(found, failed, around)


def _owner(plan: MovePlan, database: Path, around: Surroundings) -> dict[str, Origin | Failed]:
    """Whose data it is. ``os`` is the account that owns the database, whoever runs the move (root, by sudo)."""
    found: dict[str, Origin | Failed] = {}
    if plan.owner.person is not None:
        if plan.owner.person == "os":
            found["person"] = _account(database)
        else:
            found["person"] = resolve(plan.owner.person, around, is_path=False)
    if plan.owner.uid == "os":
        found["uid"] = Origin(str(database.stat().st_uid), "os", f"the owner of {database}")
    elif plan.owner.uid is not None:
        found["uid"] = resolve(plan.owner.uid, around, is_path=False)
    return found


def _account(database: Path) -> Origin | Failed:
    uid = database.stat().st_uid
    try:
        return Origin(pwd.getpwuid(uid).pw_name, "os", f"the owner of {database}")
    except KeyError:
        return Failed("os", f"{database} belongs to uid {uid}, and no account has it")


def describe(detected: Detected) -> StepOutcome:
    """Every path found and where it came from, every one missing and what was tried."""
    lines = []
    for name in (*NAMES, "person", "uid"):
        origin = detected.found.get(name)
        misses = detected.failed.get(name, ())
        if origin is not None:
            note = f"; {origin.note}" if origin.note else ""
            lines.append(f"{name:<9}  {origin.value}{_measure(name, origin)}  (from {origin.candidate}{note})")
        elif misses:
            tried = "; ".join(f"{miss.candidate}: {miss.why}" for miss in misses)
            lines.append(f"{name:<9}  missing  ({tried})")
        else:
            lines.append(f"{name:<9}  not in the plan")
    data = {name: {"value": origin.value, "from": origin.candidate} for name, origin in detected.found.items()}
    return StepOutcome("detect", "done", tuple(lines), data)


def _measure(name: str, origin: Origin) -> str:
    return f", {counted(origin.path.stat().st_size, 'byte')}" if name in ("database", "config", "env") else ""
