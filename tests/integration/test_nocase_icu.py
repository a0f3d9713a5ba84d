"""``--nocase icu``: columns of COLLATE NOCASE get a collation that sees no case, where the server has ICU."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.server import running_server
from tests.fix_command import EtlCommand
from tests.fix_server import execute, rows_of, run_apart, with_database, with_role
from tests.fix_source import MakeSource

INSTALLED = Path("/usr/lib/postgresql")  # where Debian has a folder for each major version
HAS_ICU = "select 1 from pg_collation where collname = 'und-x-icu'"
COLLATIONS = (
    "select n.nspname::text, l.collname::text, l.collisdeterministic from pg_collation l"
    " join pg_namespace n on n.oid = l.collnamespace where n.nspname <> 'pg_catalog' order by 1, 2"
)
OURS = [("public", "nocase", False)]
ICU = ("--nocase", "icu")
SOURCE = """
create table person (id integer primary key, email text collate nocase unique, nick varchar(20) collate nocase
    default 'New' check (nick like '%o' or length(replace(nick, 'o', '')) < 9), city text collate nocase,
    code text collate nocase, initial text generated always as (substr(replace(nick, 'a', 'b'), 1, 1)) stored);
create index by_city on person (city);
create index by_at on person (instr(email, '@'));
create unique index by_code on person (code collate binary);
create table word (name text collate nocase primary key, n int) without rowid;
create view known as select id, email, nick from person where nick like 'a%' or instr(email, '.org') > 0;
insert into person (id, email, nick, city, code) values (1, 'Ada@x.org', 'Al', 'Oslo', 'a'),
    (2, 'é', 'Bo', 'oslo', 'A'), (3, null, '', 'ÅRHUS', 'b');
insert into word values ('Key', 1), ('other', 2);
"""


@pytest.fixture(scope="module")
def icu_server(server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The tests' own server, where it has ICU, or one that is installed."""
    if rows_of(server_dsn, HAS_ICU):
        yield server_dsn
        return
    found = sorted(INSTALLED.glob("*/bin"))
    if not found:
        pytest.skip("no server with ICU is installed")
    ram = Path("/dev/shm")  # noqa: S108 - not a file of ours: a folder is made inside it
    with running_server(None, found[-1], ram if ram.is_dir() else tmp_path_factory.mktemp("server")) as server:
        if not rows_of(server.dsn, HAS_ICU):
            pytest.skip("the installed server has no ICU")
        yield server.dsn


@pytest.fixture
def icu_dsn(icu_server: str) -> Iterator[str]:
    """A fresh database of that server."""
    name = f"etl_test_{uuid.uuid4().hex[:12]}"
    run_apart(execute(icu_server, f"create database {name}"))
    try:
        yield with_database(icu_server, name)
    finally:
        run_apart(execute(icu_server, f"drop database if exists {name} with (force)"))


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    return make_source(SOURCE)


