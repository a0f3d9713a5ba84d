"""What the report says of values: each rule with its samples, the dates that came out, the plan to repeat it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import execute
from tests.fix_source import MakeSource

SCRIPT = """
create table e (id integer primary key, at datetime, day text, price decimal(8,2), name text);
insert into e values (1, 1700000000, '01.02.2024', 1.005, 'a'), (2, 1600000000, '02.02.2024', '2.50', null);
insert into e select id + 10, 1500000000 + id, '03.02.2024', '7.5', 'x' from
  (with recursive n(id) as (select 1 union all select id + 1 from n where id < 20) select id from n);
"""
CASTS = ("--cast", "e.day=date:%d.%m.%Y", "--cast", "e.price=numeric(8,2)")


@pytest.fixture
def moved(make_source: MakeSource, etl: EtlCommand, database_dsn: str, tmp_path: Path) -> tuple[Path, Path, str]:
    """A source that was moved with casts, its report, and what was printed."""
    source, report = make_source(SCRIPT), tmp_path / "report.json"
    done = etl("migrate", source, database_dsn, *CASTS, "--report", report)
    assert done.status == 0, done.err
    return source, report, done.out


def table_of(report: Path) -> dict[str, Any]:
    (table,) = json.loads(report.read_text())["tables"]
    return dict(table)


def test_each_rule_has_a_count_and_five_samples(moved: tuple[Path, Path, str]) -> None:
    """Enough to see what it did: five for a program, and one for a person at a terminal, who has many columns."""
    _, report, printed = moved
    rules = {(c["column"], c["rule"]): c for c in table_of(report)["coercions"]}
    days = next(found for (column, _), found in rules.items() if column == "day")
    assert days["count"] == 22
    assert len(days["samples"]) == 5
    assert days["samples"][0] == {"key": "id=1", "before": "'01.02.2024'", "after": "2024-02-01"}
    assert rules["price", "rounded"]["count"] == 1
    told = [f"{sample['key']}: {sample['before']} → {sample['after']}" in printed for sample in days["samples"]]
    assert told == [True, False, False, False, False]


def test_the_dates_that_came_out_are_shown(moved: tuple[Path, Path, str]) -> None:
    """No comparison proves that 1600000000 counts seconds: the first and the last date tell a person."""
    _, report, printed = moved
    spans = table_of(report)["spans"]
    assert spans["at"] == ["2017-07-14 02:40:01", "2023-11-14 22:13:20"]
    assert spans["day"] == ["2024-02-01", "2024-02-03"]
    assert "e.at  2017-07-14 02:40:01 to 2023-11-14 22:13:20" in printed


@pytest.mark.parametrize(("number", "warned"), [(700_000_000, True), (800_000_000, False)])
def test_an_inferred_epoch_that_begins_early_is_a_warning(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, tmp_path: Path, number: int, warned: bool
) -> None:
    """Core Data counts from 2001: read from 1970 its dates lie before 1995."""
    report = tmp_path / "r.json"
    source = make_source(f"create table e (at datetime); insert into e values ({number}), (1700000000);")
    done = etl("migrate", source, database_dsn, "--report", report)
    assert done.status == 0, done.err
    warnings = json.loads(report.read_text())["warnings"]
    assert bool(warnings) is warned
    assert ("warning: e.at: read as epoch-s, the values begin in 1992" in done.out) is warned
    assert ("--cast e.at=timestamp:epoch-2001" in done.out) is warned


def test_a_unit_that_was_asked_for_is_no_warning(make_source: MakeSource, etl: EtlCommand, database_dsn: str) -> None:
    """The user has said what the numbers count."""
    source = make_source("create table e (at datetime); insert into e values (700000000);")
    done = etl("migrate", source, database_dsn, "--cast", "e.at=timestamp:epoch-s")
    assert "warning" not in done.out


def test_debug_tells_every_coerced_value(make_source: MakeSource, etl: EtlCommand, database_dsn: str) -> None:
    """All of them, not the first five, with key, rule, before and after."""
    done = etl("migrate", make_source(SCRIPT), database_dsn, *CASTS, "--log-level", "debug")
    told = [line for line in done.err.splitlines() if "e.day (id=" in line]
    assert len(told) == 22
    assert told[0].endswith("'01.02.2024' → 2024-02-01")


def test_a_verification_repeats_the_plan_of_the_report(
    moved: tuple[Path, Path, str], etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """Readings that were given, and those that the values decided, need not be remembered."""
    source, report, _ = moved
    again = tmp_path / "again.json"
    done = etl("verify", source, database_dsn, "--plan", report, "--report", again)
    assert done.status == 0, done.err + done.out
    first, second = json.loads(report.read_text()), json.loads(again.read_text())
    assert second["tables"][0]["target_checksum"] == first["tables"][0]["target_checksum"]
    assert second["plan"] == first["plan"]
    assert etl("verify", source, database_dsn).status != 0, "the report is what makes the difference"


def test_a_type_that_has_changed_since_is_a_difference(
    moved: tuple[Path, Path, str], etl: EtlCommand, database_dsn: str
) -> None:
    """The values may still be equal; the column is not what it was."""
    source, report, _ = moved
    asyncio.run(execute(database_dsn, "alter table e alter column name type varchar(10)"))
    done = etl("verify", source, database_dsn, "--plan", report)
    assert done.status == 4
    assert "expected text" in done.out


def test_foreign_keys_that_were_left_not_valid_are_what_the_report_says(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """Orphans that the user has accepted are no difference afterwards; without the report they are."""
    report = tmp_path / "report.json"
    source = make_source(
        "create table p (id integer primary key); create table c (id integer primary key, p integer references p(id));"
        "insert into c values (1, 5);"
    )
    assert etl("migrate", source, database_dsn, "--orphans", "not-valid", "--report", report).status == 5
    assert etl("verify", source, database_dsn, "--plan", report).status == 0
    assert etl("verify", source, database_dsn).status == 4


@pytest.mark.parametrize("content", [None, "not json", "{}", '{"plan": {"schema": "public"}}', "[1]"])
def test_what_is_no_report_is_said_in_one_line(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, tmp_path: Path, content: str | None
) -> None:
    """Usage, before anything is read."""
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content)
    done = etl("verify", make_source(SCRIPT), database_dsn, "--plan", path)
    assert done.status == 2
    assert len(done.errors) == 1
    assert str(path) in done.errors[0]
