"""Preflight finds everything that would stop a move, all at once, and changes nothing."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from etl.move.liveness import look_at_lock, look_at_socket, look_for_process, matches
from tests.fix_command import EtlCommand
from tests.fix_server import execute, run_apart
from tests.fix_source import MakeSource

LOCKER = """
import fcntl, os, sys, time
file = open(sys.argv[1], "w")
(fcntl.flock if sys.argv[2] == "flock" else fcntl.lockf)(file, fcntl.LOCK_EX)
file.write(str(os.getpid())); file.flush()
print("held", flush=True)
time.sleep(60)
"""


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["flock", "lockf"])
def test_a_lock_that_is_held_proves_that_the_application_runs(tmp_path: Path, kind: str) -> None:
    """Both kinds of lock are in use; and once the process has gone, what it left behind proves nothing."""
    lock = tmp_path / "app.pid"
    with subprocess.Popen([sys.executable, "-c", LOCKER, lock, kind], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert look_at_lock(lock, None).alive
        process.kill()
    left_over = look_at_lock(lock, None)
    assert not left_over.alive
    assert "left over" in left_over.text


def test_trying_a_lock_does_not_keep_it(tmp_path: Path) -> None:
    """The application can start while we look, and after it."""
    lock = tmp_path / "app.pid"
    lock.write_text("")
    look_at_lock(lock, None)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_number_that_was_given_out_again_is_another_program(tmp_path: Path) -> None:
    """A PID file names a live process that is not the application: left over. Without a pattern nobody can tell."""
    lock = tmp_path / "app.pid"
    lock.write_text(f"{os.getpid()}\n")
    assert not look_at_lock(lock, "app.daemon").alive
    assert look_at_lock(lock, None).alive
    assert not look_at_lock(tmp_path / "none.pid", None).alive


def test_a_process_is_found_by_a_part_of_its_command_line() -> None:
    """`python -m app.daemon`, seen from outside; our own process does not count, though its arguments say the same."""
    pattern = f"app.daemon.{os.getpid()}"
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", pattern]) as process:
        deadline = time.monotonic() + 10  # a process has its command line a moment after it is there
        while not (found := look_for_process(pattern)).alive:
            assert time.monotonic() < deadline
        assert str(process.pid) in found.text
        process.kill()
    assert not look_for_process(pattern).alive
    assert not look_for_process(f"*{Path(sys.argv[0]).name}*no-such").alive


def test_a_pattern_is_an_argument_its_last_part_or_the_whole_line() -> None:
    """A word inside of a longer one is not the application."""
    command = ("/usr/bin/python3", "-m", "app.daemon", "--fast")
    assert matches(command, "app.daemon")
    assert matches(command, "python3")
    assert matches(command, "*app.daemon --fast")
    assert not matches(command, "app")


def test_somebody_who_answers_at_a_socket_is_alive(tmp_path: Path) -> None:
    """A socket file that was left behind is none who answers."""
    path = tmp_path / "app.sock"
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        server.listen()
        assert look_at_socket(str(path), path).alive
    assert not look_at_socket(str(path), path).alive
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert look_at_socket(address, path).alive
    assert not look_at_socket(address, path).alive


UPGRADE = """#!{python}
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("alter table t add column owner text")
connection.execute("insert into schema_migrations values ('002')")
connection.commit()
"""


@pytest.fixture
def old_source(make_source: MakeSource, tmp_path: Path) -> Path:
    """A database whose schema is one version behind, and the program that brings it up."""
    program = tmp_path / "upgrade"
    program.write_text(UPGRADE.format(python=sys.executable))
    program.chmod(0o755)
    return make_source(
        "pragma journal_mode = wal; create table t (id integer primary key);"
        " create table schema_migrations (version text); insert into schema_migrations values ('001');"
    )


def write_plan(folder: Path, dsn: str, more: str, preflight: str = "") -> Path:
    path = folder / "move.toml"
    path.write_text(
        f'[source]\ndatabase = "./source.db"\n[target]\ndatabase = "{dsn}"\n[preflight]\n{preflight}\n{more}\n'
    )
    return path


VERSION = (
    'schema_version = { table = "schema_migrations", column = "version", expect = "002",'
    ' upgrade = "./upgrade {database}" }'
)


def test_pending_migrations_run_on_a_copy(etl: EtlCommand, old_source: Path, tmp_path: Path, database_dsn: str) -> None:
    """The source is byte for byte as it was, and nothing is left behind by a dry run."""
    before = hash_of(old_source)
    files = {path.name for path in tmp_path.iterdir() if not path.name.startswith("source.db-")}
    plan = write_plan(tmp_path, database_dsn, "", VERSION)
    done = etl("move", plan, "--dry-run")
    assert done.status == 0, done.err
    assert "its schema is at 001; a copy was brought to 002" in done.out
    assert "dry run: nothing stands in the way" in done.out
    assert hash_of(old_source) == before
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith("source.db-")}
    assert left == files | {"move.toml"}


@pytest.mark.parametrize(
    ("expect", "upgrade", "says"),
    [
        ("000", "", "its schema is at 001, and 000 is expected"),
        ("002", "", "its schema is at 001, and 002 is expected"),
        ("002", "false", "pending migrations ended with status 1"),
        ("002", "true", "ended well, and its schema is still not at 002"),
        ("002", "no-such-program", "no-such-program: no such program"),
    ],
)
def test_a_schema_that_is_not_the_expected_one_is_told(
    etl: EtlCommand, old_source: Path, tmp_path: Path, database_dsn: str, expect: str, upgrade: str, says: str
) -> None:
    """Found before anything was moved, whatever is wrong with the version or with the command."""
    command = f', upgrade = "{upgrade}"' if upgrade else ""
    version = f'schema_version = {{ table = "schema_migrations", column = "version", expect = "{expect}"{command} }}'
    done = etl("move", write_plan(tmp_path, database_dsn, "", version), "--dry-run")
    assert done.status == 1
    assert says in done.out
    assert len(done.errors) == 1
    assert len(done.hints) == 1


def test_a_newer_source_is_refused(etl: EtlCommand, old_source: Path, tmp_path: Path, database_dsn: str) -> None:
    """The plan was made for an older application: its tables would not fit."""
    with closing(sqlite3.connect(old_source)) as connection:
        connection.execute("insert into schema_migrations values ('002'), ('003')")
        connection.commit()
    done = etl("move", write_plan(tmp_path, database_dsn, "", VERSION), "--dry-run")
    assert done.status == 1
    assert "its schema is at 003, newer than 002" in done.out


def test_all_problems_are_told_at_once(etl: EtlCommand, old_source: Path, tmp_path: Path, database_dsn: str) -> None:
    """Mending one after the other, a run each, is how evenings are lost."""
    run_apart(execute(database_dsn, "create table t (id int)", "insert into t values (1)", "create table kept (a int)"))
    (tmp_path / "app.sock").touch()
    (tmp_path / "config.yml").write_text("a: 1\n")
    (tmp_path / "system.yml").write_text("something else\n")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        more = (
            '[split_config]\nsystem = { path = "./system.yml" }\n'
            'secrets = { path = "./secrets.yml", owner = "nobody-of-that-name" }\n'
        )
        plan = write_plan(tmp_path, database_dsn, more, f'stopped = {{ socket = "127.0.0.1:{port}" }}')
        plan.write_text(plan.read_text().replace("[source]", '[source]\nconfig = "./config.yml"'))
        done = etl("move", plan)
    assert done.status == 1
    for problem in (
        f"✗ socket 127.0.0.1:{port}: somebody answers; stop the application first",
        "✗ account nobody-of-that-name: does not exist",
        "system.yml: is there already and says something else",
        "✗ target schema public: t hold rows; empty them",
    ):
        assert problem in done.out
    assert "transfer: not reached" in done.out
    assert "nothing has been changed" in done.out
    assert "(and 3 more); nothing has been changed" in done.errors[0]
    assert not (tmp_path / "secrets.yml").exists()
    assert not (tmp_path / "move.state").exists()


def test_a_target_that_is_not_there_is_one_of_the_problems(etl: EtlCommand, old_source: Path, tmp_path: Path) -> None:
    """And no password of it is shown."""
    plan = write_plan(tmp_path, "postgresql://ada:geheimnis@127.0.0.1:9/none", "", VERSION)
    done = etl("move", plan, "--report", tmp_path / "report.json", "--report", tmp_path / "report.html")
    assert done.status == 1
    assert "✗ target: " in done.out
    assert "✓ source: its schema is at 001" in done.out
    everything = done.out + done.err + (tmp_path / "report.json").read_text() + (tmp_path / "report.html").read_text()
    assert "geheimnis" not in everything


def test_secrets_that_the_service_could_not_read_are_told(
    etl: EtlCommand, old_source: Path, tmp_path: Path, database_dsn: str
) -> None:
    """A service that runs as somebody else than who moves needs its own file; known before it fails to start."""
    (tmp_path / "config.yml").write_text("a: 1\n")
    plan = write_plan(
        tmp_path,
        database_dsn,
        '[split_config]\nsystem = { path = "./system.yml" }\nsecrets = { path = "./secrets.yml" }\n',
        VERSION,
    )
    text = plan.read_text().replace("[source]", '[source]\nconfig = "./config.yml"')
    plan.write_text(text.replace("[target]", '[target]\nservice_user = "daemon"'))
    done = etl("move", plan, "--dry-run")
    assert done.status == 1
    assert "alone, and daemon could not read it" in done.errors[0]
    plan.write_text(plan.read_text().replace('"./secrets.yml"', '"./secrets.yml", owner = "daemon"'))
    assert etl("move", plan, "--dry-run").status == 0
