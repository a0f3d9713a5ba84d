"""The disk of the files that a run writes beside the target is full: one clear line, and the target is as before.

What says something of the rows (rejected ones, coerced values) is whole on the disk before the COMMIT; the report comes
after it, and is no reason to call a run failed that has published.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.fix_command import Done, EtlCommand
from tests.fix_disk import small_disk
from tests.fix_server import execute, rows_of, run_apart
from tests.fix_source import MakeSource

ROWS = 10_000
SCRIPT = "".join(f"create table {name} (id integer primary key, at datetime, flag boolean);" for name in "ab")
COERCED = [(n, "2024-05-06", 1) for n in range(ROWS)]  # 1.2 MB of the log each
TABLES = tuple(f"create table {name} (id bigint primary key, at timestamp, flag boolean)" for name in "ab")
OLD = tuple(f"insert into {name} values (-1, null, true)" for name in "ab")
# way → the target's own tables, the flags
WAYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "create": ((), ()),
    "replace": ((*TABLES, *OLD), ("--mode", "replace")),
    "fill": ((*TABLES, *OLD), ("--force",)),
    "fill and create": ((TABLES[0], OLD[0]), ("--force",)),
}
RELATIONS = (
    "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    " union all select nspname::text from pg_namespace where nspname like 'etl%' order by 1"
)


def assert_told(done: Done, status: int, flag: str, reason: str) -> None:
    """In one line that names file and reason, and a hint."""
    assert done.status == status, done.err
    assert len(done.errors) == 1, done.err
    assert flag in done.errors[0]
    assert f"cannot be written: {reason}" in done.errors[0]
    assert flag in done.hints[0]
    assert "on another disk" in done.hints[0]
    assert "Traceback" not in done.err


@pytest.mark.parametrize("way", WAYS)
def test_a_coercion_log_without_room_leaves_the_target_as_it_was(
    way: str, etl: EtlCommand, make_source: MakeSource, database_dsn: str, tmp_path: Path
) -> None:
    """Each table's part had room while the rows moved; the whole of it has none when all are verified."""
    tables, flags = WAYS[way]
    run_apart(execute(database_dsn, *tables))
    before = rows_of(database_dsn, RELATIONS)
    folder = tmp_path / "log"
    folder.mkdir()
    source = make_source(SCRIPT, {"a": COERCED, "b": COERCED})
    log = folder / "log.jsonl"
    done = etl.limited(2_000_000, "migrate", source, database_dsn, *flags, "--coercion-log", log)
    assert_told(done, 1, "--coercion-log", "File too large")
    assert rows_of(database_dsn, RELATIONS) == before
    assert all(rows_of(database_dsn, f"select id from {name}") == [(-1,)] for (name,) in before)
    assert list(folder.iterdir()) == []
    again = etl("migrate", source, database_dsn, *flags, "--coercion-log", log)
    assert again.status == 0, again.err
    assert len(log.read_bytes().splitlines()) == 2 * ROWS


def test_a_disk_that_is_full_at_the_end_of_the_run(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, tmp_path: Path
) -> None:
    """A real one, which has room for the part of a table, and not for a second copy of it."""
    source = make_source(SCRIPT, {"a": COERCED, "b": []})
    with small_disk(tmp_path / "disk", 2) as disk:
        done = etl("migrate", source, database_dsn, "--coercion-log", disk / "log.jsonl")
        assert_told(done, 1, "--coercion-log", "No space left on device")
        assert list(disk.iterdir()) == []
    assert rows_of(database_dsn, RELATIONS) == []


def test_rejected_rows_without_room_end_the_run(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, tmp_path: Path
) -> None:
    """At once: a full disk here is no lost connection, to be tried again."""
    source = make_source(SCRIPT, {"a": [(n, "2024-05-06", "maybe") for n in range(ROWS)], "b": COERCED})
    flags = ("--on-error", "reject", "--rejects", tmp_path / "rejects")
    done = etl.limited(100_000, "migrate", source, database_dsn, *flags)
    assert_told(done, 1, "--rejects", "File too large")
    assert rows_of(database_dsn, RELATIONS) == []
    assert not (tmp_path / "rejects").exists()


