"""Years later, without the source: whether the target still is what the report of its migration says."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from etl.plan_record import hash_of
from tests.fix_command import EtlCommand, PreparedProcess
from tests.fix_server import execute, temporary_database
from tests.fix_source import MakeSource, build_source

SCRIPT = """
create table "Order" (id integer primary key, at datetime, "total sum" decimal(10,2), doc json, data blob, note text);
insert into "Order" values (1, '2024-01-01 10:00', 1.5, '{"b": 1.50, "a": [1e3]}', x'00ff', 'Zoë'),
                           (2, null, 3, '[]', null, ''), (3, '2024-06-01 10:00:00.5', 0.1, null, x'', null);
create table empty (a integer, b integer generated always as (a + 1));
create table pair (a text, b text, primary key (a, b)) without rowid;
insert into pair values ('x', 'y'), ('x', 'z');
"""
Moved = tuple[Path, str]


def migrated(server_dsn: str, etl: EtlCommand, script: str) -> Iterator[Moved]:
    """The report of a migration and its target; the source is gone."""
    source, report = build_source(etl.folder / "source.db", script), etl.folder / "report.json"
    with temporary_database(server_dsn) as dsn:
        done = etl("migrate", source, dsn, "--report", report)
        assert done.status == 0, done.err + done.out
        source.unlink()
        yield report, dsn


def copied(server_dsn: str, original: Moved, folder: Path) -> Iterator[Moved]:
    """The same in a database and a file that a test may change."""
    report, dsn = original
    with temporary_database(server_dsn, template=urlsplit(dsn).path.removeprefix("/")) as copy:
        yield Path(shutil.copy(report, folder / "report.json")), copy


@pytest.fixture(scope="module")
def migrated_rows(
    server_dsn: str, prepared: PreparedProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Moved]:
    """One migration of SCRIPT, for all tests of this file to copy."""
    yield from migrated(server_dsn, EtlCommand(tmp_path_factory.mktemp("rows"), prepared), SCRIPT)


@pytest.fixture
def moved(server_dsn: str, migrated_rows: Moved, tmp_path: Path) -> Iterator[Moved]:
    """A report and a target of the test's own."""
    yield from copied(server_dsn, migrated_rows, tmp_path)


def test_an_untouched_target_is_still_what_was_loaded(moved: Moved, etl: EtlCommand, tmp_path: Path) -> None:
    """The source may be gone: the report and the target suffice, and the verdict says what it rests on."""
    report, dsn = moved
    again = tmp_path / "again.json"
    done = etl("verify", dsn, "--against", report, "--report", again)
    assert done.status == 0, done.err + done.out
    assert "the source was not read" in done.out
    content = json.loads(again.read_text())
    assert (content["verdict"], content["against"]) == ("equal", str(report))
    assert {table["proof"] for table in content["tables"]} == {"checksum"}


@pytest.mark.parametrize(
    "statement",
    [
        "update \"Order\" set note = '' where id = 3",
        "update \"Order\" set doc = jsonb_set(doc, '{b}', '1.51') where id = 1",
        "update \"Order\" set at = at + interval '1 microsecond' where id = 1",
        "delete from pair where b = 'z'",
        "insert into empty (a) values (1)",
    ],
)
def test_a_change_since_is_told_with_its_table(moved: Moved, etl: EtlCommand, statement: str) -> None:
    """Which row it was needs the source; that it was one is told without."""
    report, dsn = moved
    asyncio.run(execute(dsn, statement))
    done = etl("verify", dsn, "--against", report)
    assert done.status == 4
    assert done.errors[0].endswith(f"the target does not hold what {report} says")
    name = statement.split('"')[1] if '"' in statement else statement.split()[2]
    assert f"differences in {name}: 1" in done.out


