"""Whatever is wrong with the input: one line, one hint, the right status, and nothing has changed anywhere."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shlex
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from etl.shell.embedded import start_server, stop_server
from etl.shell.installation import find_installation
from tests.fix_command import Done, EtlCommand
from tests.fix_server import execute, run_apart, with_database, with_role
from tests.fix_source import MakeSource

UNREACHABLE = "postgresql://ada:s3cret-word@127.0.0.1:9/app"  # port 9 discards; nothing listens there


def assert_polite(done: Done, status: int, *said: str) -> None:
    """One error line with these words, one hint, this status; neither traceback nor password; stdout empty."""
    told = f"{done.status}\n{done.err}"
    assert done.status == status, told
    assert len(done.errors) == 1, told
    assert len(done.hints) == 1, told
    assert len(done.hints[0]) > len("hint: "), told
    for words in said:
        assert words in done.errors[0], told
    assert "Traceback" not in done.err
    assert "internal error" not in done.err
    assert "s3cret" not in done.err + done.out
    assert done.out == ""


def files_below(folder: Path) -> dict[str, str]:
    """Every file of a folder with a digest of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def objects_of(dsn: str) -> list[str]:
    """Every schema, relation and function of a database that is not PostgreSQL's own."""

    async def read() -> list[str]:
        connection = await asyncpg.connect(dsn)
        try:
            rows = await connection.fetch(
                """
                select nspname || '.' || coalesce(relname, '') as name
                from pg_namespace n left join pg_class c on c.relnamespace = n.oid
                where nspname !~ '^pg_' and nspname <> 'information_schema' order by 1
                """
            )
        finally:
            await connection.close()
        return [row["name"] for row in rows]

    return run_apart(read())  # type: ignore[no-any-return]


# --- the source ------------------------------------------------------------------------------------------------------


def missing(folder: Path) -> Path:
    return folder / "missing.db"


def directory(folder: Path) -> Path:
    (folder / "folder.db").mkdir()
    return folder / "folder.db"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.db")
    return folder / "pipe.db"


def no_database(folder: Path) -> Path:
    (folder / "notes.db").write_text("Dear diary, this is no database.\n" * 200)
    return folder / "notes.db"


def encrypted(folder: Path) -> Path:
    (folder / "vault.db").write_bytes(random.Random(1).randbytes(16_384))
    return folder / "vault.db"


def truncated(folder: Path) -> Path:
    path = folder / "cut.db"
    connection = sqlite3.connect(path)
    connection.execute("create table t (id integer primary key, body text)")
    connection.executemany("insert into t values (?, ?)", [(n, "x" * 500) for n in range(2000)])
    connection.commit()
    connection.close()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


