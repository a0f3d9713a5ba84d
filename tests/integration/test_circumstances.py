"""What the server as it is set up would refuse at the end is said at the beginning, to a role that may do little."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from etl.load.address import parse_address
from etl.load.connect import connect
from etl.load.session_settings import SETTINGS
from etl.shell.embedded import EmbeddedServer, start_server, stop_server
from tests.fix_command import Done, EtlCommand
from tests.fix_server import execute, rows_of, run_apart, with_database, with_role
from tests.fix_source import MakeSource

SCRIPT = "create table t (id integer primary key, name text unique); insert into t (name) values ('a'), ('b');"
NAMES = "select relname::text from pg_class where relnamespace in ('app'::regnamespace, 'public'::regnamespace)"
STAGING = "select count(*) from pg_namespace where nspname like 'etl%'"


@pytest.fixture(scope="module")
def narrow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server with room for 160 locks, that writes enough for logical replication."""
    folder = tmp_path_factory.mktemp("narrow") / "pg"
    server = start_server(folder)
    settings = {"max_locks_per_transaction": 10, "max_connections": 12, "wal_level": "logical"}
    settings |= dict.fromkeys(("max_worker_processes", "max_wal_senders", "autovacuum_worker_slots"), 1)
    changes = [f"alter system set {name} = '{value}'" for name, value in settings.items()]
    asyncio.run(execute(server.dsn, *changes, "create role mover login", "create schema app",
                        "grant create on database postgres to mover",
                        "grant usage, create on schema app to mover"))  # fmt: skip
    stop_server(server.directory)
    server = start_server(folder)
    yield server
    stop_server(server.directory)


@pytest.fixture
def mover(server_dsn: str, database_dsn: str) -> Iterator[str]:
    """The DSN of a role that may create in the schema app and in the database, and nothing else."""
    name, database = "mover_" + urlsplit(database_dsn).path[-12:], urlsplit(database_dsn).path.lstrip("/")
    run_apart(
        execute(
            database_dsn,
            f"create role {name} login password 'secret-word'",
            f"grant create on database {database} to {name}",
            "create schema app",
            f"grant usage, create on schema app to {name}",
        )
    )
    yield with_role(database_dsn, name, "secret-word")
    run_apart(execute(database_dsn, f"drop owned by {name} cascade", f"drop role {name}"))


def refused(done: Done, words: str, hint: str) -> None:
    """One line, one hint, status 1, and no row had moved."""
    assert done.status == 1
    assert len(done.errors) == 1
    assert words in done.errors[0]
    assert hint in done.hints[0]
    assert "load:" not in done.err


def test_a_publication_of_all_tables_with_a_subscriber_stops_the_run(
    etl: EtlCommand, make_source: MakeSource, narrow_server: EmbeddedServer
) -> None:
    """Its subscribers would be sent rows of tables that they have not, those of the staging schema among them."""
    run_apart(execute(narrow_server.dsn, "create publication everything for all tables",
                      "select pg_create_logical_replication_slot('theirs', 'pgoutput')"))  # fmt: skip
    flags = (make_source(SCRIPT), narrow_server.dsn.replace("postgres@", "mover@", 1), "--target-schema", "app")
    try:
        refused(etl("migrate", *flags), "the publication everything is FOR ALL TABLES", "let everything name its")
        assert rows_of(narrow_server.dsn, f"{NAMES} union all select 'x' from ({STAGING}) as s(n) where n > 0") == []
        run_apart(execute(narrow_server.dsn, "select pg_drop_replication_slot('theirs')"))
        assert etl("migrate", *flags).status == 0
    finally:
        run_apart(execute(narrow_server.dsn, "drop publication everything", "drop table if exists app.t"))


