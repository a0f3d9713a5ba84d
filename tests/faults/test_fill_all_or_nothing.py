"""A fill that is struck down leaves the application's rows, constraints and triggers as they were."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import execute, rows_of, run_apart

ROWS = 60_001  # enough that the plain index is dropped for the load
TARGET = (
    "create table parent (id bigint generated always as identity primary key, name text not null,"
    " amount numeric(10,2))",
    "create table child (id serial primary key, note text,"
    " parent_id bigint not null constraint of_parent references parent deferrable initially deferred)",
    "create index child_parent on child (parent_id)",
    "create function refuse() returns trigger language plpgsql as 'begin raise exception ''fired''; end'",
    "insert into parent (name) values ('old'), ('older')",
    "insert into child (parent_id) values (1), (2)",
    "create trigger fires before insert on child for each row execute function refuse()",
)
STATE = (
    "select 'parent', id, name from parent union all select 'child', id, parent_id::text from child"
    " union all select conname, convalidated::int, pg_get_constraintdef(oid) from pg_constraint"
    " where connamespace = 'public'::regnamespace"
    " union all select indexname, 0, indexdef from pg_indexes where schemaname = 'public'"
    " union all select tgname, 0, tgenabled::text from pg_trigger where not tgisinternal order by 1, 2, 3"
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "create table parent (id integer primary key, name text not null, amount decimal(10,2));"
            "create table child (id integer primary key, parent_id integer references parent (id), note text);"
        )
        connection.executemany("insert into parent values (?, ?, ?)", ((i, f"name {i}", i / 4) for i in range(1, ROWS)))
        connection.executemany("insert into child values (?, ?, ?)", ((i, i, "note") for i in range(1, ROWS)))
        connection.commit()
    return path


@pytest.fixture
def dsn(database_dsn: str) -> str:
    run_apart(execute(database_dsn, *TARGET))
    return database_dsn


def strike(etl: EtlCommand, source: Path, dsn: str, phase: str, number: int) -> tuple[int, str]:
    """Start a forced fill, send the signal once the phase begins."""
    command = etl.command("migrate", source, dsn, "--force", "--progress", "json")
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=etl.environment(), cwd=etl.folder
    ) as process:
        assert process.stderr is not None
        seen = []
        for line in process.stderr:
            seen.append(line)
            if phase in line:
                break
        time.sleep(0.05)
        os.kill(process.pid, number)
        seen.append(process.stderr.read())
        process.wait(timeout=30)
    return process.returncode, "".join(seen)


def state(dsn: str) -> list[Any]:
    """Waits for the locks of a backend that has not noticed yet."""
    return rows_of(dsn, STATE)


@pytest.mark.parametrize("phase", ["load", "build", "verify"])
def test_a_kill_leaves_the_old_rows_and_a_second_run_works(phase: str, etl: EtlCommand, source: Path, dsn: str) -> None:
    """kill -9: no handler of ours runs, the server alone rolls back."""
    before = state(dsn)
    status, told = strike(etl, source, dsn, f'"{phase}"', signal.SIGKILL)
    assert status == -signal.SIGKILL, told
    assert state(dsn) == before
    done = etl("migrate", source, dsn, "--force")
    assert (done.status, done.errors) == (0, [])
    assert rows_of(dsn, "select count(*), max(id) from child") == [(ROWS - 1, ROWS - 1)]
    assert [row for row in state(dsn) if row[0] not in ("parent", "child")] == [
        row for row in before if row[0] not in ("parent", "child")
    ]


def test_an_interruption_leaves_the_old_rows_and_says_so(etl: EtlCommand, source: Path, dsn: str) -> None:
    """Ctrl-C in the middle: out within seconds, the target as before."""
    before = state(dsn)
    started = time.perf_counter()
    status, told = strike(etl, source, dsn, '"load"', signal.SIGINT)
    assert status == 130, told
    assert time.perf_counter() - started < 30
    assert state(dsn) == before


def test_a_difference_found_before_the_commit_leaves_the_old_rows(etl: EtlCommand, source: Path, dsn: str) -> None:
    """Here a column that the target computes, and computes otherwise."""
    run_apart(
        execute(
            dsn,
            "alter table parent drop column amount",
            "alter table parent add column amount numeric(10,2) generated always as (0.5) stored",
        )
    )
    before = state(dsn)
    done = etl("migrate", source, dsn, "--force")
    assert done.status == 4
    assert "amount" in done.out
    assert state(dsn) == before
