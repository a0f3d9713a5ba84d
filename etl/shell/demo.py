"""The demo: a sample database, a PostgreSQL in a folder, a migration with progress and verification, and what to try.

Invariant: everything lives in one folder that the demo marked as its own; running it again starts over.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from etl.counted_nouns import counted
from etl.errors import EtlError, ExitStatus
from etl.options import Options, default_jobs
from etl.shell.console import deliver, run_job, say, write_out
from etl.shell.embedded import EmbeddedServer, start_server, stop_server
from etl.shell.sample import build_sample
from etl.standing import Standing

_MARK = "made-by-etl-demo"
_QUERIES = (
    "select status, count(*), sum(total) from orders group by status order by 2 desc",
    "select c.name, count(*) as orders, sum(o.total) as spent from customers c "
    "join orders o on o.customer_id = c.id group by c.id order by spent desc limit 5",
)


def demonstrate(directory: Path, rows: int, progress_kind: str, reports: Sequence[Path]) -> ExitStatus:
    """Run the demo in ``directory``; the server stays up when all went well, so that the queries can be tried."""
    from etl.pipeline import migrate

    _claim(directory)
    source = directory / "shop.db"
    say(f"sample database: {source}, {counted(build_sample(source, rows), 'row')}")
    server = start_server(directory / "postgres")
    say(f"embedded PostgreSQL: {server.dsn}")

    def leave() -> None:
        stop_server(server.directory, timeout_s=0)

    standing = Standing()
    options = Options(source=source, target=server.dsn, jobs=default_jobs(), mode="replace")
    try:
        work = partial(migrate, standing=standing)
        status = deliver(run_job(work, options, progress_kind, leave, standing), options, reports)
    except BaseException:
        stop_server(server.directory)
        raise
    write_out(_farewell(directory, server))
    return status


def stop_demo(directory: Path) -> ExitStatus:
    """Stop the demo's server and say how to remove the rest."""
    stopped = stop_server(directory / "postgres")
    say(f"the demo's PostgreSQL {'is stopped' if stopped else 'was not running'}")
    if directory.exists():
        say(f"to delete the demo: rm -r {shlex.quote(str(directory))}")
    return ExitStatus.DONE


def _claim(directory: Path) -> None:
    """Make the folder ours, or raise EtlError where it already is somebody else's."""
    mark = directory / _MARK
    try:
        if directory.is_dir() and not mark.exists() and any(directory.iterdir()):
            raise EtlError(f"{directory}: this folder holds something else than the demo", "etl demo --dir NEW_FOLDER")
        directory.mkdir(parents=True, exist_ok=True)
        mark.write_text("`etl demo` made this folder; `etl demo --stop` and then `rm -r` remove it\n")
    except OSError as error:
        raise EtlError(f"{directory}: {error.strerror}", "etl demo --dir FOLDER_THAT_YOU_MAY_WRITE") from error


def _farewell(directory: Path, server: EmbeddedServer) -> str:
    psql = _write_psql(directory, server)
    queries = "\n".join(f"  {psql} -c {shlex.quote(query)}" for query in _QUERIES)
    again = "" if str(directory) == "demo" else f" --dir {shlex.quote(str(directory))}"
    program = _program()
    return (
        f"\nPostgreSQL is running: {server.dsn}\n"
        f"Two queries to try:\n{queries}\n"
        f"Stop it:    {program} demo{again} --stop\n"
        f"Delete it:  rm -r {shlex.quote(str(directory))}   (stop it first)"
    )


def _program() -> str:
    """How this program was called, where plain `etl` would not find it."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m etl"
    if shutil.which("etl") is not None or not called.exists():
        return "etl"
    return shlex.quote(str(Path(os.path.relpath(called))))


def _write_psql(directory: Path, server: EmbeddedServer) -> str:
    """A two-line script that opens the demo's database with the wheel's psql: short enough to be typed."""
    script = directory / "psql"
    script.write_text(f'#!/bin/sh\nexec {server.psql_command} -P pager=off "$@"\n')
    script.chmod(0o755)
    return shlex.quote(str(script if script.is_absolute() else Path() / script))
