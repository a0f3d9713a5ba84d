"""The census of a column, what is decided from it, and what is said about it."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from etl.errors import ExitStatus
from etl.model import ColumnPlan, ColumnSurvey, StorageClass
from etl.options import Options
from etl.phases.inspection import inspect
from etl.progress import SilentProgress
from etl.shell.survey_page import render_page
from etl.shell.survey_text import render_survey
from etl.survey_report import Inspection, document
from tests.fix_source import MakeSource


def survey(path: Path, **options: Any) -> Inspection:
    return asyncio.run(inspect(Options(path, "", **options), SilentProgress()))


def column(inspection: Inspection, name: str, table: str = "t") -> tuple[ColumnPlan, ColumnSurvey]:
    place = [plan.source.name for plan in inspection.plan.tables].index(table)
    plan = next(plan for plan in inspection.plan.tables[place].columns if plan.source.name == name)
    return plan, inspection.surveys[place].column(name)


def of_values(make_source: MakeSource, declared: str, *values: Any, **options: Any) -> tuple[ColumnPlan, ColumnSurvey]:
    """The plan and the survey of one column with these values."""
    path = make_source(f"drop table if exists t; create table t (c {declared});", {"t": [(value,) for value in values]})
    return column(survey(path, **options), "c")


# --- the census ----------------------------------------------------------------------------------------------------


def test_every_storage_class_is_counted(make_source: MakeSource) -> None:
    """NULL, integer, real, text and blob of one column, and the extremes of its numbers and texts."""
    _, found = of_values(make_source, "blob", None, None, 7, -1, 2.5, "b", "aé", b"\0\1\2")
    assert dict(found.census.classes) == {
        StorageClass.NULL: 2,
        StorageClass.INTEGER: 2,
        StorageClass.REAL: 1,
        StorageClass.TEXT: 2,
        StorageClass.BLOB: 1,
    }
    assert (found.census.numbers, found.census.texts) is not None
    assert found.census.numbers is not None
    assert (found.census.numbers.low, found.census.numbers.high) == ("-1", "7")
    assert found.census.texts is not None
    assert (found.census.texts.low, found.census.texts.high) == ("'aé'", "'b'")
    assert (found.census.longest_characters, found.census.longest_bytes) == (2, 3)


def test_large_texts_are_counted_and_none_of_them_is_kept(make_source: MakeSource) -> None:
    """A column may hold thousands of them: of the extremes what is shown stays, and samples are of short texts."""
    long = [f"{letter}é" + letter * 1_000_000 for letter in "bcdefghijklmnopqr" * 2]
    path = make_source("create table t (c text)", {"t": [(value,) for value in [*long, "short"]]})
    tracemalloc.start()
    try:
        _, found = column(survey(path), "c")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert found.census.texts is not None
    assert (found.census.texts.low, found.census.texts.high) == (f"'bé{'b' * 58}…'", "'short'")
    assert (found.census.longest_characters, found.census.longest_bytes) == (1_000_002, 1_000_003)


def test_forms_of_dates_are_counted_with_a_sample(make_source: MakeSource) -> None:
    """Digits are 0, everything else is itself; what has no digits is a form too."""
    values = ["2024-01-01", "2024-01-02", "2024-01-01T10:00:00Z", "1.2.24", "soon", ""]
    _, found = of_values(make_source, "text", *values)
    assert found.census.dates == ()  # a text column whose texts are not all dates is not asked
    _, found = of_values(make_source, "datetime", *values)
    assert {(form.form, form.count, form.sample) for form in found.census.dates} == {
        ("0000-00-00", 2, "2024-01-01"),
        ("0000-00-00T00:00:00Z", 1, "2024-01-01T10:00:00Z"),
        ("0.0.00", 1, "1.2.24"),
        ("soon", 1, "soon"),
        ("(empty)", 1, ""),
    }
    assert found.census.with_offset == 1


def test_prose_in_a_date_column_is_one_form(make_source: MakeSource) -> None:
    """However many spellings there are, the list stays short and every text is counted."""
    _, found = of_values(make_source, "date", *("".join(chr(97 + n % 26) for n in range(k)) for k in range(1, 500)))
    assert len(found.census.dates) <= 41
    assert sum(form.count for form in found.census.dates) == 499


def test_spellings_of_uuids_are_counted(make_source: MakeSource) -> None:
    """Dashes, case, braces, urn, bare digits, bytes, and what is no UUID."""
    digits = "a0eebc999c0b4ef8bb6d6bb9bd380a11"
    dashed = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    values = [dashed, dashed, dashed.upper(), "A" + dashed[1:], digits, f"{{{dashed}}}", f"urn:uuid:{dashed}", "x"]
    _, found = of_values(make_source, "uuid", *values, bytes.fromhex(digits))
    assert {form.form: form.count for form in found.census.uuids} == {
        "lower case with dashes": 2,
        "upper case with dashes": 1,
        "mixed case with dashes": 1,
        "32 digits": 1,
        "in braces": 1,
        "urn:uuid:": 1,
        "16 bytes": 1,
        "other": 1,
    }


def test_nul_and_bad_utf8_are_counted_apart(make_source: MakeSource) -> None:
    """A text with both counts in both."""
    path = make_source(
        "create table t (c text); insert into t values ('ok'), (cast(x'6100' as text)), (cast(x'ff' as text)),"
        " (cast(x'00ff' as text));"
    )
    _, found = column(survey(path), "c")
    assert (found.census.with_nul, found.census.not_utf8, found.refused_count) == (2, 2, 3)


@pytest.mark.parametrize(
    ("values", "before", "after"),
    [
        ([1.5, 12.25, None], 2, 2),
        ([0.001], 0, 3),
        ([0.1 + 0.2], 0, 9),
        ([10**15, -1], 16, 0),
        ([1e300], 301, 0),
        ([0], 0, 0),
    ],
)
def test_digits_before_and_after_the_point(make_source: MakeSource, values: list[Any], before: int, after: int) -> None:
    """Of the shortest decimal of each number; 9 stands for nine or more."""
    _, found = of_values(make_source, "numeric", *values)
    assert (found.census.digits_before, found.census.digits_after) == (before, after)


def test_what_stands_behind_a_null_is_never_measured(make_source: MakeSource) -> None:
    """NULL among empty texts has no length, whatever the driver leaves behind it."""
    path = make_source("create table t (a text, b blob);", {"t": [("", None), (None, b""), ("", None), (None, b"")]})
    found = survey(path)
    assert [column(found, name)[1].census.longest_bytes for name in "ab"] == [0, 0]


# --- decisions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "values", "type_", "how"),
    [
        ("varchar(3)", ["abc", "é😀x"], "varchar(3)", None),
        ("varchar(3)", ["abcd"], "text", None),
        ("decimal(5,2)", [1.25, 999.99, 0.1 + 0.2, 1.1 * 3], "numeric(5,2)", None),
        ("decimal(5,2)", [1.005], "numeric", None),
        ("decimal(5,2)", [1000], "numeric", None),
        ("decimal(4,2)", [99.99999999999999], "numeric", None),
        ("decimal(2,2)", [0.25], "numeric(2,2)", None),
        ("tinyint", [0, -32_768, 32_767], "smallint", None),
        ("smallint", [32_768], "bigint", None),
        ("datetime", ["2024-01-01 10:00", "2024-01-01"], "timestamp", None),
        ("datetime", ["2024-01-01 10:00Z"], "timestamptz", None),
        ("timestamp", ["2024-01-01 10:00", "2024-01-01 10:00+02"], "timestamptz", None),
        ("datetime", [1_700_000_000, 0], "timestamp", "epoch-s"),
        ("datetime", [1_700_000_000.25, "2024-01-01"], "timestamp", "epoch-s"),
        ("date", [1_700_006_400_000], "date", "epoch-ms"),
        ("timestamptz", [1_700_000_000_000_000], "timestamptz", "epoch-us"),
        ("datetime", [1_700_000_000_000_000_000], "timestamp", "epoch-ns"),
        ("datetime", [2_460_000.5], "timestamp", "julian"),
        ("datetime", [2_460_000.5, 0], "timestamp", "julian"),
        ("datetime", [1_700_000_000, 1_700_000_000_000], "timestamp", None),
        ("datetime", [638_000_000_000_000_000], "timestamp", None),
        ("datetime", [13_300_000_000_000_000], "timestamp", None),
        ("datetime", [20_240_229], "timestamp", None),
        ("datetime", [-1], "timestamp", None),
        ("int", [1, 2], "bigint", None),
    ],
)
def test_types_and_units_follow_the_values(
    make_source: MakeSource, declared: str, values: list[Any], type_: str, how: str | None
) -> None:
    """Only what the declared type cannot hold is decided otherwise, and then with a note that says why."""
    plan, _ = of_values(make_source, declared, *values)
    assert (str(plan.type), plan.reading.how) == (type_, how)
    assert plan.decided
    assert (plan.note is None) == (str(plan.type) in {declared, "bigint", "smallint", "timestamp"} and how is None) or (
        declared != str(plan.type)
    )


def test_a_cast_is_never_decided_again(make_source: MakeSource) -> None:
    """The user's word stands; what contradicts it is refused."""
    plan, found = of_values(make_source, "varchar(3)", "abcd", casts=("t.c=varchar(2)",))
    assert str(plan.type) == "varchar(2)"
    assert found.refused_count == 1


