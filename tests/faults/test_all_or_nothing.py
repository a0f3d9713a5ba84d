"""Whatever strikes, and whenever: the target is as before, the source is as before, and a second run works."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from etl.shell.embedded import start_server, stop_server

ROWS = 120_000
BYSTANDER = "create table bystander (id int primary key); insert into bystander values (1), (2)"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that a signal strikes in the middle."""
    path = tmp_path_factory.mktemp("source") / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "create table parent (id integer primary key, name text not null, at datetime, amount decimal(10,2));"
            "create table child (id integer primary key, parent_id integer references parent (id), note text);"
            "create index child_parent on child (parent_id);"
            "create table diary (entry json);"  # of many shapes, so that it is still verified when all is built
        )
        connection.executemany("insert into diary values (?)", ((f'{{"{i % 50}": [{i}]}}',) for i in range(3 * ROWS)))
        connection.executemany(
            "insert into parent values (?, ?, ?, ?)",
            ((i, f"name {i}", f"2024-03-{i % 28 + 1:02d} 10:00:00", i / 4) for i in range(1, ROWS + 1)),
        )
        connection.executemany(
            "insert into child values (?, ?, ?)", ((i, i, "note " * (i % 9)) for i in range(1, ROWS + 1))
        )
        connection.commit()
    return path


@pytest.fixture
def unchanged(source: Path) -> Iterator[None]:
    """The source is byte-identical afterwards, and nothing lies beside it."""
    before = hashlib.sha256(source.read_bytes()).hexdigest()
    yield
    assert hashlib.sha256(source.read_bytes()).hexdigest() == before
    assert [path.name for path in source.parent.iterdir()] == [source.name]


def command(source: Path, dsn: str, *flags: str) -> list[str]:
    return [sys.executable, "-m", "etl", "migrate", str(source), dsn, "--progress", "json", *flags]


def migrate(source: Path, dsn: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(source, dsn, *flags), capture_output=True, text=True, timeout=120)


async def target_state(dsn: str) -> dict[str, Any]:
    """Everything that a run could have changed outside its staging schema, and how many staging schemas there are."""
    connection = await asyncpg.connect(dsn)
    try:
        relations = await connection.fetch(
            "select n.nspname, relname, relkind::text from pg_class c join pg_namespace n on n.oid = relnamespace"
            " where n.nspname !~ '^(pg_|information_schema|etl_loading_)' order by 1, 2"
        )
        return {
            "relations": [tuple(row) for row in relations],
            "bystander": await connection.fetch("select * from bystander order by id"),
            "staging": await connection.fetchval(
                "select count(*) from pg_namespace where nspname like 'etl\\_loading\\_%'"
            ),
        }
    finally:
        await connection.close()


