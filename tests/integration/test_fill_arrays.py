"""Fill mode: arrays of the application's own types, which SQLite holds as JSON arrays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from etl.errors import ExitStatus
from etl.model import SourcePage, TablePlan, TargetPage
from etl.options import Options
from etl.phases import loading
from etl.pipeline import migrate
from etl.progress import SilentProgress
from tests.fix_command import EtlCommand
from tests.fix_server import execute, rows_of, run_apart
from tests.fix_source import MakeSource
from tests.integration.test_verify_sabotaged_load import KEY, with_cell

MOOD = "create type mood as enum ('sad', 'very ok', 'quo\"te', 'NULL', 'co,mma', 'back\\slash')"
TYPES = (
    "create schema app",
    MOOD,
    "create type app._odd as enum ('a', 'b')",
    "create domain humour as mood",
    "create domain price as numeric(10,2) check (value >= 0)",
    "create domain cost as price",
    "create domain word as text not null check (value ~ '^[A-Z]')",
    "create domain initials as char(3)",
    "create domain doc as jsonb",
    "create domain tags as text[] check (cardinality(value) < 9)",
    "create domain moods as mood[]",
    "create domain prices as price[]",
)


class Column(NamedTuple):
    """A column of the target, what SQLite holds for it in rows, and what ``::text`` shows there."""

    type: str
    stored: tuple[str | None, ...]
    held: tuple[str | None, ...]
    change: Callable[[str], str]  # of the last value, as an array literal: what a broken load would write


COLUMNS = {
    "enum": Column(
        "mood[]",
        ('["sad", "very ok", "quo\\"te", null, "NULL", "co,mma", "back\\\\slash"]', "[]", None, '["sad"]'),
        ('{sad,"very ok","quo\\"te",NULL,"NULL","co,mma","back\\\\slash"}', "{}", None, "{sad}"),
        lambda v: v.replace("sad", "very ok"),
    ),
    "odd_name": Column("app._odd[]", ('["a","b"]', "[]", None, '["a"]'), ("{a,b}", "{}", None, "{a}"),
                       lambda v: v.replace("a", "b")),
    "domain_over_enum": Column("humour[]", ('["sad",null]', "[]", None, '["sad"]'), ("{sad,NULL}", "{}", None, "{sad}"),
                               lambda v: "{}"),
    "domain": Column("price[]", ("[1.005, 2, \"3.5\", null]", "[]", None, "[4]"),
                     ("{1.01,2.00,3.50,NULL}", "{}", None, "{4.00}"), lambda v: v.replace("4", "5")),
    "domain_over_domain": Column("cost[]", ("[0]", "[]", None, "[7]"), ("{0.00}", "{}", None, "{7.00}"),
                                 lambda v: v.replace("7", "8")),
    "checked": Column("word[]", ('["A b", "Ç"]'.replace("Ç", "Z\\u00e9"), "[]", None, '["A"]'),
                      ('{"A b",Zé}', "{}", None, "{A}"), lambda v: v.replace("A", "A ")),
    "padded": Column("initials[]", ('["ab", "abc"]', "[]", None, '["a"]'), ('{"ab ",abc}', "{}", None, '{"a  "}'),
                     lambda v: v.replace("a", "b")),
    "of_json": Column(
        "json[]",
        ('[{"b" : 1.0, "a": ["}", 1e2]}, null, "x,\\"y", true, [ ], "\\ud800"]', " [ ] ", None, '[{"a": 1}]'),
        ('{"{\\"b\\" : 1.0, \\"a\\": [\\"}\\", 1e2]}",NULL,"\\"x,\\\\\\"y\\"",true,"[ ]","\\"\\\\ud800\\""}', "{}",
         None, '{"{\\"a\\": 1}"}'),
        lambda v: v.replace(": 1", ":  1"),
    ),
    "of_jsonb": Column(
        "jsonb[]",
        ('[{"bb" : 1.50,"a":12345678901234567890.5}, null, "\\u00e9", -0, 1e2]', "[]", None, '[{"a": 1}, "b"]'),
        ('{"{\\"a\\": 12345678901234567890.5, \\"bb\\": 1.50}",NULL,"\\"é\\"",0,100}', "{}", None,
         '{"{\\"a\\": 1}","\\"b\\""}'),
        lambda v: v.replace("1", "2"),
    ),
    "domain_over_jsonb": Column("doc[]", ('[{"a":[]}]', "[]", None, "[1]"), ('{"{\\"a\\": []}"}', "{}", None, "{1}"),
                                lambda v: v.replace("1", "2")),
    "domain_over_array": Column("tags", ('["a b", "c"]', "[]", None, '["d"]'), ('{"a b",c}', "{}", None, "{d}"),
                                lambda v: v.replace("d", "")),
    "domain_over_array_of_enum": Column("moods", ('["very ok"]', "[]", None, '["sad"]'),
                                        ('{"very ok"}', "{}", None, "{sad}"), lambda v: "{NULL}"),
    "domain_over_array_of_domain": Column("prices", ("[1]", "[]", None, "[2]"), ("{1.00}", "{}", None, "{2.00}"),
                                          lambda v: v.replace("2", "3")),
}  # fmt: skip
ROWS = 12


def build(make_source: MakeSource, dsn: str, columns: dict[str, Column] = COLUMNS) -> Path:
    """Twelve rows in the source, of which the last four values of a column take turns; the target's table, empty."""
    listed = ", ".join(f"{name} text" for name in columns)
    rows = [(n, *(column.stored[(n + 1) % 4 - 1] for column in columns.values())) for n in range(1, ROWS + 1)]
    kinds = ", ".join(f"{name} {column.type}" for name, column in columns.items())
    run_apart(execute(dsn, *TYPES, f"create table t (id integer primary key, {kinds})"))
    return make_source(f"create table t (id integer primary key, {listed});", {"t": rows})