def test_more_tables_than_the_server_has_locks_for_stop_the_run(
    etl: EtlCommand, make_source: MakeSource, narrow_server: EmbeddedServer
) -> None:
    """A publish locks every table and sequence, a replacement and a fill much that hangs on the target's own tables."""
    source = make_source("".join(f"create table t{n} (id integer primary key, n text unique);" for n in range(73)))
    flags = (source, narrow_server.dsn.replace("postgres@", "mover@", 1), "--target-schema", "app")
    room = "locks at once; the server has room for 160, those of others included"
    refused(etl("migrate", *flags), f"needs 146 {room}",
            "raise max_locks_per_transaction from 10 to 11 or more and restart the server")  # fmt: skip
    assert rows_of(narrow_server.dsn, NAMES) == []
    some = (*flags, "--tables", "t[123]*")
    assert etl("migrate", *some).status == 0
    refused(etl("migrate", *some, "--force"), f"needs 198 {room}", "or fill each table by itself with --per-table")
    refused(etl("migrate", *some, "--mode", "replace"), f"needs 429 {room}", "--tables")


def test_a_database_of_another_encoding_stops_the_run(
    etl: EtlCommand, make_source: MakeSource, server_dsn: str, database_dsn: str, mover: str
) -> None:
    """Text of any language is to be stored; the hint is the command that makes a database for it."""
    name = urlsplit(database_dsn).path.lstrip("/") + "_ascii"
    run_apart(execute(server_dsn, f"create database {name} encoding sql_ascii locale 'C' locale_provider libc"
                      " template template0"))  # fmt: skip
    try:
        done = etl("migrate", make_source(SCRIPT), with_database(mover, name))
        refused(done, "encoding is SQL_ASCII", "createdb --encoding UTF8")
    finally:
        run_apart(execute(server_dsn, f"drop database {name}"))


def test_names_that_are_taken_stop_a_role_that_may_not_look_at_them(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, mover: str
) -> None:
    """Tables, indexes, sequences and types of others, of which the role may read nothing but their names."""
    run_apart(
        execute(
            database_dsn,
            "create table app.other (x int)",
            "create index wanted on app.other (x)",
            "create sequence app.t_id_seq",
            "create type app.t_pkey as enum ('x')",
            "create view app.v as select 1 as x",
        )
    )
    script = "create index wanted on t (name); create table v (a int);"
    done = etl("migrate", make_source(SCRIPT + script), mover, "--target-schema", "app", "--mode", "create")
    refused(done, "in the way of this run", "--target-schema")
    own = 'create table "ETL_journal" (a int); create index etl_journal_pkey on "ETL_journal" (a);'
    refused(etl("migrate", make_source(own, name="own.db"), mover, "--target-schema", "app"),
            "etl_journal_pkey is the name of this run's own journal", "rename it")  # fmt: skip
    for name in ("index app.wanted", "sequence app.t_id_seq", "type app.t_pkey", "view app.v"):
        assert name in done.errors[0]


@pytest.mark.parametrize("whose", ["the owner's", "another's"])
def test_row_security_that_applies_to_the_role_stops_a_fill(
    whose: str, etl: EtlCommand, make_source: MakeSource, database_dsn: str, mover: str
) -> None:
    """Rows would be hidden from the load and from the verification; without FORCE it does not apply to the owner."""
    role = urlsplit(mover).username
    run_apart(
        execute(
            database_dsn,
            "create table app.t (id bigint generated by default as identity primary key, name text unique)",
            "alter table app.t enable row level security",
            "create policy mine on app.t using (name <> 'a')",
            f"grant select, insert on app.t to {role}",
            f"grant select, update on sequence app.t_id_seq to {role}",
            *([f"alter table app.t owner to {role}"] if whose == "the owner's" else []),
            "alter table app.t force row level security",
        )
    )
    flags = (make_source(SCRIPT), mover, "--target-schema", "app")
    done = etl("migrate", *flags)
    refused(done, "row security of t applies to the role", "bypassrls")
    assert etl("migrate", *flags, "--dry-run").status == 1
    if whose == "the owner's":
        assert "no force row level security" in done.hints[0]
        run_apart(execute(database_dsn, "alter table app.t no force row level security"))
        assert etl("migrate", *flags).status == 0
        assert rows_of(database_dsn, "select count(*) from app.t") == [(2,)]