async def execute(dsn: str, sql: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(sql) if sql.startswith("select") else await connection.execute(sql)
    finally:
        await connection.close()


def strike(
    source: Path, dsn: str, at_phase: str, after_s: float, hit: Callable[[subprocess.Popen[str]], None], *flags: str
) -> tuple[int, str]:
    """Start a run, wait for its phase, strike; return exit status and stderr."""
    with subprocess.Popen(
        command(source, dsn, *flags),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        seen = []
        assert process.stderr is not None
        for line in process.stderr:
            seen.append(line)
            if at_phase in line:
                break
        time.sleep(after_s)
        hit(process)
        rest = process.stderr.read()
        process.wait(timeout=30)
    return process.returncode, "".join(seen) + rest


@pytest.mark.parametrize("phase", ["load", "build", "verify"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("flags", [("--no-keep",), ()])
@pytest.mark.usefixtures("unchanged")
def test_a_signal_leaves_the_target_as_it_was(
    source: Path, database_dsn: str, phase: str, number: signal.Signals, status: int, flags: tuple[str, ...]
) -> None:
    """Rolled back, cleaned up and out within five seconds, with the exit status that a shell expects.

    What may be gone on with stays in the staging schema, unless nobody wants it, and the ways on are printed.
    """
    asyncio.run(execute(database_dsn, BYSTANDER))
    before = asyncio.run(target_state(database_dsn))
    struck_at = []

    def hit(process: subprocess.Popen[str]) -> None:
        struck_at.append(time.monotonic())
        process.send_signal(number)

    returned, said = strike(source, database_dsn, phase, 0.1, hit, *flags)
    assert time.monotonic() - struck_at[0] < 6
    assert returned == status, said
    assert "Traceback" not in said
    kept = "--resume goes on from there; etl clean drops it" in said
    assert not (kept and flags)
    assert asyncio.run(target_state(database_dsn)) == before | {"staging": int(kept)}
    if phase == "build":
        assert migrate(source, database_dsn).returncode == 0
        assert asyncio.run(target_state(database_dsn))["staging"] == 0


@pytest.mark.parametrize(("phase", "after_s"), [("load", 0.0), ("load", 0.3), ("build", 0.0), ("verify", 0.1)])
@pytest.mark.usefixtures("unchanged")
def test_kill_9_leaves_nothing_outside_staging_and_the_next_run_sweeps_it(
    source: Path, database_dsn: str, phase: str, after_s: float
) -> None:
    """Nobody could clean up; what is left is named as ours, and the next run drops it."""
    asyncio.run(execute(database_dsn, BYSTANDER))
    before = asyncio.run(target_state(database_dsn))
    returned, _ = strike(source, database_dsn, phase, after_s, lambda process: process.kill())
    assert returned == -signal.SIGKILL
    time.sleep(0.5)  # the backends notice
    after = asyncio.run(target_state(database_dsn))
    assert after == before | {"staging": 1}
    again = migrate(source, database_dsn)
    assert again.returncode == 0, again.stderr
    assert "dropped etl_loading_" in again.stderr
    assert asyncio.run(target_state(database_dsn))["staging"] == 0


@pytest.mark.usefixtures("unchanged")
def test_a_lost_backend_in_the_middle_of_the_load_is_tried_again(source: Path, database_dsn: str) -> None:
    """The run ends well, with every row once."""
    terminate = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid() and query ilike 'copy%'"
    )

    def hit(_: subprocess.Popen[str]) -> None:
        for _ in range(40):
            if asyncio.run(execute(database_dsn, terminate)):
                return
            time.sleep(0.01)

    returned, said = strike(source, database_dsn, "load", 0.05, hit)
    assert returned == 0, said
    assert "exception" not in said
    assert asyncio.run(execute(database_dsn, "select count(*), count(distinct id) from parent")) == [(ROWS, ROWS)]


@pytest.mark.usefixtures("unchanged")
def test_a_server_that_crashes_and_comes_back_gets_every_row(source: Path, tmp_path: Path) -> None:
    """Killed without a chance to flush, and started again a second later."""
    server = start_server(tmp_path / "pg")

    def hit(_: subprocess.Popen[str]) -> None:
        postmaster = int((server.directory / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        time.sleep(1.0)
        start_server(server.directory)

    try:
        returned, said = strike(source, server.dsn, "load", 0.1, hit)
        if returned == 1:  # rows that were confirmed and not yet flushed, or a recovery longer than we wait: said, and
            # the next run does it
            known = ("has lost the rows", "connection was refused", "no server listens", "57P03")
            assert any(words in said for words in known), said
            assert migrate(source, server.dsn).returncode == 0
        else:
            assert returned == 0, said
        assert asyncio.run(execute(server.dsn, "select count(*), count(distinct id) from parent")) == [(ROWS, ROWS)]
        assert asyncio.run(execute(server.dsn, "select count(*), count(distinct id) from child")) == [(ROWS, ROWS)]
    finally:
        stop_server(server.directory)


@pytest.mark.usefixtures("unchanged")
def test_a_dead_guardian_fails_the_run(source: Path, database_dsn: str) -> None:
    """Without it nobody knows what the readers saw."""
    asyncio.run(execute(database_dsn, BYSTANDER))
    before = asyncio.run(target_state(database_dsn))

    def hit(process: subprocess.Popen[str]) -> None:
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)

    returned, said = strike(source, database_dsn, "load", 0.1, hit)
    assert returned == 1, said
    assert "guards the snapshot" in said
    assert asyncio.run(target_state(database_dsn)) == before


def test_a_refused_value_names_its_row_and_leaves_nothing(tmp_path: Path, database_dsn: str) -> None:
    """In the last row of a large table: everything is rolled back, and the hint says what helps."""
    path = tmp_path / "refused.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table events (id integer primary key, amount decimal(10,2))")
        connection.executemany("insert into events values (?, ?)", ((i, i / 4) for i in range(50_000)))
        connection.execute("insert into events values (4182000, '12,50')")
        connection.commit()
    asyncio.run(execute(database_dsn, BYSTANDER))
    before = asyncio.run(target_state(database_dsn))
    done = migrate(path, database_dsn)
    assert done.returncode == 1
    assert "error: events.amount (id=4182000): '12,50' is not numeric(10,2)" in done.stderr
    assert "hint:" in done.stderr
    assert asyncio.run(target_state(database_dsn)) == before


def test_a_failure_of_the_publish_itself_leaves_both_tables(source: Path, database_dsn: str) -> None:
    """--mode replace replaces a table, but never what somebody else's view stands on."""
    asyncio.run(execute(database_dsn, BYSTANDER))
    asyncio.run(execute(database_dsn, "create table parent (old int); create view theirs as select old from parent"))
    before = asyncio.run(target_state(database_dsn))
    done = migrate(source, database_dsn, "--mode", "replace")
    assert done.returncode == 1, done.stderr
    assert "theirs" in done.stderr
    assert asyncio.run(target_state(database_dsn)) == before


def test_replacing_replaces_exactly_the_tables_of_the_run(source: Path, database_dsn: str) -> None:
    """The old table is gone, the bystander is not."""
    asyncio.run(execute(database_dsn, BYSTANDER))
    asyncio.run(execute(database_dsn, "create table parent (old int)"))
    assert migrate(source, database_dsn).returncode == 1
    done = migrate(source, database_dsn, "--mode", "replace")
    assert done.returncode == 0, done.stderr
    assert asyncio.run(execute(database_dsn, "select count(*) from parent")) == [(ROWS,)]
    assert len(asyncio.run(target_state(database_dsn))["bystander"]) == 2


def test_the_next_insert_gets_the_next_number(source: Path, database_dsn: str) -> None:
    """The most reported failure of such moves: a duplicate key on the first insert."""
    assert migrate(source, database_dsn).returncode == 0
    inserted = asyncio.run(execute(database_dsn, "select 1"))
    assert inserted
    asyncio.run(execute(database_dsn, "insert into parent (name) values ('new')"))
    assert asyncio.run(execute(database_dsn, "select max(id) from parent")) == [(ROWS + 1,)]


def test_a_source_that_is_not_sound_is_never_published(source: Path, tmp_path: Path, database_dsn: str) -> None:
    """Rows that read well prove nothing when a page of the file is damaged: SQLite's own check is heard to its end."""
    asyncio.run(execute(database_dsn, BYSTANDER))
    before = asyncio.run(target_state(database_dsn))
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(source.read_bytes())
    with closing(sqlite3.connect(damaged)) as connection:
        (page_size,) = connection.execute("pragma page_size").fetchone()
        (root,) = connection.execute("select rootpage from sqlite_schema where name = 'child_parent'").fetchone()
    with damaged.open("r+b") as file:
        file.seek((root - 1) * page_size + 8)
        file.write(b"\xff\xff\xff\xff")  # its rightmost child lies beyond the file: no table's rows are touched
    done = migrate(damaged, database_dsn, "--no-keep")
    assert done.returncode == 1, done.stderr
    assert "the database is damaged" in done.stderr
    assert asyncio.run(target_state(database_dsn)) == before
