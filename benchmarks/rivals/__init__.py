"""The tools that we are measured against, one file each, and what all of them have in common.

Invariant: a rival states its types, its version and what it leaves out; one that is missing on this machine is
reported as missing, never skipped in silence.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.schema import TypeSet

if TYPE_CHECKING:  # a rival's process imports this file: keep the harness's own weight out of its figures
    from benchmarks.measure import Usage

EXACT_TOLERANCE = 1e-9  # the order of summation moves the last digits of a floating sum
FLOAT4_TOLERANCE = 1e-4  # a rival that keeps numbers as float4 has lost them from the seventh digit on

_MODULES = ("ours", "physical_limit", "duckdb_ext", "pgloader", "adbc", "csv_psql", "plain_python")


class MissingRivalError(Exception):
    """The rival cannot run on this machine; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Job:
    """One load: what to read, where to write, and a folder for scratch files that is removed afterwards."""

    source: Path
    dsn: str  # of an empty database, or of one with the declared tables when the rival does not create its own
    work: Path
    types: TypeSet
    ready_files: Path | None = None  # binary COPY files, one per table, for the physical limit

    @property
    def seconds_file(self) -> Path:
        """Where a worker of ours writes its phases."""
        return self.work / "seconds.json"

    def write(self) -> Path:
        """The job as a file, for a process of its own."""
        path = self.work / "job.json"
        path.touch(mode=0o600)  # the DSN holds a password
        fields = {
            "source": str(self.source),
            "dsn": self.dsn,
            "work": str(self.work),
            "types": self.types.value,
            "ready_files": str(self.ready_files) if self.ready_files else None,
        }
        path.write_text(json.dumps(fields))
        return path


def read_job(path: Path) -> Job:
    """The job that ``Job.write`` wrote."""
    fields: dict[str, Any] = json.loads(path.read_text())
    ready = fields["ready_files"]
    return Job(
        source=Path(fields["source"]),
        dsn=fields["dsn"],
        work=Path(fields["work"]),
        types=TypeSet(fields["types"]),
        ready_files=Path(ready) if ready else None,
    )


@dataclass(frozen=True, slots=True)
class Rival:
    """One way to bring the tables into PostgreSQL."""

    name: str
    title: str
    types: TypeSet
    version: Callable[[], str]  # raises MissingRivalError
    command: Callable[[Job], list[str]]
    phases: Callable[[Job, Usage], dict[str, float]]  # at least "load", in seconds
    creates_tables: bool = False  # otherwise the harness creates them, without keys and indexes
    builds_indexes: bool = False
    verifies: bool = False
    needs_ready_files: bool = False
    tolerance: float = EXACT_TOLERANCE
    environment: dict[str, str] = field(default_factory=dict)
    remark: str = ""


def all_rivals() -> dict[str, Rival]:
    """Every rival by name, ours and the limit first."""
    found: dict[str, Rival] = {}
    for module in _MODULES:
        for rival in importlib.import_module(f"benchmarks.rivals.{module}").RIVALS:
            found[rival.name] = rival
    return found


def worker_command(module: str) -> Callable[[Job], list[str]]:
    """The command of a rival that is a Python program: its own file, run with the job."""

    def command(job: Job) -> list[str]:
        return [sys.executable, "-m", f"benchmarks.rivals.{module}", str(job.write())]

    return command


def worker_phases(job: Job, usage: Usage) -> dict[str, float]:
    """The phases that ``worker.main`` measured inside the process: start-up and imports are not in them."""
    phases: dict[str, float] = json.loads(job.seconds_file.read_text())
    return phases


def wall_is_load(job: Job, usage: Usage) -> dict[str, float]:
    """For a foreign program that does nothing but load."""
    return {"load": usage.wall_s}