def test_integers_fit_their_values_where_asked(make_source: MakeSource) -> None:
    """Not keys, which grow, and not what a foreign key compares."""
    path = make_source(
        "create table p (id integer primary key, small int, middle int, large int, empty int);"
        "create table c (p int references p (id));"
        "insert into p values (1, -32768, 32768, 2147483648, null); insert into c values (1);"
    )
    found = survey(path, integers="fit")
    types = {f"{table.name}.{column.name}": str(column.type) for table in found.plan.tables for column in table.columns}
    assert types == {
        "p.id": "bigint",
        "p.small": "smallint",
        "p.middle": "integer",
        "p.large": "bigint",
        "p.empty": "bigint",
        "c.p": "bigint",
    }


def test_the_default_follows_the_decided_type(make_source: MakeSource) -> None:
    """CURRENT_TIMESTAMP means another expression in a column with a zone."""
    path = make_source(
        "create table t (c datetime default current_timestamp); insert into t values ('2024-01-01 10:00Z');"
    )
    plan, _ = column(survey(path), "c")
    assert plan.type.name == "timestamptz"
    assert plan.default is not None
    assert "utc" not in plan.default


# --- what is said --------------------------------------------------------------------------------------------------

MESS = """
create table parent (id integer primary key, code string, doc text, seen_at int, flag tinyint(1));
create table child (id integer primary key, parent int not null references parent (id), d date);
insert into parent values (1, '007', '{"a": 1}', 1700000000, 0), (2, 'x', '[1]', 1700000001, 1),
  (3, 'y', '{}', 1700000002, 1);
insert into child values (1, 1, '2024-01-01'), (2, 9, '<b>'), (3, 8, 'x');
create view v as select random();
"""


