"""What a shell gives: `sqlite3 -csv … | psql -c '\\copy … csv'`, table by table.

Invariant: the server parses every value, so it loads the contract's types; SQLite writes reals with 15 digits, so
their last digits are lost.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess

from benchmarks.rivals import Job, MissingRivalError, Rival, wall_is_load
from benchmarks.schema import TABLES, Column, Kind, Table, TypeSet


def version() -> str:
    """Both programs' versions; raises MissingRivalError without them."""
    for program in ("sqlite3", "psql", "bash"):
        if shutil.which(program) is None:
            raise MissingRivalError(program)
    sqlite = subprocess.run(["sqlite3", "--version"], capture_output=True, text=True, check=True)
    psql = subprocess.run(["psql", "--version"], capture_output=True, text=True, check=True)
    return f"sqlite3 {sqlite.stdout.split()[0]}, {psql.stdout.strip()}"


def command(job: Job) -> list[str]:
    """One pipeline per table in one shell script."""
    script = job.work / "load.sh"
    script.touch(mode=0o600)  # the DSN holds a password
    source = shlex.quote(f"file:{job.source}?mode=ro")
    target = shlex.quote(job.dsn)
    lines = ["set -euo pipefail"]
    for table in TABLES:
        copy = shlex.quote(f"\\copy {table.name} from stdin (format csv)")
        lines.append(
            f"sqlite3 -csv {source} {shlex.quote(_select(table))} | psql -qX -v ON_ERROR_STOP=1 {target} -c {copy}"
        )
    script.write_text("\n".join(lines) + "\n")
    return ["bash", str(script)]


def _select(table: Table) -> str:
    return f"select {', '.join(map(_term, table.columns))} from {table.name}"


def _term(column: Column) -> str:
    return f"'\\x' || hex({column.name})" if column.kind is Kind.BLOB else column.name


RIVALS = (
    Rival(
        name="csv-psql",
        title="sqlite3 CSV | psql \\copy, contract types",
        types=TypeSet.CONTRACT,
        version=version,
        command=command,
        phases=wall_is_load,
        remark="reals have 15 digits",
    ),
)