def test_a_role_without_the_right_to_create_is_told_both_ways(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, mover: str
) -> None:
    """The grant that a DBA can give, and the schema that he can prepare instead."""
    role, database = urlsplit(mover).username, urlsplit(mover).path.lstrip("/")
    run_apart(execute(database_dsn, f"revoke create on database {database} from {role}", "create schema workshop",
                      f"grant usage, create on schema workshop to {role}"))  # fmt: skip
    flags = (make_source(SCRIPT), mover, "--target-schema", "app")
    done = etl("migrate", *flags)
    refused(done, "may not create schemas in the database", f'grant create on database "{database}" to "{role}"')
    assert "--staging-schema" in done.hints[0]
    assert etl("migrate", *flags, "--staging-schema", "workshop").status == 0
    assert rows_of(database_dsn, "select count(*) from app.t") == [(2,)]


def test_a_role_that_may_not_see_every_row_is_told_what_it_lacks(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, mover: str, tmp_path: Path
) -> None:
    """A verification that cannot read a table says so, with the table's name; no rows are no difference then."""
    role, report = urlsplit(mover).username, tmp_path / "report.json"
    source, app = make_source(f"{SCRIPT} create view v as select id from t;"), ("--target-schema", "app")
    assert etl("migrate", source, database_dsn, *app, "--report", report).status == 0

    def lacks(text: str, hint: str) -> None:
        for done in (etl("verify", source, mover, *app), etl("verify", mover, "--against", report)):
            assert (done.status, len(done.errors)) == (1, 1), done.out + done.err
            assert "internal error" not in done.err
            assert text in done.errors[0]
            assert hint in done.hints[0]

    run_apart(execute(database_dsn, f"grant select on all sequences in schema app to {role}"))
    lacks("permission denied for table t", "grant it to this role")
    run_apart(execute(database_dsn, f"grant select on app.t to {role}"))
    refused(etl("verify", source, mover, *app), "view v: permission denied for view v", "grant it to this role")
    run_apart(execute(database_dsn, "alter table app.t enable row level security"))
    lacks("row-level security policy", "bypassrls")


async def settings_of_a_run(dsn: str, names: list[str]) -> dict[str, str]:
    """What these settings are on a connection of a run, as far as it sets them."""
    connection = await connect(parse_address(dsn))
    try:
        return {name: await connection.fetchval(f"show {name}") for name in names if name in SETTINGS}
    finally:
        await connection.close()


def test_what_a_database_sets_for_its_sessions_changes_nothing_of_what_is_made(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str
) -> None:
    """A verification in a session that misreads a promise as the one did that made it would find both the same."""
    name = urlsplit(database_dsn).path.removeprefix("/")
    settings = {
        "standard_conforming_strings": "off",
        "transform_null_equals": "on",
        "timezone": "Asia/Kathmandu",
        "datestyle": "SQL, DMY",
        "intervalstyle": "sql_standard",
        "bytea_output": "escape",
        "array_nulls": "off",
        "extra_float_digits": "-15",
        "quote_all_identifiers": "on",
    }
    asyncio.run(execute(database_dsn, *(f"alter database {name} set {key} = '{to}'" for key, to in settings.items())))
    assert run_apart(settings_of_a_run(database_dsn, list(settings))) == {
        key: SETTINGS[key] for key in settings if key in SETTINGS
    }
    source = make_source(
        "create table t (id integer primary key, path text default 'c:\\new', at date default '2024-01-02',"
        " part text check (part <> 'x\\ny'), never integer check (never = null),"
        " whole text generated always as ('\\' || path) stored);"
        "create index t_part on t (id) where part <> 'c:\\new'; insert into t (id) values (1);"
    )
    moved = etl("migrate", source, database_dsn)
    assert moved.status == 0, moved.out + moved.err
    for _ in ("as the database has it", "as every other has it"):
        done = etl("verify", source, database_dsn)
        assert done.status == 0, done.out + done.err
        asyncio.run(execute(database_dsn, f"alter database {name} reset all"))
    asyncio.run(execute(database_dsn, "insert into t (id) values (2)"))
    query = "select path, at::text, whole from t order by id"
    assert rows_of(database_dsn, query) == [("c:\\new", "2024-01-02", "\\c:\\new")] * 2
