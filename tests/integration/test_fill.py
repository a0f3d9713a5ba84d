"""Fill mode: the application's own tables, made by its own migrations, get the rows and stay as they are."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import execute, rows_of, run_apart
from tests.fix_source import MakeSource

SOURCE = """
create table author (id integer primary key autoincrement, name varchar(50) not null, score decimal(10,2), at datetime);
create table book (id integer primary key, author_id integer references author (id), title text, meta json);
"""
ROWS = {
    "author": [(1, "Ada", 1.5, 1700000000000), (7, "Grace", 2, 1700000001000)],
    "book": [(3, 7, "Compilers", '{"pages": 3}'), (4, None, "Notes", None)],
}
TARGET = (
    # another order, other types, a column more
    "create table author (at timestamptz(3), name varchar(50) not null, id serial primary key, score numeric(10,2),"
    " active boolean not null default true)",
    "create table book (meta jsonb, id bigint generated always as identity primary key, title varchar(40),"
    " author_id int constraint by_whom references author (id) on delete cascade deferrable initially deferred)",
    "comment on constraint by_whom on book is 'who wrote it'",
    "create index book_author on book (author_id)",
)


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    return make_source(SOURCE, ROWS)


def definitions(dsn: str) -> list[Any]:
    return rows_of(
        dsn,
        "select conname::text, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint') from pg_constraint"
        " where connamespace = 'public'::regnamespace union all"
        " select indexname::text, indexdef, null from pg_indexes where schemaname = 'public' union all"
        " select tgname::text, tgenabled::text, null from pg_trigger where not tgisinternal order by 1",
    )


def test_rows_go_into_the_tables_that_are_there(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """Columns by name, the target's types, its defaults, and every constraint as it was."""
    run_apart(execute(database_dsn, *TARGET))
    before = definitions(database_dsn)
    done = etl("migrate", source, database_dsn)
    assert (done.status, done.errors) == (0, [])
    assert rows_of(database_dsn, "select id, name, score::text, at::text, active from author order by id") == [
        (1, "Ada", "1.50", "2023-11-14 22:13:20+00", True),
        (7, "Grace", "2.00", "2023-11-14 22:13:21+00", True),
    ]
    assert rows_of(database_dsn, "select id, author_id, title, meta::text from book order by id") == [
        (3, 7, "Compilers", '{"pages": 3}'),
        (4, None, "Notes", None),
    ]
    assert definitions(database_dsn) == before