def test_differences_without_room_are_differences_all_the_same(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, tmp_path: Path
) -> None:
    """The exit status says that there are some: nothing is written to this file but differences."""
    source = make_source(SCRIPT, {"a": COERCED, "b": COERCED})
    assert etl("migrate", source, database_dsn).status == 0
    run_apart(execute(database_dsn, "update a set flag = false"))
    file = tmp_path / "differences.jsonl"
    done = etl.limited(1_000_000, "verify", source, database_dsn, "--differences", file)
    assert_told(done, 4, "--differences", "File too large")
    assert list(tmp_path.glob("differences*")) == []
    done = etl.limited(100_000, "verify", source, database_dsn, "--differences", file)
    assert done.status == 1
    assert done.errors[0].startswith("error: temporary files in /"), "the places of rows that differ lie there"
    assert "TMPDIR" in done.hints[0]
    assert list(tmp_path.glob("differences*")) == []


@pytest.mark.parametrize("flag", ["--coercion-log", "--differences"])
@pytest.mark.parametrize("place", ["missing/file.jsonl", "."])
def test_a_file_that_cannot_be_made_is_said_before_a_row_moves(
    flag: str, place: str, etl: EtlCommand, make_source: MakeSource, database_dsn: str, tmp_path: Path
) -> None:
    """Not after hours, and not when all is published."""
    source = make_source(SCRIPT, {"a": [], "b": []})
    done = etl("migrate", source, database_dsn, flag, tmp_path / place)
    assert done.status == 1
    assert "cannot be written" in done.errors[0]
    assert flag in done.hints[0]
    assert rows_of(database_dsn, RELATIONS) == []


def test_a_report_without_room_is_a_warning(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, tmp_path: Path
) -> None:
    """The data are where they belong: the exit status says so, be it the file or stdout that is full."""
    source = make_source(SCRIPT, {"a": COERCED, "b": COERCED})
    done = etl.limited(500, "migrate", source, database_dsn, "--report", tmp_path / "report.json")
    assert done.status == 0, done.err
    assert "warning: --report" in done.err
    assert list(tmp_path.glob("*report*")) == []
    with Path("/dev/full").open("w") as full:
        command = etl.command("verify", source, database_dsn, "--progress", "none")
        verified = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=etl.environment())
    assert verified.returncode == 0
    assert verified.stderr.startswith("warning: the report cannot be written to the standard output: No space left")


def test_a_last_line_that_nobody_hears_changes_no_exit_status(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, tmp_path: Path
) -> None:
    """Stderr goes to a full disk: rows were published and rejected all the same."""
    source = make_source(SCRIPT, {"a": [(1, "2024-05-06", "maybe"), (2, "2024-05-06", 1)], "b": []})
    flags = ("--on-error", "reject", "--rejects", tmp_path / "rejects", "--progress", "none")
    with Path("/dev/full").open("w") as full:
        command = etl.command("migrate", source, database_dsn, *flags)
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=full, env=etl.environment())
    assert done.returncode == 3
    assert rows_of(database_dsn, "select id from a") == [(2,)]


def test_what_a_killed_run_has_left_is_not_taken_for_rows_of_the_next(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, tmp_path: Path
) -> None:
    """Its files end in .partial, and nobody has said that they are whole."""
    folder = tmp_path / "rejects"
    folder.mkdir()
    (folder / "t.jsonl.partial").write_text('{"table": "t", "key": "id=77"}\n')
    script = "create table t (id integer primary key, n integer check (n > 0))"
    source = make_source(f"pragma ignore_check_constraints = on; {script}", {"t": [(1, 1), (2, -1)]})
    done = etl("migrate", source, database_dsn, "--on-error", "reject", "--rejects", folder)
    assert done.status == 3, done.err
    (line,) = (folder / "t.jsonl").read_text().splitlines()
    assert '"id=2"' in line
