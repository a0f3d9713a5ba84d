"""A run that ended in the middle is gone on with: its finished tables are kept, and proven like all others."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fix_command import Done, EtlCommand
from tests.fix_server import execute, rows_of
from tests.fix_source import build_source

ROWS = 60_000
SCRIPT = """
create table big (id integer primary key, at datetime, code varchar(3), filler text);
create index by_code on big(code);
create table small (id integer primary key, big_id integer references big(id), day date);
"""
NAMES = "select nspname from pg_namespace where nspname like 'etl_loading_%'"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A large table whose values decide its types, and a small one with a date that is none."""
    big = [(n, 1_700_000_000 + n, "abcd" if n == 5 else "abc", f"{n:040}" * 10) for n in range(ROWS)]
    small = [(1, 1, "2024-01-01"), (2, 2, "01.02.2024")]
    return build_source(tmp_path_factory.mktemp("resume") / "s.db", SCRIPT, {"big": big, "small": small})


def fetch(dsn: str, sql: str) -> list[Any]:
    return [row[0] for row in rows_of(dsn, sql)]


def failed(etl: EtlCommand, source: Path, dsn: str, *more: str) -> Done:
    """A run that loads ``big`` and stops at ``small``."""
    done = etl("migrate", source, dsn, "--jobs", "1", "--progress", "plain", *more)
    assert done.status == 1
    assert "'01.02.2024' is not date" in done.errors[0]
    assert (
        fetch(
            dsn,
            "select relname from pg_class where relname in ('big', 'small') and relnamespace = 'public'::regnamespace",
        )
        == []
    )
    return done


MENDED = ("--resume", "--cast", "small.day=text", "--jobs", "1", "--progress", "plain")


def test_what_is_kept_is_said_even_to_who_wants_no_progress(source: Path, etl: EtlCommand, database_dsn: str) -> None:
    """A cron job's mail is the only place to learn that a schema of some gigabytes stays."""
    done = etl("migrate", source, database_dsn, "--jobs", "1", "--progress", "none")
    (schema,) = fetch(database_dsn, NAMES)
    notes = [line for line in done.err.splitlines() if line.startswith("note: ")]
    assert [line.partition(",")[0] for line in notes] == [f"note: kept in {schema}: 1 finished table"]
    assert "--resume" in notes[0]
    assert "etl clean" in notes[0]