def test_rows_in_another_order_and_documents_spelled_anew_are_no_change(moved: Moved, etl: EtlCommand) -> None:
    """A dump and a restore move rows about."""
    report, dsn = moved
    asyncio.run(
        execute(
            dsn,
            'create table kept as select * from "Order" order by id desc; truncate "Order"',
            'insert into "Order" select * from kept',
            'update "Order" set doc = \'{"a": [1000], "b": 1.5}\' where id = 1',
        )
    )
    assert etl("verify", dsn, "--against", report).status == 0


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("drop table pair", "table pair: expected a table, target nothing"),
        ('alter table "Order" drop column note', "Order.note: expected text, target nothing"),
        ('alter table "Order" alter column note type varchar(9)', "expected text, target varchar(9)"),
        ('alter table "Order" rename column note to remark', "expected text, target nothing"),
    ],
)
def test_a_table_or_column_that_has_changed_is_named(moved: Moved, etl: EtlCommand, statement: str, said: str) -> None:
    """The checksum belongs to columns of these types; another type is a difference by itself."""
    report, dsn = moved
    asyncio.run(execute(dsn, statement))
    done = etl("verify", dsn, "--against", report)
    assert done.status == 4
    assert said in done.out


OBJECTS = """
create table parent (id integer primary key autoincrement, code text not null unique);
create table child (id integer primary key, parent integer references parent (id) on delete cascade,
                    n integer default 7, at text default current_timestamp, amount decimal(10,2) check (amount > 0));
create index child_n on child (n desc, amount); create unique index child_at on child (at) where n > 1;
create view totals as select parent, count(*) as n from child group by parent;
insert into parent values (1, 'a'), (2, 'b'); insert into child values (1, 1, 1, 'x', 1.5), (2, 2, 2, 'y', 2.5);
"""


@pytest.fixture(scope="module")
def migrated_objects(
    server_dsn: str, prepared: PreparedProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Moved]:
    """One migration of OBJECTS, for all tests of this file to copy."""
    yield from migrated(server_dsn, EtlCommand(tmp_path_factory.mktemp("objects"), prepared), OBJECTS)


@pytest.fixture
def moved_objects(server_dsn: str, migrated_objects: Moved, tmp_path: Path) -> Iterator[Moved]:
    """The same of a source with keys, indexes, constraints, defaults and a view."""
    yield from copied(server_dsn, migrated_objects, tmp_path)


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        (None, None),
        ("drop index child_n", "child_n"),
        ("drop index child_n; create index child_n on child (n, amount)", "child_n"),
        ("update pg_index set indisvalid = false where indexrelid = 'child_at'::regclass", "child_at"),
        ("alter table child drop constraint child_pkey", "child_pkey"),
        ("alter table parent alter code drop not null", "code"),
        ("alter table child alter n drop default", "n"),
        ("alter table child alter n set default 8", "n"),
        (
            "alter table child drop constraint child_amount_check; alter table child add constraint child_amount_check"
            " check (amount > -1)",
            "child_amount_check",
        ),
        ("alter table child alter id drop identity", "id"),
        ("select setval(pg_get_serial_sequence('parent', 'id'), 1)", "id"),
        ("drop view totals", "totals"),
        (
            "create or replace view totals as select parent, count(*) as n from child where id > 0 group by parent",
            "totals",
        ),
        ("create or replace view totals as select parent, count(distinct id) as n from child group by 1", "totals"),
        (
            "update pg_constraint set convalidated = false where contype = 'f' and conrelid = 'child'::regclass",
            "child_parent_fkey",
        ),
        ("alter table child drop constraint child_parent_fkey", "child_parent_fkey"),
        ("alter table child drop constraint child_amount_check", "child_amount_check"),
    ],
)
def test_an_object_that_is_gone_or_changed_is_named(
    moved_objects: Moved, etl: EtlCommand, statement: str | None, name: str | None, tmp_path: Path
) -> None:
    """Rows alone are not what was promised: without its index or its foreign key the target is another one."""
    report, dsn = moved_objects
    if statement is not None:
        asyncio.run(execute(dsn, *statement.split("; ")))
    again = tmp_path / "again.json"
    done = etl("verify", dsn, "--against", report, "--report", again)
    told = json.loads(again.read_text())["differences"]
    assert [(one["kind"], one["key"]) for one in told] == ([] if name is None else [("object", name)])
    assert done.status == (0 if name is None else 4)


