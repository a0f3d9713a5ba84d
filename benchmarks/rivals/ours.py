"""Our own tool, run through its command line as any user runs it.

Invariant: the phases are the ones that its JSON report tells; the wall time is the whole process, start-up included.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Usage
from benchmarks.rivals import Job, MissingRivalError, Rival
from benchmarks.schema import DOUBLE_TEXT_CASTS, TypeSet


def version() -> str:
    """Our version; raises MissingRivalError when the command is not installed beside this Python."""
    if not _program().exists():
        raise MissingRivalError(f"{_program().name} beside {Path(sys.executable).name}: run `make` first")
    return f"etl {importlib.metadata.version('etl')}"


def command(job: Job, *flags: str) -> list[str]:
    """`etl migrate` with a JSON report and no progress."""
    report = str(_report_file(job))
    return [str(_program()), "migrate", str(job.source), job.dsn, "--report", report, "--progress", "none", *flags]


def phases(job: Job, usage: Usage) -> dict[str, float]:
    """The report's phases (load, build, verify, publish …), each in seconds of wall time."""
    report = json.loads(_report_file(job).read_text())
    return {name: float(seconds) for name, seconds in report["phases"].items()}


def phases_and_verification(job: Job, usage: Usage) -> dict[str, float]:
    """The report's phases, and ``verify alone``: the same verification as a run of its own, after the measured one.

    In a migration it runs beside the build, and its phase is only what was still to wait for.
    """
    report = job.work / "verify.json"
    command = [str(_program()), "verify", str(job.source), job.dsn, "--report", str(report), "--progress", "none"]
    subprocess.run(command, check=True, capture_output=True)
    return {**phases(job, usage), "verify alone": float(json.loads(report.read_text())["phases"]["verify"])}


def _program() -> Path:
    return Path(sys.executable).parent / "etl"


def _report_file(job: Job) -> Path:
    return job.work / "report.json"


_CAST_FLAGS = tuple(flag for cast in DOUBLE_TEXT_CASTS for flag in ("--cast", cast))

RIVALS = (
    Rival(
        name="ours",
        title="etl migrate, whole run with indexes and full verification, contract types",
        types=TypeSet.CONTRACT,
        version=version,
        command=command,
        phases=phases_and_verification,
        creates_tables=True,
        builds_indexes=True,
        verifies=True,
    ),
    Rival(
        name="ours-unverified",
        title="etl migrate --verify none, whole run with indexes, contract types",
        types=TypeSet.CONTRACT,
        version=version,
        command=lambda job: command(job, "--verify", "none"),
        phases=phases,
        creates_tables=True,
        builds_indexes=True,
    ),
    Rival(
        name="ours-double-text",
        title="etl migrate --verify none with DuckDB's types",
        types=TypeSet.DOUBLE_TEXT,
        version=version,
        command=lambda job: command(job, "--verify", "none", *_CAST_FLAGS),
        phases=phases,
        creates_tables=True,
        builds_indexes=True,
    ),
)