def test_everything_that_stops_the_run_is_listed(make_source: MakeSource) -> None:
    """Refused values and orphans, with their number, the first and what solves it; and the status of the migration."""
    found = survey(make_source(MESS))
    assert [(problem.column, problem.count, problem.key) for problem in found.problems] == [
        ("d", 2, "id=2"),
        ("parent", 2, "id=2"),
    ]
    assert "--cast child.d=text" in found.problems[0].hint
    assert found.status is ExitStatus.FAILED
    assert "4 values or rows in 2 columns" in found.verdict


def test_what_is_lost_and_what_could_be_better_is_said(make_source: MakeSource) -> None:
    """NUMERIC affinity has made 7 of '007'; JSON in text, times in integers and flags are pointed out."""
    remarks = {(remark.kind, remark.column): remark for remark in survey(make_source(MESS)).remarks}
    assert set(remarks) == {("lost", "code"), ("advice", "doc"), ("advice", "seen_at"), ("advice", "flag")}
    assert remarks["advice", "doc"].hint == "--cast parent.doc=jsonb"
    assert remarks["advice", "seen_at"].hint == "--cast parent.seen_at=timestamptz:epoch-s"
    assert remarks["advice", "flag"].hint == "--cast parent.flag=boolean"


def test_text_page_and_json_say_the_same(make_source: MakeSource) -> None:
    """Every problem, every remark and every column is in all three; the page escapes what the source holds."""
    found = survey(make_source(MESS))
    text, page, data = render_survey(found), render_page(found), document(found)
    assert "<b>" not in page.replace("<body>", "")
    assert "&lt;b&gt;" in page
    assert "://" not in page  # nothing is loaded from anywhere
    for shown in (text, page):
        for problem in found.problems:
            assert problem.key in shown
        assert "view v" in shown
        assert "SQLite itself" in shown
    assert [table["name"] for table in data["tables"]] == ["parent", "child"]
    assert data["tables"][1]["columns"][2]["refused"][0]["count"] == 2
    assert data["status"] == 1


def test_a_clean_source_is_called_clean(make_source: MakeSource) -> None:
    """Status 0 and no problem; with a view, 5, as the migration ends."""
    script = "create table t (a int); insert into t values (1);"
    clean = survey(make_source(script))
    assert (clean.status, clean.problems, clean.verdict) == (0, (), "clean: 1 row in 1 table would load")
    assert survey(make_source(script + "create view v as select random();", name="v.db")).status == 5


def test_orphans_are_found_beside_a_foreign_key_that_cannot_be(make_source: MakeSource) -> None:
    """One reference without a parent key makes SQLite refuse to check the table; the other is checked all the same."""
    path = make_source(
        "create table p (id integer primary key, plain int);"
        "create table c (a int references p (plain), b int references p (id));"
        "insert into p values (1, 1); insert into c values (1, 1), (1, 2), (null, null);"
    )
    assert [(problem.column, problem.count) for problem in survey(path).problems] == [("b", 1)]
