"""What is said of coerced values is said of rows that arrived, whoever refused the others: report and log agree."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from etl.coercion_log import CoercionLog
from etl.load.rejects import RejectFile
from etl.model import Coercion, RejectedRow
from tests.fix_command import EtlCommand
from tests.fix_server import execute, rows_of, run_apart
from tests.fix_source import MakeSource

DEEP = "[" * 3_000 + "]" * 3_000
DAY, MOMENT = "2024-05-06", "2024-05-06 07:08:09"  # in a DATETIME column the first is coerced (date-to-timestamp)
IGNORED_CHECK = "create table t (id integer primary key, at datetime, flag boolean, n integer check (n > 0))"


@dataclass(frozen=True, slots=True)
class Told:
    """What a run says of one table."""

    account: dict[str, Any]  # of the JSON report
    logged: list[dict[str, str]]
    rejected: list[dict[str, Any]]

    @property
    def keys(self) -> list[str]:
        return [line["key"] for line in self.rejected]

    def logged_by(self, rule: str) -> list[str]:
        return [line["key"] for line in self.logged if line["rule"] == rule]

    def agrees(self) -> bool:
        """Whether the counts of report and log are the same, and neither names a rejected row."""
        samples = {sample["key"] for coercion in self.account["coercions"] for sample in coercion["samples"]}
        named = samples | {line["key"] for line in self.logged}
        return self.account["coerced"] == Counter(line["rule"] for line in self.logged) and not named & set(self.keys)


class Migrating:
    """``etl migrate --on-error reject --coercion-log``, which ends with status 3."""

    def __init__(self, etl: EtlCommand, dsn: str, folder: Path) -> None:
        self._etl, self.dsn, self._folder = etl, dsn, folder

    def __call__(self, source: Path, *more: str, log: bool = True) -> dict[str, Told]:
        report, rejects, logged = (self._folder / name for name in ("report.json", "rejects", "coercions.jsonl"))
        flags = ("--on-error", "reject", "--rejects", rejects, "--report", report, *more)
        done = self._etl("migrate", source, self.dsn, *flags, *(("--coercion-log", logged) if log else ()))
        assert done.status == 3, done.err
        lines = lines_of(logged)
        return {
            table["name"]: Told(
                table,
                [line for line in lines if line["table"] == table["name"]],
                lines_of(rejects / f"{table['name']}.jsonl"),
            )
            for table in json.loads(report.read_text())["tables"]
        }


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def migrating(etl: EtlCommand, database_dsn: str, tmp_path: Path) -> Migrating:
    return Migrating(etl, database_dsn, tmp_path)


def test_rows_that_the_server_refuses_in_the_copy_are_not_counted(
    make_source: MakeSource, migrating: Migrating
) -> None:
    """They passed all rules of ours, and were counted and logged before the server saw them."""
    database = migrating.dsn.split("?")[0].rsplit("/", 1)[1]
    run_apart(execute(migrating.dsn, f"alter database {database} set max_stack_depth = '100kB'"))
    script = "create table t (id integer primary key, body json, at datetime, flag boolean)"
    deep, ours = {1, 2, 3, 150, 299, 300}, {100}
    rows = [
        (
            n,
            DEEP if n in deep else "{no json" if n in ours else "[]",
            DAY if n % 2 else MOMENT,
            "yes" if n == 150 else 1,
        )
        for n in range(1, 301)
    ]
    told = migrating(make_source(script, {"t": rows}))["t"]
    assert told.keys == [f"id={n}" for n in sorted(deep | ours)], "in the order of the rows"
    assert told.logged_by("date-to-timestamp") == [f"id={n}" for n in range(1, 301, 2) if n not in deep | ours]
    assert told.account["coerced"] == {"date-to-timestamp": len(told.logged)}, "text-to-boolean is gone with its row"
    assert told.agrees()


def test_rows_that_a_check_refuses_are_not_counted(make_source: MakeSource, migrating: Migrating) -> None:
    """Over many pages, among rows whose values were refused: rows are counted out by their places."""
    bad, ours = set(range(5, 30_000, 777)), set(range(3, 30_000, 901))
    rows = [
        (i, "never" if i in ours else DAY if i % 3 else MOMENT, "yes" if i % 5 == 0 else 1, -1 if i in bad else 1)
        for i in range(30_000)
    ]
    source = make_source(f"pragma ignore_check_constraints = on; {IGNORED_CHECK}", {"t": rows})
    told = migrating(source)["t"]
    gone = bad | ours
    assert told.keys == [f"id={i}" for i in sorted(gone)], "in the order of the rows"
    assert told.logged_by("date-to-timestamp") == [f"id={i}" for i in range(30_000) if i % 3 and i not in gone]
    assert told.logged_by("text-to-boolean") == [f"id={i}" for i in range(0, 30_000, 5) if i not in gone]
    assert told.agrees()
    assert (told.account["loaded_rows"], told.account["verdict"]) == (30_000 - len(gone), "equal")


@pytest.mark.parametrize("table", ["", "without rowid"])
def test_rows_that_collide_are_not_counted(make_source: MakeSource, migrating: Migrating, table: str) -> None:
    """Two spellings of one moment are one key: the second row goes, and the coercion that made it the same with it."""
    script = f"create table t (id integer primary key, at datetime unique) {table}"
    rows = [(1, "2024-05-06 00:00:00"), (2, "2024-05-06"), (3, "2024-05-07"), (4, "2024-05-07 00:00:00")]
    told = migrating(make_source(script, {"t": rows}))["t"]
    assert told.keys == ["id=2", "id=4"]
    assert told.logged_by("date-to-timestamp") == ["id=3"]
    assert told.agrees()


def test_orphans_and_their_children_are_not_counted(make_source: MakeSource, migrating: Migrating) -> None:
    """Generation by generation; the file is in the order of the rows all the same."""
    script = """
    create table node (id integer primary key, up integer references node(id), at datetime);
    create table leaf (id integer primary key, node integer references node(id), at datetime);
    """
    nodes = [(5, None, DAY), (4, 99, DAY), (3, 4, DAY), (2, 3, MOMENT), (1, 5, DAY)]
    leaves = [(1, 1, DAY), (2, 2, DAY), (3, 5, MOMENT)]
    told = migrating(make_source(script, {"node": nodes, "leaf": leaves}))
    assert told["node"].keys == ["id=2", "id=3", "id=4"]
    assert told["node"].logged_by("date-to-timestamp") == ["id=1", "id=5"]
    assert told["leaf"].keys == ["id=2"]
    assert told["leaf"].logged_by("date-to-timestamp") == ["id=1"]
    assert all(table.agrees() for table in told.values())


def test_rows_that_a_filled_table_refuses_are_not_counted(make_source: MakeSource, migrating: Migrating) -> None:
    """Its own NOT NULL, UNIQUE and CHECK speak in the COPY."""
    sql = "create table t (id bigint primary key, at timestamp not null, n integer check (n > 0), code text unique)"
    run_apart(execute(migrating.dsn, sql))
    rows = [
        (1, DAY, 1, "a"),
        (2, DAY, -1, "b"),
        (3, DAY, 1, "a"),
        (4, None, 1, "d"),
        (5, DAY, 1, "e"),
        (6, MOMENT, 1, "f"),
    ]
    source = make_source("create table t (id integer primary key, at datetime, n integer, code text)", {"t": rows})
    told = migrating(source)["t"]
    assert told.keys == ["id=2", "id=3", "id=4"]
    assert told.logged_by("date-to-timestamp") == ["id=1", "id=5"]
    assert told.agrees()
    assert rows_of(migrating.dsn, "select count(*) from t where at::time = '00:00'") == [(2,)]


@pytest.mark.parametrize("log", [True, False], ids=["counted by the load", "counted by the verification"])
@pytest.mark.parametrize("document", ["[]", "{no json"], ids=["clean", "a document is refused"])
def test_repeated_keys_are_counted_in_rows_that_arrived(
    make_source: MakeSource, migrating: Migrating, log: bool, document: str
) -> None:
    """Whoever counts them, and whether or not the documents had to be read twice."""
    script = "create table t (id integer primary key, body json, n integer check (n > 0))"
    twice = '{"a": 1, "a": 2}'
    rows = [(1, twice, -1), (2, twice, 1), (3, "{}", -1), (4, document, 1), (5, twice, 1), (6, twice, -1)]
    source = make_source(f"pragma ignore_check_constraints = on; {script}", {"t": rows})
    told = migrating(source, log=log)["t"]
    assert told.account["coerced"] == {"json-duplicate-keys": 2}
    (coercion,) = told.account["coercions"]
    assert [sample["key"] for sample in coercion["samples"]] == ["id=2", "id=5"]
    assert told.agrees() or not log


def test_of_equal_lines_of_the_log_as_many_go_as_rows(tmp_path: Path) -> None:
    """Long keys are cut, so that lines of two rows may read the same: one of them stays when one row goes."""
    log = CoercionLog(tmp_path / "log.jsonl")
    sample = ("name='aaa…'", "'2024-05-06'", "2024-05-06 00:00:00")
    log.begin_table("t")
    log.write("t", [Coercion("at", "date-to-timestamp", 3, (sample,) * 3)])
    log.leave_out("t", [Coercion("at", "date-to-timestamp", 1, (sample,))])
    log.begin_table("u")
    log.write("u", [Coercion("at", "date-to-timestamp", 3, (sample,) * 3)])
    log.leave_out("u", [Coercion("at", "date-to-timestamp", 1, (sample,))])
    log.begin_table("u")  # a table that begins anew has lost no row yet
    log.write("u", [Coercion("at", "date-to-timestamp", 3, (sample,) * 3)])
    log.complete(["t", "u", "a table without coercions"])
    log.keep()
    log.close()
    assert [line["table"] for line in lines_of(log.path)] == ["t"] * 2 + ["u"] * 3
    assert list(tmp_path.iterdir()) == [log.path]


def test_a_log_holds_what_was_committed_and_nothing_else(tmp_path: Path) -> None:
    """Table by table, some COMMITs come about and some do not; a log without any is no log."""
    sample = ("id=1", "'2024-05-06'", "2024-05-06 00:00:00")
    log = CoercionLog(tmp_path / "log.jsonl")
    for table, is_committed in (("a", True), ("b", False), ("c", True), ("d", False)):
        log.begin_table(table)
        log.write(table, [Coercion("at", "date-to-timestamp", 1, (sample,))])
        log.complete([table])
        if is_committed:
            log.keep()
    log.close()
    assert [line["table"] for line in lines_of(log.path)] == ["a", "c"]
    assert list(tmp_path.iterdir()) == [log.path]
    log.path.unlink()
    log = CoercionLog(tmp_path / "log.jsonl")
    log.begin_table("a")
    log.complete(["a"])
    log.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("room", [True, False], ids=["room", "no room for a second file"])
def test_rejected_rows_are_put_in_order_or_kept_as_they_are(tmp_path: Path, room: bool) -> None:
    """Rows that stand in another order are no reason to fail, and none of them may be lost."""
    file = RejectFile(tmp_path / "t.jsonl", "t")
    for some in ([1, 7], [0, 5], [4]):
        values = {"text": ("text", f"line\nbreak {some}")}
        file.write(RejectedRow(n, f"id={n}", "text", "refused", "", values) for n in some)
    if not room:
        (tmp_path / "t.jsonl.ordered.partial").symlink_to("/dev/full")
    file.complete()
    file.keep()
    written = [line["key"] for line in lines_of(tmp_path / "t.jsonl")]
    assert [path.name for path in tmp_path.iterdir()] == ["t.jsonl"]
    assert written == [f"id={n}" for n in ([0, 1, 4, 5, 7] if room else [1, 7, 0, 5, 4])]