def test_finished_tables_are_kept_and_the_rest_is_loaded(
    source: Path, etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """The way on is printed; the report of the second run says of the kept table what the first one saw."""
    done = failed(etl, source, database_dsn)
    assert "1 finished table," in done.err
    assert "--resume" in done.err
    assert "etl clean" in done.err
    (schema,) = fetch(database_dsn, NAMES)
    report = tmp_path / "r.json"
    resumed = etl("migrate", source, database_dsn, *MENDED, "--report", report)
    assert resumed.status == 0, resumed.err
    assert f"going on in {schema}: 1 finished table with 60,000 rows kept" in resumed.err
    assert "load: big" not in resumed.err
    tables = {table["name"]: table for table in json.loads(report.read_text())["tables"]}
    assert tables["big"]["coerced"] == {"epoch-s": ROWS}
    assert tables["big"]["verdict"] == "equal"
    assert fetch(database_dsn, NAMES) == []
    types = "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'big'::regclass and attnum > 1"
    assert fetch(database_dsn, types) == ["timestamp without time zone", "text", "text"]
    assert fetch(database_dsn, "select indexname from pg_indexes where tablename = 'big' order by 1") == [
        "big_pkey",
        "by_code",
    ]


def test_a_changed_source_is_loaded_again(etl: EtlCommand, source: Path, database_dsn: str, tmp_path: Path) -> None:
    """Nobody knows which rows are others: none is kept."""
    own = tmp_path / "own.db"
    own.write_bytes(source.read_bytes())
    failed(etl, own, database_dsn)
    with closing(sqlite3.connect(own)) as connection:
        connection.execute("update big set filler = 'changed' where id = 7")
        connection.commit()
    resumed = etl("migrate", own, database_dsn, *MENDED)
    assert resumed.status == 0, resumed.err
    assert "nothing to resume" in resumed.err
    assert fetch(database_dsn, "select filler from big where id = 7") == ["changed"]
    assert fetch(database_dsn, NAMES) == []


def test_another_plan_of_a_table_loads_it_again(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """Its rows would be of other types."""
    failed(etl, source, database_dsn)
    resumed = etl("migrate", source, database_dsn, *MENDED, "--cast", "big.at=bigint")
    assert resumed.status == 0, resumed.err
    assert "nothing to resume" in resumed.err
    assert fetch(database_dsn, "select at from big where id = 0") == [1_700_000_000]


def test_a_kept_table_is_proven_like_every_other(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """Whatever happened to it meanwhile: what differs is not published."""
    failed(etl, source, database_dsn)
    (schema,) = fetch(database_dsn, NAMES)
    asyncio.run(execute(database_dsn, f"update {schema}.big set filler = 'x' where id = 9"))
    resumed = etl("migrate", source, database_dsn, *MENDED)
    assert resumed.status == 4, resumed.err
    assert fetch(database_dsn, "select to_regclass('public.big')::text") == [None]


def test_nothing_is_kept_when_nobody_wants_it(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """--no-keep leaves the target as it was to the last byte."""
    done = failed(etl, source, database_dsn, "--no-keep")
    assert "--resume" not in done.err
    assert fetch(database_dsn, NAMES) == []


def test_a_run_without_resume_sweeps_what_its_own_source_has_left(
    etl: EtlCommand, source: Path, database_dsn: str, sqlite_path: Path
) -> None:
    """And leaves alone what may still be gone on with by the run of another source."""
    failed(etl, source, database_dsn)
    other = etl("migrate", sqlite_path, database_dsn, "--progress", "plain")
    assert other.status == 0, other.err
    assert len(fetch(database_dsn, NAMES)) == 1
    again = etl("migrate", source, database_dsn, "--cast", "small.day=text")
    assert again.status == 0, again.err
    assert fetch(database_dsn, NAMES) == []


def test_clean_drops_what_is_left_and_says_what_it_was(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """With its size and its source; a second time there is nothing."""
    failed(etl, source, database_dsn)
    done = etl("clean", database_dsn)
    assert done.status == 0, done.err
    assert str(source) in done.out
    assert "MB" in done.out
    assert fetch(database_dsn, NAMES) == []
    assert "nothing to clean" in etl("clean", database_dsn).out


def test_a_killed_run_is_gone_on_with(etl: EtlCommand, source: Path, database_dsn: str, tmp_path: Path) -> None:
    """kill -9 asks nobody: what was committed by then is kept."""
    slow = tmp_path / "slow.db"
    slow.write_bytes(source.read_bytes())
    with closing(sqlite3.connect(slow)) as connection:
        connection.execute("update small set day = null")
        connection.execute("create table slow (id integer primary key, j json)")
        values = ((n, json.dumps({"n": [n] * 20})) for n in range(100_000))
        connection.executemany("insert into slow values (?, ?)", values)
        connection.commit()
    command = etl.command("migrate", slow, database_dsn, "--jobs", "1", "--page-bytes", "64kB", "--progress", "none")
    process = subprocess.Popen(command, cwd=etl.folder, env=etl.environment(), start_new_session=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        schemas = fetch(database_dsn, NAMES)
        if schemas and fetch(database_dsn, f"select to_regclass('{schemas[0]}.etl_journal')::text") != [None]:
            noted = fetch(database_dsn, f"select name from {schemas[0]}.etl_journal where kind = 'finished'")
            if "big" in noted:
                break
        time.sleep(0.02)
    else:
        pytest.fail("big was never finished")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    resumed = etl("migrate", slow, database_dsn, "--resume", "--progress", "plain")
    assert resumed.status == 0, resumed.err
    assert "going on in" in resumed.err
    assert "load: big" not in resumed.err
    assert fetch(database_dsn, "select count(*) from slow") == [100_000]