def add(source: Path, *statements: str) -> None:
    with closing(sqlite3.connect(source)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def collation_of(dsn: str, table: str, column: str) -> list[tuple[str]]:
    return rows_of(dsn, "select attcollation::regcollation::text from pg_attribute"
                   f" where attrelid = '{table}'::regclass and attname = '{column}'")  # fmt: skip


def test_a_server_without_icu_is_told_the_ways_without_it(etl: EtlCommand, database_dsn: str, source: Path) -> None:
    """Before a row moves, in one line: many servers are built without ICU, the embedded one among them."""
    if rows_of(database_dsn, HAS_ICU):
        pytest.skip("this server has ICU")
    done = etl("migrate", source, database_dsn, *ICU)
    assert done.status == 1
    assert done.errors == ["error: --nocase icu: this server is built without ICU"]
    assert "--nocase lower" in done.hints[0]
    assert rows_of(database_dsn, "select count(*) from pg_class where relnamespace = 'public'::regnamespace") == [(0,)]


def test_the_plan_names_the_columns_and_what_looks_into_them(etl: EtlCommand, source: Path) -> None:
    """Without a server too: who writes LIKE in an application has to know before the move, not after it."""
    done = etl("migrate", source, *ICU, "--dry-run")
    assert done.status in {0, 5}, done.err
    said = done.out + done.err
    assert "create collation nocase (ICU, und-u-ks-level2, not deterministic)" in said
    assert "person: email, nick, city: = and keys see no case of any letter" in said
    assert "person: the index by_at looks into email by bytes" in said
    assert "the check person_nick_check looks into nick by bytes" in said
    assert "the view known looks into email, nick by bytes" in said


def test_rows_are_found_in_any_case_and_hold_every_byte(etl: EtlCommand, icu_dsn: str, source: Path) -> None:
    """Of every letter, accented too; a column with an index that sees case stays text by bytes, and is listed."""
    done = etl("migrate", source, icu_dsn, *ICU)
    assert done.status == 5, done.err
    assert [line for line in done.out.splitlines() if line.startswith("  collation ")] == [
        "  collation person.code: comparisons with = and ORDER BY are case-sensitive in PostgreSQL"
    ]
    assert rows_of(icu_dsn, COLLATIONS) == OURS
    assert collation_of(icu_dsn, "person", "email") == [("nocase",)]
    assert collation_of(icu_dsn, "person", "code") == [('"C"',)]
    assert rows_of(icu_dsn, "select id, email from person where email = 'ADA@X.ORG'") == [(1, "Ada@x.org")]
    assert rows_of(icu_dsn, "select id from person where email = 'É'") == [(2,)]
    assert rows_of(icu_dsn, "select count(*) from person where city = 'OSLO'") == [(2,)]
    assert rows_of(icu_dsn, "insert into word values ('KEY', 3) on conflict do nothing returning n") == []
    assert rows_of(icu_dsn, "insert into person (id) values (9) returning nick") == [("New",)]
    assert rows_of(icu_dsn, "select indexdef from pg_indexes where indexdef like '%lower%'") == []
    assert rows_of(icu_dsn, "select id from known order by id") == [(1,)]
    assert rows_of(icu_dsn, "select nspname from pg_namespace where nspname like 'etl%'") == []


@pytest.mark.parametrize("way", ["full", "digest"])
def test_a_value_that_changed_only_its_case_is_a_difference(
    etl: EtlCommand, icu_dsn: str, source: Path, tmp_path: Path, way: str
) -> None:
    """Equal to the collation, and another value all the same: no comparison may go by the column's own =."""
    report = tmp_path / "report.json"
    assert etl("migrate", source, icu_dsn, *ICU, "--report", report).status == 5
    assert "nocase" in json.dumps(json.loads(report.read_text())["plan"]["objects"])
    assert etl("verify", source, icu_dsn, *ICU, "--verify", way).status == 0
    assert etl("verify", icu_dsn, "--against", report).status == 0
    for statement in ("update person set email = 'ada@x.org' where id = 1", "update word set name = 'KEY' where n = 1"):
        run_apart(execute(icu_dsn, statement))
        done = etl("verify", source, icu_dsn, *ICU, "--verify", way)
        assert done.status == 4, statement
        assert etl("verify", icu_dsn, "--against", report).status == 4
    assert "Ada@x.org" in done.out
    assert "Key" in done.out


def test_another_collation_in_its_place_is_a_difference(etl: EtlCommand, icu_dsn: str, source: Path) -> None:
    """Of another name, and of the same name with another rule: what it does counts, not how it is called."""
    assert etl("migrate", source, icu_dsn, *ICU, "--exclude", "word").status == 5
    flags = (*ICU, "--exclude", "word")
    run_apart(execute(icu_dsn, 'alter table person alter city type text collate "C"'))
    done = etl("verify", source, icu_dsn, *flags)
    assert done.status == 4
    assert 'text collate "nocase" (not deterministic, und-u-ks-level2)' in done.out
    run_apart(
        execute(
            icu_dsn,
            "create schema other",
            "create collation other.nocase (provider = icu, locale = 'und-u-ks-level2')",
            "alter table person alter city type text collate other.nocase",
        )
    )
    assert etl("verify", source, icu_dsn, *flags).status == 4
    run_apart(execute(icu_dsn, "alter table person alter city type text collate public.nocase"))
    assert etl("verify", source, icu_dsn, *flags).status == 0


def test_values_that_icu_takes_for_the_same_are_named(etl: EtlCommand, icu_dsn: str, source: Path) -> None:
    """SQLite folds ASCII only: both rows are told, before larger tables are loaded, and the way without ICU is said."""
    add(source, "insert into person (id, email) values (9, 'É')", "insert into word values ('\uff2bey', 3)",
        "create table large as with recursive r (n) as (select 1 union all select n + 1 from r where n < 999)"
        " select n, 'some text' as x from r")  # fmt: skip
    done = etl("migrate", source, icu_dsn, *ICU, "--exclude", "word", "--jobs", "1")
    assert done.status == 1
    assert "load: large" not in done.err
    assert "person.email (id=9): 'É' is the same in person_email_key as that of the row (id=2)" in done.errors[0]
    assert "--nocase lower" in done.hints[0]
    assert rows_of(icu_dsn, COLLATIONS) == []
    assert rows_of(icu_dsn, "select nspname from pg_namespace where nspname like 'etl%'") == []
    done = etl("migrate", source, icu_dsn, *ICU, "--tables", "word")
    assert done.status == 1
    assert "\uff2bey" in done.errors[0]


def test_keys_of_ascii_alone_are_certain_beforehand(etl: EtlCommand, icu_dsn: str, source: Path) -> None:
    """What ICU makes of them SQLite's NOCASE has seen to; of any other character only the server can tell."""
    done = etl("inspect", source, icu_dsn, *ICU, "--tables", "word")
    assert "verdict: clean" in done.out, done.out
    add(source, "insert into word values ('key' || char(1), 3)")
    done = etl("inspect", source, icu_dsn, *ICU, "--tables", "word")
    assert "verdict: uncertain" in done.out, done.out
    assert etl("migrate", source, icu_dsn, *ICU, "--tables", "word").status == 1  # to ICU it is 'Key'
    pairs = "(select chr(a) as x, chr(b) as y from generate_series(32, 126) a, generate_series(32, 126) b) as pairs"
    by_rule = 'lower(x collate "C") = lower(y collate "C")'
    assert etl("migrate", source, icu_dsn, *ICU, "--exclude", "word").status == 5  # for its collation
    query = f"select x, y from {pairs} where (x = y collate nocase) <> ({by_rule})"
    assert rows_of(icu_dsn, query) == []


def test_such_rows_can_be_set_aside(etl: EtlCommand, icu_dsn: str, source: Path, tmp_path: Path) -> None:
    """The later one of each pair goes to its file; the move goes on, and the others are verified."""
    add(source, "insert into person (id, email) values (9, 'É')")
    rejects = tmp_path / "rejects"
    done = etl("migrate", source, icu_dsn, *ICU, "--on-error", "reject", "--rejects", rejects)
    assert done.status == 3, done.err
    assert rows_of(icu_dsn, "select id from person order by id") == [(1,), (2,), (3,)]
    assert "\u00c9" in (rejects / "person.jsonl").read_text()


def test_a_second_run_uses_the_collation_that_is_there(etl: EtlCommand, icu_dsn: str, source: Path) -> None:
    """Other tables into the same schema, and the same ones anew: one collation, which outlives the old tables."""
    assert etl("migrate", source, icu_dsn, *ICU, "--tables", "word").status == 0
    assert etl("migrate", source, icu_dsn, *ICU, "--tables", "person").status == 5
    assert rows_of(icu_dsn, COLLATIONS) == OURS
    done = etl("migrate", source, icu_dsn, *ICU, "--mode", "replace")
    assert done.status == 5, done.err
    assert rows_of(icu_dsn, COLLATIONS) == OURS
    assert collation_of(icu_dsn, "word", "name") == [("nocase",)]
    assert rows_of(icu_dsn, "select n from word where name = 'KEY'") == [(1,)]
    assert etl("verify", source, icu_dsn, *ICU).status == 0


def test_another_collation_of_that_name_is_in_the_way(etl: EtlCommand, icu_dsn: str, source: Path) -> None:
    """It is somebody's: neither used nor replaced, with --mode replace either, and said before a row moves."""
    run_apart(execute(icu_dsn, "create collation nocase (provider = icu, locale = 'de')"))
    for mode in ("auto", "replace"):
        done = etl("migrate", source, icu_dsn, *ICU, "--mode", mode)
        assert done.status == 1
        assert "the collation public.nocase, which is not that of --nocase icu" in done.errors[0]
        assert "rename to" in done.hints[0]
    assert etl("migrate", source, icu_dsn, *ICU, "--target-schema", "app").status == 5
    assert rows_of(icu_dsn, COLLATIONS) == [("app", "nocase", False), ("public", "nocase", True)]


def test_an_owner_gets_the_collation_with_the_tables(etl: EtlCommand, icu_dsn: str, source: Path) -> None:
    """A role without more rights than it needs makes them, and what is handed over is handed over whole."""
    role, owner = f"mover_{uuid.uuid4().hex[:8]}", f"owner_{uuid.uuid4().hex[:8]}"
    database = icu_dsn.rpartition("/")[2]
    run_apart(
        execute(
            icu_dsn,
            f"create role {owner}",
            f"create role {role} login password 'p' in role {owner}",
            f"grant create on database {database} to {role}",
            f"grant create on schema public to {role}, {owner}",
        )
    )
    try:
        done = etl("migrate", source, with_role(icu_dsn, role, "p"), *ICU, "--owner", owner)
        assert done.status == 5, done.err
        owners = rows_of(icu_dsn, "select collowner::regrole::text from pg_collation where collname = 'nocase'")
        assert owners == [(owner,)]
    finally:
        run_apart(execute(icu_dsn, f"drop owned by {role}, {owner}", f"drop role {role}, {owner}"))


@pytest.mark.parametrize("kept", ["big", "small"])
def test_a_run_that_ended_in_the_middle_is_gone_on_with(
    etl: EtlCommand, icu_dsn: str, make_source: MakeSource, kept: str
) -> None:
    """With the collation that its kept table uses, or with a new one; and what nobody goes on with leaves none."""
    folds, plain = "text collate nocase", "text"
    script = (
        f"create table big (id integer primary key, name {folds if kept == 'big' else plain}, filler text);"
        f"create table small (id integer primary key, name {folds}, day date);"
    )
    big = [(n, f"Name {n}", f"{n:040}" * 10) for n in range(60_000)]
    path = make_source(script, {"big": big, "small": [(1, "One", "01.02.2024")]})
    flags = (*ICU, "--jobs", "1", "--progress", "plain")
    for _ in range(2):
        done = etl("migrate", path, icu_dsn, *flags)
        assert done.status == 1
        assert "'01.02.2024' is not date" in done.errors[0]
    assert [name for _, name, _ in rows_of(icu_dsn, COLLATIONS)] == ["nocase"]  # the first one went with its schema
    assert etl("clean", icu_dsn).status == 0
    assert rows_of(icu_dsn, COLLATIONS) == []
    assert etl("migrate", path, icu_dsn, *flags).status == 1
    done = etl("migrate", path, icu_dsn, *flags, "--resume", "--cast", "small.day=text")
    assert done.status == 0, done.err
    assert "1 finished table with 60,000 rows kept" in done.err
    assert rows_of(icu_dsn, COLLATIONS) == OURS
    assert rows_of(icu_dsn, "select nspname from pg_namespace where nspname like 'etl%'") == []
    assert rows_of(icu_dsn, "select id from small where name = 'ONE'") == [(1,)]
    assert rows_of(icu_dsn, "select id from big where name = 'NAME 7'") == ([(7,)] if kept == "big" else [])