def test_a_report_without_the_queries_of_views_still_serves(moved_objects: Moved, etl: EtlCommand) -> None:
    """Of an etl that kept none: the view has to be there, with its columns."""
    report, dsn = moved_objects
    content = json.loads(report.read_text())
    del content["plan"]["objects"]["view_queries"]
    content["plan"]["hash"] = hash_of(content["plan"])
    report.write_text(json.dumps(content))
    asyncio.run(
        execute(dsn, "create or replace view totals as select parent, count(id) as n from child group by parent")
    )
    done = etl("verify", dsn, "--against", report)
    assert done.status == 0, done.err + done.out


def test_a_report_without_objects_says_what_it_does_not_prove(moved_objects: Moved, etl: EtlCommand) -> None:
    """Of an etl before this one: its rows are still compared."""
    report, dsn = moved_objects
    content = json.loads(report.read_text())
    del content["plan"]["objects"]
    content["plan"]["hash"] = hash_of(content["plan"])
    report.write_text(json.dumps(content))
    asyncio.run(execute(dsn, "drop index child_n"))
    done = etl("verify", dsn, "--against", report)
    assert done.status == 0
    assert "keys, constraints and indexes were not compared" in done.out + done.err


def changed(change: Any) -> Any:
    def apply(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return apply


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "cannot be read: No such file"),
        (lambda path: path.write_text("not json"), "is no JSON"),
        (lambda path: path.write_text("[1]"), "is no report of etl"),
        (changed(lambda content: content.update(format=2)), "of another format than 1"),
        (changed(lambda content: content.update(verdict="different")), "proves nothing"),
        (changed(lambda content: content["plan"]["columns"]["pair"].pop("b")), "not the one that was written"),
        (changed(lambda content: content.pop("plan")), "older etl, or is not whole"),
        (changed(lambda content: content["tables"][0].pop("target_checksum")), "older etl, or is not whole"),
        (changed(lambda content: content["tables"].pop()), "its tables are not those of its plan"),
    ],
)
def test_what_is_no_proof_is_refused_in_one_line(moved: Moved, etl: EtlCommand, damage: Any, said: str) -> None:
    """A report that was edited, cut short or is another program's must not come out as a proof."""
    report, dsn = moved
    damage(report)
    done = etl("verify", dsn, "--against", report)
    assert done.status == 2
    assert [said in line for line in done.errors] == [True], done.err
    assert len(done.hints) == 1


def test_a_report_without_checksums_is_refused(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """Digests are of both sides of that moment; they are not kept, and it is said how to get what is needed."""
    report = tmp_path / "report.json"
    assert etl("migrate", make_source(SCRIPT), database_dsn, "--verify", "digest", "--report", report).status == 0
    done = etl("verify", database_dsn, "--against", report)
    assert done.status == 2
    assert "--verify digest computes none" in done.errors[0]


def test_a_source_beside_the_report_is_refused(moved: Moved, etl: EtlCommand, sqlite_path: Path) -> None:
    """It would not be read, and the user would believe that it was."""
    report, dsn = moved
    done = etl("verify", sqlite_path, dsn, "--against", report)
    assert done.status == 2
    assert "only TARGET" in done.errors[0]


def test_the_report_of_a_filled_target_proves_it_too(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """The types are the application's own: an enum, a domain, a varchar."""
    report = tmp_path / "report.json"
    asyncio.run(
        execute(
            database_dsn,
            "create type mood as enum ('sad', 'glad'); create domain price as numeric(8,2);"
            "create table m (id bigint primary key, mood mood, price price, name varchar(9))",
        )
    )
    source = make_source(
        "create table m (id integer primary key, mood text, price decimal(8,2), name text);"
        "insert into m values (1, 'sad', 1.5, 'a'), (2, null, null, '');"
    )
    done = etl("migrate", source, database_dsn, "--report", report)
    assert done.status == 0, done.err + done.out
    done = etl("verify", database_dsn, "--against", report)
    assert done.status == 0, done.err + done.out
    asyncio.run(execute(database_dsn, "update m set mood = 'glad' where id = 1"))
    assert etl("verify", database_dsn, "--against", report).status == 4
