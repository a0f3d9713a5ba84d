"""What the shell sees: statuses, stdout for the report alone, JSON for programs."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import execute, run_apart
from tests.fix_source import MakeSource
from tests.integration.test_bad_input import objects_of

WITH_VIEW = """
create table t (id integer primary key, x text);
create view v as select group_concat(distinct x) from t;
"""


def test_a_migration_ends_with_nought_and_its_report_on_stdout(
    etl: EtlCommand, database_dsn: str, sqlite_path: Path
) -> None:
    """The closing table begins stdout, the verdict ends it, progress is elsewhere."""
    done = etl("migrate", sqlite_path, database_dsn)
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].split()[:3] == ["table", "rows", "bytes"]
    assert lines[-1] == "verdict: equal: 1 table, 3 rows, every value compared"
    assert "load: done" in done.err
    assert done.errors == []


def test_the_json_report_is_written_beside_stdout(etl: EtlCommand, database_dsn: str, sqlite_path: Path) -> None:
    """Both sides' checksums, the phases and the verdict, twice if asked for twice."""
    done = etl("migrate", sqlite_path, database_dsn, "--report", "a.json", "--report", "b.json", "--progress", "none")
    assert (done.status, done.err) == (0, "")
    content = json.loads((etl.folder / "a.json").read_text())
    assert content == json.loads((etl.folder / "b.json").read_text())
    (table,) = content["tables"]
    assert (content["verdict"], table["source_rows"], table["loaded_rows"]) == ("equal", 3, 3)
    assert table["source_checksum"] == table["target_checksum"]
    assert {"load", "build", "verify", "publish", "total"} <= content["phases"].keys()
    assert sorted(path.name for path in etl.folder.iterdir()) == ["a.json", "b.json"]


def test_a_verification_that_finds_a_difference_says_four(
    etl: EtlCommand, database_dsn: str, sqlite_path: Path
) -> None:
    """Key, column and both values are in the report; stderr has one error and its hint."""
    assert etl("migrate", sqlite_path, database_dsn).status == 0
    assert etl("verify", sqlite_path, database_dsn).status == 0
    run_apart(execute(database_dsn, "update person set name = 'Ida' where id = 1"))
    done = etl("verify", sqlite_path, database_dsn)
    assert done.status == 4
    assert "verdict: DIFFERENT" in done.out
    assert "Ida" in done.out
    assert len(done.errors) == len(done.hints) == 1


def test_untranslated_objects_say_five_until_they_are_accepted(
    etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """The data are there and verified; the view is named."""
    path = make_source(WITH_VIEW, {"t": [(1, "a")]})
    done = etl("migrate", path, database_dsn)
    assert done.status == 5
    assert "view v:" in done.out
    assert "--accept-untranslated" in done.err
    assert etl("migrate", path, database_dsn, "--force", "--accept-untranslated").status == 0


def test_a_dry_run_prints_the_plan_and_touches_nothing(etl: EtlCommand, database_dsn: str, sqlite_path: Path) -> None:
    """The plan is stdout; the target has seen no DDL."""
    done = etl("migrate", sqlite_path, database_dsn, "--dry-run")
    assert done.status == 0, done.err
    assert "create table person" in done.out
    assert objects_of(database_dsn) == ["public."]


def test_a_target_of_the_environment_works_with_yes(etl: EtlCommand, database_dsn: str, sqlite_path: Path) -> None:
    """DATABASE_URL and --yes, without a terminal."""
    done = etl("migrate", sqlite_path, "--yes", env={"DATABASE_URL": database_dsn})
    assert done.status == 0, done.err


def test_json_progress_is_json_to_the_last_line(etl: EtlCommand, database_dsn: str, sqlite_path: Path) -> None:
    """A program that reads stderr line by line needs no exceptions."""
    done = etl("migrate", sqlite_path, database_dsn, "--progress", "json")
    events = [json.loads(line)["event"] for line in done.err.splitlines()]
    assert events[0] == "phase_started"
    assert "table_finished" in events


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_the_target_as_it_was(
    number: signal.Signals, status: int, etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """In the middle of the load; out within five seconds, and the next run works."""
    path = make_source(
        "create table t (id integer primary key, body text)", {"t": [(n, "x" * 200) for n in range(150_000)]}
    )
    process = subprocess.Popen(
        etl.command("migrate", path, database_dsn, "--progress", "json", "--page-bytes", "64kB"),
        cwd=etl.folder,
        env=etl.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "table_advanced" in line:
            break
    started = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - started < 6
    assert process.returncode == status
    assert err.splitlines()[-1] == "interrupted: the target is as before"
    assert out == ""
    assert objects_of(database_dsn) == ["public."]
    assert etl("migrate", path, database_dsn, "--progress", "none").status == 0


def test_a_terminal_gets_bars_and_its_cursor_back(etl: EtlCommand, database_dsn: str, sqlite_path: Path) -> None:
    """Bars go to stderr even when stdout is a file."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        etl.command("migrate", sqlite_path, database_dsn),
        cwd=etl.folder,
        env=etl.environment({"TERM": "xterm"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=side,
    )
    os.close(side)
    shown = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    out, _ = process.communicate(timeout=20)
    os.close(main)
    assert process.returncode == 0
    assert "✓" in shown.decode()
    assert " verify " in shown.decode()
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l")
    assert b"\x1b" not in out