def held(dsn: str, columns: dict[str, Column] = COLUMNS) -> dict[str, list[str | None]]:
    shown = ", ".join(f"{name}::text" for name in columns)
    found = rows_of(dsn, f"select {shown} from t order by id")
    return {name: [row[place] for row in found] for place, name in enumerate(columns)}


def wanted(columns: dict[str, Column] = COLUMNS) -> dict[str, list[str | None]]:
    return {name: [column.held[(n + 1) % 4 - 1] for n in range(1, ROWS + 1)] for name, column in columns.items()}


@pytest.mark.parametrize("way", ["full", "digest"])
def test_arrays_of_the_applications_types_arrive_and_are_verified(
    way: str, etl: EtlCommand, make_source: MakeSource, database_dsn: str, tmp_path: Path
) -> None:
    """Each element under its own type, quoted so that the server reads it as it was; and again from the report."""
    source, report = build(make_source, database_dsn), tmp_path / "report.json"
    done = etl("migrate", source, database_dsn, "--verify", way, "--report", report)
    assert (done.status, done.errors) == (0, []), done.err
    assert held(database_dsn) == wanted()
    again = etl("verify", source, database_dsn, "--plan", report)
    assert (again.status, again.errors) == (0, []), again.out
    run_apart(execute(database_dsn, "update t set checked = '{B}' where id = 7"))
    assert etl("verify", source, database_dsn, "--plan", report, "--verify", way).status == 4


