"""pgloader 3.6: the tool that people use for this today.

Invariant: measured twice: whole, as its users run it (its own types, its indexes), and data only, into the contract's
tables, so that its load can stand beside ours.
"""

from __future__ import annotations

import shutil
import subprocess

from benchmarks.rivals import FLOAT4_TOLERANCE, Job, MissingRivalError, Rival, wall_is_load
from benchmarks.schema import TypeSet

_WHOLE = "include drop, create tables, create indexes, reset sequences"
_DATA_ONLY = "data only"


def version() -> str:
    """Its version; raises MissingRivalError without it."""
    program = shutil.which("pgloader")
    if program is None:
        raise MissingRivalError("pgloader (a Debian package)")
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return f"pgloader {told.split(chr(34))[1]}" if '"' in told else told.strip()


def command(options: str, job: Job) -> list[str]:
    """pgloader with a command file."""
    file = job.work / "pgloader.load"
    file.touch(mode=0o600)  # the DSN holds a password
    file.write_text(f"load database\n  from sqlite://{job.source}\n  into {job.dsn}\n  with {options};\n")
    return ["pgloader", "--root-dir", str(job.work), "--on-error-stop", str(file)]


RIVALS = (
    Rival(
        name="pgloader",
        title="pgloader, whole run with its indexes, its own types",
        types=TypeSet.TOOLS_OWN,
        version=version,
        command=lambda job: command(_WHOLE, job),
        phases=wall_is_load,
        creates_tables=True,
        builds_indexes=True,
        tolerance=FLOAT4_TOLERANCE,
        remark="reals become float4; verifies nothing",
    ),
    Rival(
        name="pgloader-data",
        title="pgloader, data only, contract types",
        types=TypeSet.CONTRACT,
        version=version,
        command=lambda job: command(_DATA_ONLY, job),
        phases=wall_is_load,
        tolerance=FLOAT4_TOLERANCE,
    ),
)