@pytest.mark.parametrize("named", ["zed", "vcol", "ixx"])
def test_a_name_that_is_no_text_is_told(named: str, etl: EtlCommand, database_dsn: str, tmp_path: Path) -> None:
    """Of a table, a column or an index: SQLite takes any bytes for a name, PostgreSQL none that are not UTF-8."""
    path = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "create table zed (id integer primary key, vcol text); create index ixx on zed (vcol);"
            "pragma writable_schema = 1;"
            f"update sqlite_schema set sql = replace(sql, '{named}', cast(x'69ff78' as text)),"
            f" name = replace(name, '{named}', cast(x'69ff78' as text)),"
            f" tbl_name = replace(tbl_name, '{named}', cast(x'69ff78' as text));"
        )
    done = etl("migrate", path, database_dsn)
    assert_polite(done, 1, r"i\xffx", "not UTF-8")
    assert objects_of(database_dsn) == ["public."]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (missing, "no such file"),
        (directory, "folder"),
        (pipe, "no regular file"),
        (no_database, "not a"),
        (encrypted, "not a"),
        (truncated, ""),
    ],
)
@pytest.mark.parametrize("command", ["migrate", "verify"])
def test_a_file_that_is_no_readable_database_is_refused(
    make: object, said: str, command: str, etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """The message names the file; no file appears, and the target stays empty."""
    path: Path = make(tmp_path)  # type: ignore[operator]
    before = files_below(tmp_path)
    done = etl(command, path, database_dsn)
    assert_polite(done, 1, path.name, said)
    assert files_below(tmp_path) == before
    assert files_below(etl.folder) == {}
    assert objects_of(database_dsn) == ["public."]


def test_an_empty_path_is_no_source(etl: EtlCommand, database_dsn: str) -> None:
    """An unset variable in a script gives an empty word."""
    assert_polite(etl("migrate", "", database_dsn), 1, "SOURCE")
    assert files_below(etl.folder) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(etl: EtlCommand, database_dsn: str, sqlite_path: Path) -> None:
    """Permission is what is missing, and that is said."""
    sqlite_path.chmod(0)
    assert_polite(etl("migrate", sqlite_path, database_dsn), 1, sqlite_path.name)


# --- the target ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["migrate", "verify"])
def test_an_unreachable_server_is_named_without_the_password(command: str, etl: EtlCommand, sqlite_path: Path) -> None:
    """Host and port are what has to be checked."""
    before = files_below(sqlite_path.parent)
    assert_polite(etl(command, sqlite_path, UNREACHABLE), 1, "127.0.0.1", "9")
    assert files_below(sqlite_path.parent) == before


def test_a_host_without_address_is_named(etl: EtlCommand, sqlite_path: Path) -> None:
    """A typing error in the host name is the most frequent one."""
    assert_polite(etl("migrate", sqlite_path, "postgresql://ada:s3cret@no-such-host.invalid/app"), 1, "no-such-host")


def test_a_missing_database_is_named(etl: EtlCommand, server_dsn: str, sqlite_path: Path) -> None:
    """It is not created."""
    done = etl("migrate", sqlite_path, with_database(server_dsn, "etl_no_such_database"))
    assert_polite(done, 1, "etl_no_such_database")


def test_a_role_without_create_is_refused(
    etl: EtlCommand, server_dsn: str, database_dsn: str, sqlite_path: Path
) -> None:
    """What is missing is the privilege CREATE on the database; the hint is the GRANT."""
    role = f"etl_guest_{os.getpid()}"
    run_apart(execute(server_dsn, f"create role {role} login password 's3cret-word'"))
    try:
        done = etl("migrate", sqlite_path, with_role(database_dsn, role, "s3cret-word"))
        assert_polite(done, 1)
        assert "grant create" in done.hints[0].lower()
        assert objects_of(database_dsn) == ["public."]
    finally:
        run_apart(execute(server_dsn, f"drop role {role}"))


def test_a_role_with_few_connections_builds_and_verifies_in_turn(
    etl: EtlCommand, server_dsn: str, database_dsn: str, sqlite_path: Path
) -> None:
    """Connections for doing both at once are a comfort: without them the run takes longer, and does not fail."""
    role = f"etl_few_{os.getpid()}"
    database = urlsplit(database_dsn).path.removeprefix("/")
    run_apart(
        execute(
            server_dsn,
            f"create role {role} login password 's3cret-word' connection limit 3",
            f"grant create on database {database} to {role}",
        )
    )
    run_apart(execute(database_dsn, f"grant create on schema public to {role}"))
    try:
        done = etl("migrate", sqlite_path, with_role(database_dsn, role, "s3cret-word"), "--jobs", "1")
        assert done.status == 0, done.err
    finally:
        run_apart(execute(database_dsn, f"drop owned by {role} cascade", f"drop role {role}"))


def test_tables_that_hold_rows_are_named(etl: EtlCommand, database_dsn: str, sqlite_path: Path) -> None:
    """The table that is there keeps its rows; the hint is --force."""
    run_apart(
        execute(database_dsn, "create table person (id int, name text, born date)", "insert into person values (42)")
    )
    before = objects_of(database_dsn)
    done = etl("migrate", sqlite_path, database_dsn)
    assert_polite(done, 1, "person")
    assert "--force" in done.hints[0]
    assert objects_of(database_dsn) == before

    async def kept() -> int:
        connection = await asyncpg.connect(database_dsn)
        try:
            return int(await connection.fetchval("select id from person"))
        finally:
            await connection.close()

    assert run_apart(kept()) == 42


def test_a_schema_that_is_not_there_is_named(etl: EtlCommand, database_dsn: str, sqlite_path: Path) -> None:
    """The schema is not silently another one."""
    done = etl("migrate", sqlite_path, database_dsn, "--target-schema", "no_such_schema")
    if done.status:  # creating it is a fair answer too
        assert_polite(done, 1, "no_such_schema")
        assert objects_of(database_dsn) == ["public."]


# --- a server that asks for a password -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``127.0.0.1:port`` of a server that wants SCRAM for the role ada, whose password is s3cret-word."""
    folder = tmp_path_factory.mktemp("guarded") / "pg"
    server = start_server(folder)
    run_apart(execute(server.dsn, "create role ada superuser login password 's3cret-word'", "create database app"))
    stop_server(folder)
    (folder / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    installation = find_installation()
    options = shlex.join(["-h", "127.0.0.1", "-p", str(port), "-k", str(folder)])
    subprocess.run(
        [installation.programs / "pg_ctl", "-w", "-D", folder, "-l", folder / "log", "-o", options, "start"],
        user=installation.user,
        group=installation.group,
        extra_groups=None if installation.user is None else [],
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    yield f"127.0.0.1:{port}"
    stop_server(folder)


@pytest.mark.parametrize(
    "form", ["postgresql://ada:{}@{}/app", "host={host} port={port} user=ada dbname=app password={}"]
)
def test_a_wrong_password_is_said_and_not_shown(
    form: str, etl: EtlCommand, guarded_server: str, sqlite_path: Path
) -> None:
    """Neither the wrong one nor the right one, in either form of the DSN."""
    host, port = guarded_server.split(":")
    dsn = form.format("s3cret-typo", guarded_server, host=host, port=port)
    assert_polite(etl("migrate", sqlite_path, dsn), 1, "password")


def test_the_right_password_is_not_shown_either(etl: EtlCommand, guarded_server: str, sqlite_path: Path) -> None:
    """Not in the report, not in the progress, not in the JSON file; from the DSN or from PGPASSWORD."""
    report = etl.folder / "report.json"
    with_it = etl("migrate", sqlite_path, f"postgresql://ada:s3cret-word@{guarded_server}/app", "--report", report)
    assert with_it.status == 0, with_it.err
    again = etl("verify", sqlite_path, f"postgresql://ada@{guarded_server}/app", env={"PGPASSWORD": "s3cret-word"})
    assert again.status == 0, again.err
    assert "s3cret" not in with_it.out + with_it.err + again.out + again.err + report.read_text()


def test_no_password_at_all_is_said(etl: EtlCommand, guarded_server: str, sqlite_path: Path) -> None:
    """The hint tells the ways to give one."""
    assert_polite(etl("migrate", sqlite_path, f"postgresql://ada@{guarded_server}/app"), 1, "password")


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--jobs", "0"], "--jobs"),
        (["--jobs", "many"], "--jobs"),
        (["--progress", "plian"], "plain"),
        (["--page-bytes", "huge"], "--page-bytes"),
        (["--verify", "maybe"], "--verify"),
        (["--no-such-flag"], "--no-such-flag"),
        (["--cast", "nonsense"], "nonsense"),
        (["--cast", "person.name=no_such_type"], "no_such_type"),
        (["--tables", "nobody*"], "nobody"),
    ],
)
def test_a_flag_value_that_means_nothing_is_a_usage_error(
    arguments: list[str], said: str, etl: EtlCommand, database_dsn: str, sqlite_path: Path
) -> None:
    """Status 2, before anything has happened."""
    done = etl("migrate", sqlite_path, database_dsn, *arguments)
    assert_polite(done, 2)
    assert said in done.err
    assert objects_of(database_dsn) == ["public."]


def test_a_value_without_a_rule_stops_the_run(etl: EtlCommand, database_dsn: str, make_source: MakeSource) -> None:
    """Table, column, row and value are named, with the flag that solves it; the target is as before."""
    path = make_source(
        "create table events (id integer primary key, amount numeric(10,2));",
        {"events": [(4181, 1.5), (4182, "12,50"), (4183, 2.5)]},
    )
    done = etl("migrate", path, database_dsn)
    assert_polite(done, 1, "events.amount", "4182", "12,50")
    assert "--cast" in done.hints[0]
    assert objects_of(database_dsn) == ["public."]