def test_citext_and_its_array_keep_the_case(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """The extension's equality forgives it; verification does not."""
    if not rows_of(database_dsn, "select 1 from pg_available_extensions where name = 'citext'"):
        pytest.skip("this server has no citext")
    run_apart(execute(database_dsn, "create extension citext"))
    columns = {
        "c": Column("citext[]", ('["Ada", "ada b", null]', "[]", None, '["A"]'),
                    ('{Ada,"ada b",NULL}', "{}", None, "{A}"), str)
    }  # fmt: skip
    source = build(make_source, database_dsn, columns)
    done = etl("migrate", source, database_dsn)
    assert (done.status, done.errors) == (0, []), done.err
    assert held(database_dsn, columns) == wanted(columns)
    run_apart(execute(database_dsn, "update t set c = '{a}' where id = 6"))
    assert etl("verify", source, database_dsn, "--mode", "fill").status == 4


@pytest.mark.parametrize("column", COLUMNS)
def test_a_broken_array_is_found_in_its_row_and_column(
    column: str, make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wrong element in row 7: named, nothing else is, and the table stays as it was."""
    coerce = loading.coerce_page

    def sabotage(page: SourcePage, table: TablePlan, *rest: Any) -> TargetPage:
        return with_cell(coerce(page, table, *rest), column, change)

    change = COLUMNS[column].change
    monkeypatch.setattr(loading, "coerce_page", sabotage)
    source = build(make_source, database_dsn, {column: COLUMNS[column]})
    report = asyncio.run(migrate(Options(source, database_dsn), SilentProgress()))
    assert report.status is ExitStatus.DIFFERENT
    found = [(one.kind, one.key, one.column) for table in report.verified for one in table.differences]
    assert found == [("different", f"id={KEY}", column)]
    assert rows_of(database_dsn, "select count(*) from t") == [(0,)]


REFUSED = {
    "a label that the enum has not": ("mood[]", '["sad", "glad"]', 'holds "glad", which is no label of mood (sad, '),
    "a number for a label": ("mood[]", "[1]", "holds 1, which is no label of mood"),
    "a label in a domain over the array": ("moods", '["glad"]', 'holds "glad", which is no label of mood'),
    "digits over the domain's type": ("price[]", "[123456789.5]", "holds 123456789.5, which is not price"),
    "a value that the domain forbids": ("price[]", "[1, -1]", "price_check"),
    "a text that the domain forbids": ("word[]", '["A", "b"]', "word_check"),
    "NULL in a domain that is NOT NULL": ("word[]", '["A", null]', "word does not allow null values"),
    "an array that its domain forbids": ("tags", "[1,2,3,4,5,6,7,8,9]", "tags_check"),
    "an array in an array": ("mood[]", '[["sad"]]', 'holds ["sad"], which is no label of mood'),
    "a document that jsonb cannot hold": ("jsonb[]", '["a\\u0000"]', "which is not jsonb"),
    "no array": ("json[]", '{"a": 1}', "is not a JSON array, which json[] is read from"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_element_that_its_type_refuses_is_refused_by_name(
    kind: str, etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """With table, column, row, element and hint; no row is kept."""
    wanted_type, value, told = REFUSED[kind]
    source = make_source("create table t (id integer primary key, v text);", {"t": [(1, "[]"), (2, value)]})
    run_apart(execute(database_dsn, *TYPES, f"create table t (id integer primary key, v {wanted_type})"))
    done = etl("migrate", source, database_dsn)
    assert (done.status, len(done.errors), len(done.hints)) == (1, 1, 1), done.err
    assert done.errors[0].startswith("error: t.v (id=2): "), done.errors
    assert told in done.errors[0]
    assert "internal" not in done.err
    assert rows_of(database_dsn, "select count(*) from t") == [(0,)]


def test_a_line_of_csv_is_no_row_where_a_value_has_two(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """The server counts lines: the rows around the refusal are named, and never a wrong one."""
    rows = [(1, '["A\\nB\\nC"]'), (2, '["b"]'), (3, "[]"), (4, "[]")]
    source = make_source("create table t (id integer primary key, v text);", {"t": rows})
    run_apart(execute(database_dsn, *TYPES, "create table t (id integer primary key, v word[])"))
    done = etl("migrate", source, database_dsn)
    assert (done.status, len(done.errors)) == (1, 1)
    assert done.errors[0].startswith("error: t (rows id=1 to id=4): ")


def test_arrays_of_what_nobody_knows_are_refused_by_name_before_a_row_moves(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """Geometric types, and arrays of arrays, which a domain makes possible."""
    source = make_source("create table t (id integer primary key, p text, n text);", {"t": [(1, "[]", "[]")]})
    run_apart(execute(database_dsn, *TYPES, "create table t (id integer primary key, p point[], n tags[])"))
    done = etl("migrate", source, database_dsn)
    assert (done.status, len(done.errors)) == (1, 1)
    assert "t.p: nothing is known of the type point[], which the target's column p has" in done.errors[0]
    assert "t.n: nothing is known of the type tags[], which the target's column n has" in done.errors[0]
    assert "--ignore-columns 't.p'" in done.err


def test_repeated_keys_inside_an_array_are_counted(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """The last one wins, as everywhere in jsonb, and it is said."""
    source = make_source(
        "create table t (id integer primary key, v text);", {"t": [(1, '[{"a": 1, "a": 2}]'), (2, '[{"a": 1}]')]}
    )
    run_apart(execute(database_dsn, "create table t (id integer primary key, v jsonb[])"))
    done = etl("migrate", source, database_dsn)
    assert (done.status, done.errors) == (0, [])
    assert "json-duplicate-keys" in done.out
    assert rows_of(database_dsn, "select v::text from t order by id") == [('{"{\\"a\\": 2}"}',), ('{"{\\"a\\": 1}"}',)]


def test_the_empty_text_is_null_inside_an_array_when_the_user_says_so(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """Of an enum too, whose labels are texts only on the wire."""
    source = make_source(
        "create table t (id integer primary key, v text, w text);", {"t": [(1, '["", "sad"]', ""), (2, "", "sad")]}
    )
    run_apart(execute(database_dsn, MOOD, "create table t (id integer primary key, v mood[], w mood)"))
    done = etl("migrate", source, database_dsn, "--empty-as-null")
    assert (done.status, done.errors) == (0, []), done.err
    assert rows_of(database_dsn, "select v::text, w::text from t order by id") == [("{NULL,sad}", None), (None, "sad")]