def test_the_next_insert_gets_a_free_number(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """Of a serial column and of an identity ALWAYS; the counter of SQLite's autoincrement counts too."""
    run_apart(execute(database_dsn, *TARGET))
    assert etl("migrate", source, database_dsn).status == 0
    assert rows_of(database_dsn, "insert into author (name) values ('new') returning id") == [(8,)]
    assert rows_of(database_dsn, "insert into book (title) values ('new') returning id") == [(5,)]


def test_tables_that_are_missing_are_created_beside(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """One run, one promise: a created child references the filled parent."""
    run_apart(execute(database_dsn, TARGET[0]))
    done = etl("migrate", source, database_dsn, "--report", "r.json")
    assert (done.status, done.errors) == (0, [])
    tables = json.loads((etl.folder / "r.json").read_text())["tables"]
    assert {table["name"]: table["verdict"] for table in tables} == {"author": "equal", "book": "equal"}
    keys = (
        "select conrelid::regclass::text, confrelid::regclass::text, convalidated from pg_constraint"
        " where contype = 'f'"
    )
    assert rows_of(database_dsn, keys) == [("book", "author", True)]


def test_the_plan_says_what_is_filled_and_why(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """And a dry run issues no DDL."""
    run_apart(execute(database_dsn, TARGET[0], "insert into author (name) values ('old')"))
    done = etl("migrate", source, database_dsn, "--dry-run")
    assert done.status == 0, done.err
    assert "1 table to create and 1 table to fill" in done.out
    assert "fill table author, about 2 rows: it is there with rows: --force takes them away" in done.out
    assert "create table book, about 2 rows: the target has no such table" in done.out
    assert rows_of(database_dsn, "select name from author") == [("old",)]


def test_rows_in_the_way_are_named_kept_or_taken_away(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """What an application fills by itself (alembic_version, settings) needs a word of the user's."""
    run_apart(execute(database_dsn, *TARGET, "insert into author (id, name) values (7, 'old')"))
    refused = etl("migrate", source, database_dsn)
    assert refused.status == 1
    assert "public.author" in refused.errors[0]
    assert "--keep" in refused.hints[0]
    assert "--force" in refused.hints[0]
    assert rows_of(database_dsn, "select name from author") == [("old",)]

    kept = etl("migrate", source, database_dsn, "--keep", "author")
    assert (kept.status, kept.errors) == (0, [])
    assert rows_of(database_dsn, "select name from author") == [("old",)]
    assert rows_of(database_dsn, "select count(*) from book") == [(2,)]

    forced = etl("migrate", source, database_dsn, "--force")
    assert (forced.status, forced.errors) == (0, [])
    assert rows_of(database_dsn, "select name from author order by id") == [("Ada",), ("Grace",)]


def test_the_rows_of_single_tables_may_give_way(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """--empty says of one table what --force says of all; the others still ask."""
    run_apart(execute(database_dsn, *TARGET, "insert into author (id, name) values (77, 'old')"))
    assert etl("migrate", source, database_dsn, "--empty", "book").status == 1
    done = etl("migrate", source, database_dsn, "--empty", "auth*")
    assert done.status == 0, done.err
    assert rows_of(database_dsn, "select id from author order by id") == [(1,), (7,)]
    refused = etl("migrate", source, database_dsn, "--empty", "author")
    assert refused.status == 1
    assert "public.book" in refused.errors[0]
    assert "public.author" not in refused.errors[0]


def test_what_does_not_fit_is_named_before_a_row_moves(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """Both ways, and all of it at once."""
    run_apart(
        execute(
            database_dsn,
            "create table author (id int primary key, name text, owner int not null)",
            "create table book (id int primary key, author_id int, title text, meta point)",
        )
    )
    done = etl("migrate", source, database_dsn)
    assert done.status == 1
    (error,) = done.errors
    assert "author.score: the target's table author has no such column" in error
    assert "author.at" in error
    assert "author.owner: is NOT NULL in the target without a default" in error
    assert "book.meta: nothing is known of the type point" in error
    assert "--ignore-columns 'author.score'" in done.hints[0]


def test_ignored_columns_are_left_behind(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """And a flag that matches nothing is a mistake."""
    run_apart(execute(database_dsn, "create table author (id int primary key, name text)", *TARGET[1:2]))
    done = etl("migrate", source, database_dsn, "--ignore-columns", "author.score", "--ignore-columns", "*.at")
    assert (done.status, done.errors) == (0, [])
    assert rows_of(database_dsn, "select id, name from author order by id") == [(1, "Ada"), (7, "Grace")]
    wrong = etl("migrate", source, database_dsn, "--ignore-columns", "author.scores")
    assert wrong.status == 2
    assert "author.score" in wrong.hints[0]


def test_a_trigger_neither_fires_nor_changes_its_state(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """Each one's own state comes back: what was off stays off."""
    run_apart(
        execute(
            database_dsn,
            *TARGET,
            "create function refuse() returns trigger language plpgsql as 'begin raise exception ''fired''; end'",
            "create trigger usual before insert on book for each row execute function refuse()",
            "create trigger always before insert on book for each row execute function refuse()",
            "create trigger off before insert on book for each row execute function refuse()",
            "alter table book enable always trigger always",
            "alter table book disable trigger off",
        )
    )
    before = definitions(database_dsn)
    done = etl("migrate", source, database_dsn)
    assert (done.status, done.errors) == (0, [])
    assert definitions(database_dsn) == before


def test_a_foreign_key_whose_triggers_are_off_stays_so(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """`disable trigger all`, as for a bulk load, is a state of the application's like any other."""
    run_apart(execute(database_dsn, *TARGET, "alter table book disable trigger all"))
    states = "select tgrelid::regclass::text, tgtype, tgenabled from pg_trigger where tgconstraint <> 0 order by 1, 2"
    before = rows_of(database_dsn, states)
    done = etl("migrate", source, database_dsn)
    assert (done.status, done.errors) == (0, []), done.out
    assert rows_of(database_dsn, states) == before
    assert {state for _, _, state in before} == {b"D", b"O"}


def test_rows_of_a_table_that_inherits_are_told_before_any_is_moved(
    etl: EtlCommand, source: Path, database_dsn: str
) -> None:
    """The table would show them beside its own, and --force does not reach them."""
    heir = ("create table heir () inherits (author)", "insert into heir (id, name) values (99, 'x')")
    run_apart(execute(database_dsn, *TARGET, *heir))
    done = etl("migrate", source, database_dsn, "--force")
    assert done.status == 1
    assert 'error: "public"."heir", which inherits from author, holds rows' in done.errors[0]
    assert rows_of(database_dsn, "select id from author") == [(99,)]


def test_a_value_that_the_target_cannot_hold_leaves_everything_as_it_was(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """The target's type is not widened, as a created one's would be."""
    source = make_source(SOURCE, {**ROWS, "book": [(1, 7, "x" * 41, None)]})
    run_apart(execute(database_dsn, *TARGET, "insert into author (id, name) values (1, 'old')"))
    before = definitions(database_dsn)
    done = etl("migrate", source, database_dsn, "--force")
    assert done.status == 1
    assert "book.title" in done.errors[0]
    assert "--cast" not in done.hints[0]
    assert "alter table book alter title type text" in done.hints[0]
    assert rows_of(database_dsn, "select id, name from author") == [(1, "old")]
    assert definitions(database_dsn) == before


ORPHANS = {**ROWS, "book": [(1, 99, "x", None), (2, 7, "y", None), (3, 98, "z", None)]}


def test_orphans_are_listed_and_leave_everything_as_it_was(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """A foreign key of the target is validated by the server, never taken for valid; the rows are named."""
    source = make_source(SOURCE, ORPHANS)
    run_apart(execute(database_dsn, *TARGET))
    before = definitions(database_dsn)
    done = etl("migrate", source, database_dsn)
    assert done.status == 1
    assert "book.author_id" in done.err
    assert "99" in done.err
    assert "98" in done.err
    assert "--orphans" in done.err
    assert rows_of(database_dsn, "select count(*) from author") == [(0,)]
    assert definitions(database_dsn) == before


def test_a_foreign_key_may_be_left_unvalidated(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """--orphans not-valid: every row is there, the key is kept for new rows, and the report says that it needs you."""
    source = make_source(SOURCE, ORPHANS)
    run_apart(execute(database_dsn, *TARGET))
    done = etl("migrate", source, database_dsn, "--orphans", "not-valid")
    assert done.status == 5, done.out + done.err
    assert "by_whom" in done.out
    state = (
        "select convalidated, condeferred, obj_description(oid, 'pg_constraint') from pg_constraint where contype = 'f'"
    )
    assert rows_of(database_dsn, state) == [(False, True, "who wrote it")]
    assert rows_of(database_dsn, "select count(*) from book") == [(3,)]


def test_orphans_go_to_a_file_and_their_children_follow(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """--orphans reject, to the fixed point; nothing is deleted by cascade."""
    script = SOURCE + "create table note (id integer primary key, book_id integer references book (id));"
    source = make_source(script, {**ORPHANS, "note": [(1, 1), (2, 2)]})
    note = "create table note (id int primary key, book_id bigint references book on delete cascade)"
    run_apart(execute(database_dsn, *TARGET[:1], TARGET[1], note))
    before = definitions(database_dsn)
    done = etl("migrate", source, database_dsn, "--orphans", "reject", "--rejects", "out")
    assert done.status == 3, done.err
    assert rows_of(database_dsn, "select id from book") == [(2,)]
    assert rows_of(database_dsn, "select id from note") == [(2,)]
    assert len((etl.folder / "out" / "book.jsonl").read_text().splitlines()) == 2
    assert len((etl.folder / "out" / "note.jsonl").read_text().splitlines()) == 1
    assert definitions(database_dsn) == before


JOINED = """
create table parent (id integer primary key);
create table child (id integer primary key, parent_id integer references parent (id) on delete cascade);
create table grandchild (id integer primary key, child_id integer references child (id) on delete cascade);
create view "with" as select c.id from child c join parent p on p.id = c.parent_id;
"""
JOINED_ROWS: dict[str, list[Any]] = {
    "parent": [(1,), (2,)],
    "child": [(1, 1), (2, 9), (3, 2)],
    "grandchild": [(1, 1), (2, 2), (3, 3)],
}
KEYS = "select conname::text, convalidated from pg_constraint where contype = 'f' order by 1"


def test_created_tables_may_lead_to_rows_that_a_filled_table_has_not(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """--orphans decides as everywhere; what is rejected takes its children along, and the rest is compared again."""
    source = make_source(JOINED, JOINED_ROWS)
    run_apart(execute(database_dsn, "create table parent (id int primary key)"))
    assert etl("migrate", source, database_dsn).status == 1
    done = etl("migrate", source, database_dsn, "--orphans", "not-valid")
    assert done.status == 5, done.err
    assert "child_parent_id_fkey: 1 row of child without a parent in parent, first (id=2)" in done.out
    assert rows_of(database_dsn, KEYS) == [("child_parent_id_fkey", False), ("grandchild_child_id_fkey", True)]
    assert rows_of(database_dsn, "select count(*) from child") == [(3,)]

    run_apart(execute(database_dsn, 'drop view "with"', "drop table grandchild, child", "delete from parent"))
    done = etl("migrate", source, database_dsn, "--orphans", "reject", "--rejects", "out", "--report", "r.json")
    assert done.status == 3, done.err
    assert rows_of(database_dsn, KEYS) == [("child_parent_id_fkey", True), ("grandchild_child_id_fkey", True)]
    assert rows_of(database_dsn, "select id from grandchild order by id") == [(1,), (3,)]
    assert rows_of(database_dsn, 'select id from "with" order by id') == [(1,), (3,)]
    tables = {table["name"]: table for table in json.loads((etl.folder / "r.json").read_text())["tables"]}
    assert {name: (table["loaded_rows"], table["rejected_rows"]) for name, table in tables.items()} == {
        "parent": (2, 0), "child": (2, 1), "grandchild": (2, 1)
    }  # fmt: skip


def test_created_tables_lead_to_the_rows_of_a_kept_one(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """The foreign key is there also where nothing is filled, and its rows are judged by those that the target has."""
    source = make_source(JOINED, {**JOINED_ROWS, "child": [(1, 1), (2, 2)], "grandchild": []})
    run_apart(execute(database_dsn, "create table parent (id int primary key)", "insert into parent values (1)"))
    done = etl("migrate", source, database_dsn, "--keep", "parent")
    assert done.status == 1
    assert "child.parent_id (id=2): 2 has no parent in parent" in done.errors[0]
    run_apart(execute(database_dsn, "insert into parent values (2)"))
    flags = ("--keep", "parent", "--accept-untranslated")  # a view that reads a kept table is listed
    assert etl("migrate", source, database_dsn, *flags).status == 0
    keys = [("child_parent_id_fkey", True), ("grandchild_child_id_fkey", True)]
    assert rows_of(database_dsn, KEYS) == keys
    assert etl("migrate", source, database_dsn, *flags, "--mode", "replace").status == 0
    assert rows_of(database_dsn, KEYS) == keys


def test_orphans_that_no_rule_can_settle_are_told_before_anything_is_loaded(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """Table by table the foreign keys stay where they are: nobody could reject a row or leave a key unvalidated."""
    run_apart(execute(database_dsn, "create table parent (id int primary key)",
                      "create table child (id int primary key, parent_id int references parent)"))  # fmt: skip
    done = etl("migrate", make_source(JOINED, JOINED_ROWS), database_dsn, "--per-table", "--orphans", "not-valid")
    assert done.status == 1
    assert "child.parent_id (id=2): 9 has no parent in parent" in done.errors[0]
    assert "without --per-table" in done.hints[0]
    assert rows_of(database_dsn, "select count(*) from parent") == [(0,)]
    assert "load:" not in done.err


def test_rows_that_the_target_forbids_go_to_a_file(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """Its unique constraints and checks, which SQLite does not have."""
    source = make_source("create table t (id integer primary key, a text, n integer);",
                         {"t": [(1, "x", 1), (2, "x", 2), (3, "y", -1), (4, "z", None)]})  # fmt: skip
    run_apart(execute(database_dsn, "create table t (id int primary key, a text unique, n int check (n > 0))"))
    refused = etl("migrate", source, database_dsn)
    assert refused.status == 1
    assert "error: t (id=" in refused.errors[0] or "error: t.a (id=" in refused.errors[0]
    done = etl("migrate", source, database_dsn, "--on-error", "reject")
    assert done.status == 3, done.err
    assert rows_of(database_dsn, "select id from t order by id") == [(1,), (4,)]


def test_fill_alone_names_the_tables_that_are_missing(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """--mode fill creates nothing, --mode create fills nothing."""
    run_apart(execute(database_dsn, TARGET[0]))
    done = etl("migrate", source, database_dsn, "--mode", "fill")
    assert done.status == 1
    assert "book: the target has no such table" in done.errors[0]
    created = etl("migrate", source, database_dsn, "--mode", "create")
    assert created.status == 1
    assert "table public.author" in created.errors[0]


def test_the_rows_can_be_verified_at_any_later_time(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """By the report of the run, or by saying whose the tables are; and it objects to what was changed since."""
    run_apart(
        execute(database_dsn, "create table book (meta jsonb, id int primary key, title varchar(40), author_id int)")
    )
    done = etl("migrate", source, database_dsn, "--report", "r.json")  # one filled, one created
    assert done.status == 0, done.err
    by_report = etl("verify", source, database_dsn, "--plan", "r.json")
    assert by_report.status == 0, by_report.out + by_report.err
    by_mode = etl("verify", source, database_dsn, "--mode", "fill", "--cast", "author.at=timestamp:epoch-ms")
    assert by_mode.status == 0, by_mode.out + by_mode.err
    run_apart(execute(database_dsn, "update book set title = 'compilers' where id = 3"))
    for flags in (("--plan", "r.json"), ("--mode", "fill", "--cast", "author.at=timestamp:epoch-ms")):
        changed = etl("verify", source, database_dsn, *flags)
        assert changed.status == 4
        assert "Compilers" in changed.out


def test_a_verification_that_takes_filled_tables_for_created_ones_says_how_to_tell(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """Its keys and defaults are the application's own matter: the hint names the flag."""
    source = make_source("create table t (id integer primary key, a text not null);", {"t": [(1, "x")]})
    run_apart(execute(database_dsn, "create table t (id bigint primary key, a text)"))
    assert etl("migrate", source, database_dsn).status == 0
    plain = etl("verify", source, database_dsn)
    assert plain.status == 4
    assert "--mode fill" in plain.hints[0]
    assert etl("verify", source, database_dsn, "--mode", "fill").status == 0


def test_rejected_rows_are_amended_under_the_names_of_the_target(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """--from-rejects matches tables and columns as the fill did that has rejected them; --ignore-columns too."""
    script = 'create table "Thing" ("Id" integer primary key, "Price" text, old text);'
    source = make_source(script, {"Thing": [(1, "1.50", "a"), (2, "1,75", "b")]})
    run_apart(execute(database_dsn, "create table thing (id int primary key, price numeric(10,2) not null)"))
    flags = ("--ignore-columns", "Thing.old")
    done = etl("migrate", source, database_dsn, *flags, "--on-error", "reject", "--rejects", "out")
    assert done.status == 3, done.err
    (file,) = (etl.folder / "out").glob("*.jsonl")
    file.write_text(file.read_text().replace('"1,75"', '"1.75"'))
    amended = etl("migrate", source, database_dsn, *flags, "--from-rejects", "out")
    assert amended.status == 0, amended.err
    assert rows_of(database_dsn, "select id, price::text from thing order by id") == [(1, "1.50"), (2, "1.75")]


def test_tables_may_be_committed_one_by_one(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """--per-table: parents before children, each verified; and the weaker promise is told."""
    others = [f"create table other{number} (id integer primary key, author_id integer references author (id));"
              for number in range(6)]  # fmt: skip
    with sqlite3.connect(source) as connection:
        connection.executescript("".join(others))
        for number in range(6):
            connection.executemany(f"insert into other{number} values (?, ?)", [(i, 7) for i in range(2000)])
    run_apart(execute(database_dsn, *TARGET, *others))
    before = definitions(database_dsn)
    done = etl("migrate", source, database_dsn, "--per-table", "--jobs", "3")
    assert done.status == 0, done.out + done.err
    assert "stay filled" in done.err
    assert "8 tables" in done.out
    assert rows_of(database_dsn, "select count(*) from other5") == [(2000,)]
    assert rows_of(database_dsn, "select id, author_id from book order by id") == [(3, 7), (4, None)]
    assert rows_of(database_dsn, "insert into author (name) values ('new') returning id") == [(8,)]
    assert definitions(database_dsn) == before


def test_what_was_committed_by_itself_stays(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """The parent is filled, the child is not; the next run keeps the one and fills the other."""
    run_apart(execute(database_dsn, *TARGET))
    broken = make_source(SOURCE, {**ROWS, "book": [(1, 7, "x" * 41, None)]}, name="broken.db")
    done = etl("migrate", broken, database_dsn, "--per-table")
    assert done.status == 1
    assert rows_of(database_dsn, "select count(*) from author") == [(2,)]
    again = etl("migrate", make_source(SOURCE, ROWS), database_dsn, "--per-table", "--keep", "author")
    assert again.status == 0, again.err
    assert rows_of(database_dsn, "select count(*) from book") == [(2,)]


def test_one_by_one_creates_what_the_target_has_not(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """What is created is published at last, with its foreign keys onto what was filled before."""
    with sqlite3.connect(source) as connection:
        connection.executescript("create view titles as select title from book order by id;")
    run_apart(execute(database_dsn, TARGET[0]))
    done = etl("migrate", source, database_dsn, "--per-table", "--report", "r.json")
    assert done.status == 0, done.out + done.err
    assert rows_of(database_dsn, "select title from book join author on author.id = author_id") == [("Compilers",)]
    assert rows_of(database_dsn, "select conname, convalidated from pg_constraint where contype = 'f'") != []
    assert rows_of(database_dsn, "select count(*) from titles") == [(2,)]
    report = json.loads((etl.folder / "r.json").read_text())
    assert [table["verdict"] for table in report["tables"]] == ["equal", "equal"]
    assert report["schema"]["foreign_keys"] == 1
    assert len({sequence["table"] for sequence in report["sequences"]}) == len(report["sequences"])


@pytest.mark.parametrize("late", ["", " deferrable initially deferred"])
def test_tables_that_refer_to_each_other_share_one_transaction(
    late: str, etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """--per-table: there is no order among them; their keys are taken away and put back as in a whole fill."""
    tables = (
        "create table team (id integer primary key, captain_id integer{})",
        "create table player (id integer primary key, team_id integer references team (id){})",
        "create table goal (id integer primary key, player_id integer references player (id), other_id integer)",
    )
    script = ";".join(tables).format(" references player (id)", "")
    source = make_source(script, {"team": [(1, 2), (2, 1)], "player": [(1, 2), (2, 1)], "goal": [(1, 2, 1)]})
    captain = f"alter table team add constraint of_captain foreign key (captain_id) references player{late}"
    run_apart(execute(database_dsn, *(sql.format("", late) for sql in tables), captain))
    before = sorted(map(str, definitions(database_dsn)))
    done = etl("migrate", source, database_dsn, "--per-table", "--jobs", "2")
    assert done.status == 0, done.out + done.err
    assert sorted(map(str, definitions(database_dsn))) == before
    assert rows_of(database_dsn, "select team.id, player.id from team join player on captain_id = player.id"
                   " order by 1") == [(1, 2), (2, 1)]  # fmt: skip


def test_one_by_one_is_refused_where_it_would_lose_rows(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """With --force, old rows would be gone before all new ones are there."""
    run_apart(execute(database_dsn, *TARGET))
    refused = etl("migrate", source, database_dsn, "--per-table", "--force")
    assert refused.status == 2
    assert "leave one of the two out" in refused.hints[0]
