"""Rows that pass every rule of ours and that the server refuses in the COPY: named, or set aside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from etl.load import careful
from etl.load.careful import cuts
from etl.options import Options
from etl.pipeline import migrate
from etl.progress import SilentProgress
from tests.fix_command import EtlCommand
from tests.fix_server import execute, run_apart
from tests.fix_source import MakeSource

DEEP = "[" * 3_000 + "]" * 3_000
WIDE = 360  # columns


@pytest.fixture
def shallow_dsn(database_dsn: str) -> str:
    """A database whose server parses no deep JSON, as one with a small stack does."""
    name = database_dsn.split("?")[0].rsplit("/", 1)[1]
    run_apart(execute(database_dsn, f"alter database {name} set max_stack_depth = '100kB'"))
    return database_dsn


def documents(bad: set[int], rows: int) -> tuple[str, dict[str, Any]]:
    values = [(n, DEEP if n in bad else f'{{"n": {n}}}') for n in range(1, rows + 1)]
    return "create table t (id integer primary key, body json)", {"t": values}


def wide_rows(bad: set[int], rows: int) -> tuple[str, dict[str, Any]]:
    """Values too short to be stored aside, and too many for a page of 8 kB."""
    values = [(n, *(["y" * 22 if n in bad else "y"] * WIDE)) for n in range(1, rows + 1)]
    columns = ", ".join(f"c{n} text" for n in range(WIDE))
    return f"create table t (id integer primary key, {columns})", {"t": values}


@pytest.mark.parametrize("make", [documents, wide_rows])
@pytest.mark.parametrize("bad", [{1}, {300}, {1, 2, 3, 299, 300}, {n for n in range(1, 301) if n % 9 == 0}])
def test_rows_that_the_server_refuses_go_to_the_file(
    make_source: MakeSource, etl: EtlCommand, shallow_dsn: str, tmp_path: Path, bad: set[int], make: Any
) -> None:
    """Exactly these rows, wherever they stand and whatever line the server names; the rest is verified."""
    report, folder = tmp_path / "report.json", tmp_path / "rejects"
    flags = ("--on-error", "reject", "--rejects", folder, "--report", report)
    done = etl("migrate", make_source(*make(bad, 300)), shallow_dsn, *flags)
    assert done.status == 3, done.err
    lines = [json.loads(line) for line in (folder / "t.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == [f"id={n}" for n in sorted(bad)]
    assert all(line["reason"].startswith("the server refuses ") for line in lines)
    (table,) = json.loads(report.read_text())["tables"]
    counted = (table["source_rows"], table["loaded_rows"], table["rejected_rows"], table["verdict"])
    assert counted == (300, 300 - len(bad), len(bad), "equal")


def test_values_that_we_refuse_and_rows_that_the_server_refuses_go_to_one_file(
    make_source: MakeSource, etl: EtlCommand, shallow_dsn: str, tmp_path: Path
) -> None:
    """Places are counted without the rows that were set aside before: the right row is in the file."""
    script, rows = documents({4, 9}, 12)
    rows["t"][1] = (2, "{no json")
    folder = tmp_path / "rejects"
    done = etl("migrate", make_source(script, rows), shallow_dsn, "--on-error", "reject", "--rejects", folder)
    assert done.status == 3, done.err
    lines = [json.loads(line) for line in (folder / "t.jsonl").read_text().splitlines()]
    assert sorted(line["key"] for line in lines) == ["id=2", "id=4", "id=9"]
    assert "verdict: equal: 1 table, 9 rows, every value compared; 3 rows rejected to files" in done.out


def test_a_row_that_the_server_refuses_is_named(make_source: MakeSource, etl: EtlCommand, shallow_dsn: str) -> None:
    """Table, key, column and what solves it, although it stands in the middle of a COPY of many."""
    done = etl("migrate", make_source(*documents({277}, 300)), shallow_dsn)
    assert done.status == 1
    assert done.errors[0].startswith("error: t.body (id=277): the server refuses '[[["), done.errors
    assert "--on-error reject" in done.hints[0]
    assert "--cast t.body=text" in done.hints[0]
    run_apart(execute(shallow_dsn, "create table t (id bigint primary key, body jsonb)"))
    done = etl("migrate", make_source(*documents({7}, 9), name="again.db"), shallow_dsn)
    assert done.errors[0].startswith("error: t.body (id=7): the server refuses '[[["), done.errors
    assert done.hints[0].startswith("hint: alter table t alter body type text in the target, correct the row"), (
        done.hints
    )


@pytest.mark.parametrize("bad", [{1}, {150}, {300}])
@pytest.mark.parametrize(("make", "at_most"), [(documents, 5), (wide_rows, 19)], ids=["named", "searched"])
async def test_a_refused_row_is_found_in_few_attempts(
    make_source: MakeSource,
    shallow_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bad: set[int],
    make: Any,
    at_most: int,
) -> None:
    """At once where the server names it, else by halves: not by cutting off one good row after another."""
    attempts = []

    async def counted(*arguments: Any, **named: Any) -> bool:
        attempts.append(1)
        return await copy_some(*arguments, **named)

    copy_some = careful.copy_some
    monkeypatch.setattr(careful, "copy_some", counted)
    options = Options(make_source(*make(bad, 300)), shallow_dsn, on_error="reject", rejects=tmp_path / "rejects")
    report = await migrate(options, SilentProgress())
    assert [table.rejected_rows for table in report.loaded] == [1]
    assert 1 < len(attempts) <= at_most


@pytest.mark.parametrize("row_count", [2, 3, 4, 7, 1000])
@pytest.mark.parametrize("place", [None, 0, 1, 999, 5000])
def test_parts_of_a_refused_slice_are_smaller_and_lose_no_row(row_count: int, place: int | None) -> None:
    """Whatever line the server names, right or wrong: each row is sent again once, and it ends."""
    parts = list(cuts(row_count, place))
    assert [row for start, count in parts for row in range(start, start + count)] == list(range(row_count))
    assert all(0 < count < row_count for _, count in parts)
