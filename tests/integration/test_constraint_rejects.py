"""Rows that every rule lets through and a constraint of the target does not: named, or set aside and accounted for."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.fix_command import Done, EtlCommand
from tests.fix_server import rows_of
from tests.fix_source import MakeSource

SAME_UUID = """
create table t (id uuid primary key, name text);
insert into t values ('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'first'), ('6BA7B8109DAD11D180B400C04FD430C8', 'second'),
  ('6ba7b811-9dad-11d1-80b4-00c04fd430c8', 'third');
"""
FAMILY = """
create table parent (id integer primary key, code text unique);
create table child (id integer primary key, parent_id integer references parent(id));
create table grandchild (
  id integer primary key, child_id integer references child(id), up integer references grandchild(id)
);
insert into parent values (1, 'a'), (2, 'b');
insert into child values (10, 1), (11, 7), (12, 2), (13, null);
insert into grandchild values (100, 10, null), (101, 11, null), (102, 12, 101), (103, 12, 100), (104, 13, 102);
"""


class Rejecting:
    """``etl migrate --on-error reject`` with its files and its report."""

    def __init__(self, etl: EtlCommand, dsn: str, folder: Path) -> None:
        self._etl, self._dsn, self.folder = etl, dsn, folder / "rejects"
        self._report = folder / "report.json"

    def __call__(self, source: Path, *more: str) -> Done:
        flags = ("--on-error", "reject", *more, "--rejects", self.folder, "--report", self._report)
        return self._etl("migrate", source, self._dsn, *flags)

    def lines(self, table: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / f"{table}.jsonl").read_text().splitlines()]

    def account(self, table: str) -> tuple[int, int, int, str]:
        tables = json.loads(self._report.read_text())["tables"]
        (found,) = (found for found in tables if found["name"] == table)
        return found["source_rows"], found["loaded_rows"], found["rejected_rows"], found["verdict"]


@pytest.fixture
def rejecting(etl: EtlCommand, database_dsn: str, tmp_path: Path) -> Rejecting:
    return Rejecting(etl, database_dsn, tmp_path)


def test_keys_that_become_the_same_are_named_with_both_rows(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str
) -> None:
    """Two spellings of one UUID are two keys in SQLite: the error names both rows, and what solves it."""
    done = etl("migrate", make_source(SAME_UUID), database_dsn)
    assert done.status == 1
    assert done.errors == [
        "error: t.id (rowid=2): '6BA7B8109DAD11D180B400C04FD430C8' is the same in t_pkey as that of the row (rowid=1)"
    ]
    assert "--cast t.id=text" in done.hints[0]
    assert rows_of(database_dsn, "select count(*) from pg_class where relname = 't'") == [(0,)]


@pytest.mark.parametrize("long_text", [False, True])
def test_doubtful_keys_are_looked_at_before_any_key_is_built(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, long_text: bool
) -> None:
    """Where values were coerced or are long, nobody waits for the other tables and the build to hear of it."""
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
    script = f"create table n (id integer primary key, a text unique); insert into n values (1, '{noise}');"
    done = etl("migrate", make_source(script if long_text else SAME_UUID), database_dsn, "--progress", "json")
    assert done.status == 1
    phases = {line["phase"] for line in map(json.loads, done.err.splitlines()[:-2]) if "phase" in line}
    assert "load" in phases
    assert "build" not in phases


def test_the_later_of_two_equal_keys_goes_to_the_file(
    make_source: MakeSource, rejecting: Rejecting, database_dsn: str, etl: EtlCommand
) -> None:
    """Source = loaded + rejected, verified; and the row is loaded once somebody has given it a key of its own."""
    source = make_source(SAME_UUID)
    done = rejecting(source)
    assert done.status == 3, done.err
    assert rejecting.account("t") == (3, 2, 1, "equal")
    (line,) = rejecting.lines("t")
    assert (line["key"], line["column"]) == ("rowid=2", "id")
    assert line["values"]["name"] == {"class": "text", "value": "second"}
    assert "the row (rowid=1)" in line["reason"]
    file = rejecting.folder / "t.jsonl"
    file.write_text(file.read_text().replace('"value":"6BA7B8109DAD11D180B400C04FD430C8"', f'"value":"{"0" * 32}"'))
    assert etl("migrate", source, database_dsn, "--from-rejects", rejecting.folder).status == 0
    assert rows_of(database_dsn, "select name from t order by id") == [("second",), ("first",), ("third",)]


def test_rows_beside_rejected_values_keep_their_places(make_source: MakeSource, rejecting: Rejecting) -> None:
    """Rows are found by their place: a value that was rejected before them must not shift it."""
    script = "create table t (a integer, d date unique); insert into t values" + ", ".join(
        f"({n}, '{f'no date {n}' if n % 7 == 3 else f'2024-01-{n % 20 + 1:02}' + ('' if n < 20 else ' 00:00:00')}')"
        for n in range(40)
    )
    done = rejecting(make_source(script))
    assert done.status == 3, done.err
    lines = rejecting.lines("t")
    no_date = {n for n in range(40) if n % 7 == 3}
    seen: set[int] = set()
    same = {n for n in range(40) if n not in no_date and (n % 20 in seen or seen.add(n % 20))}
    assert {int(line["values"]["a"]["value"]) for line in lines} == no_date | same
    assert rejecting.account("t") == (40, 40 - len(lines), len(lines), "equal")
    for line in lines:
        if "row (" in line["reason"]:
            other = int(line["reason"].split("rowid=")[1].rstrip(")")) - 1
            assert other % 20 == int(line["values"]["a"]["value"]) % 20


def test_a_check_that_rows_contradict_sends_them_to_the_file(make_source: MakeSource, rejecting: Rejecting) -> None:
    """With rejection the check is there and holds for every row."""
    script = (
        "create table t (id integer primary key, n integer, constraint positive check (n > 0));"
        "pragma ignore_check_constraints = on; insert into t values (1, 5), (2, -1), (3, null);"
    )
    done = rejecting(make_source(script))
    assert done.status == 3, done.err
    (line,) = rejecting.lines("t")
    assert (line["key"], line["column"]) == ("id=2", "n")
    assert line["reason"].startswith("-1 breaks the check positive")


def test_text_that_no_index_can_hold_is_named_by_key(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, rejecting: Rejecting
) -> None:
    """The server decides, after compression: 9,000 equal letters fit, 9,000 random ones do not."""
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
    rows = {"t": [(1, "x" * 9000), (2, noise), (3, "short"), (4, None)]}
    source = make_source("create table t (id integer primary key, url text); create index by_url on t(url);", rows)
    done = etl("migrate", source, database_dsn)
    assert done.status == 1
    assert done.errors[0].startswith("error: t.url (id=2): '")
    assert "too long for by_url" in done.errors[0]
    assert rejecting(source).status == 3
    assert [line["key"] for line in rejecting.lines("t")] == ["id=2"]


def test_orphans_stop_the_run_and_are_listed(make_source: MakeSource, etl: EtlCommand, database_dsn: str) -> None:
    """Row by row, with the value that leads nowhere."""
    source = make_source(FAMILY + "insert into child values (14, 9); insert into grandchild values (105, 77, null);")
    done = etl("migrate", source, database_dsn, "--progress", "json")
    assert done.status == 1
    assert done.errors == ["error: child.parent_id (id=11): 7 has no parent in parent"]
    assert "  child.parent_id (id=14): 9 has no parent in parent\n" in done.err
    assert "  grandchild.child_id (id=105): 77 has no parent in child\n" in done.err
    assert "--orphans" in done.hints[0]
    assert '"build"' not in done.err, "known while the rows are loaded, not when the foreign key is built"


def test_a_child_of_a_rejected_parent_stops_the_run_where_it_is_to(
    make_source: MakeSource, rejecting: Rejecting
) -> None:
    """It has a parent in SQLite: the foreign key of the target is what finds it, and the row is named all the same."""
    script = """
    create table parent (id integer primary key, born date);
    create table child (id integer primary key, parent_id integer references parent(id));
    insert into parent values (1, '2024-01-01'), (2, 'never');
    insert into child values (1, 1), (2, 2);
    """
    done = rejecting(make_source(script), "--orphans", "stop")
    assert done.status == 1
    assert done.errors == ["error: child.parent_id (id=2): 2 has no parent in parent"]
    assert not rejecting.folder.exists()


@pytest.mark.parametrize(("orphans", "status"), [("stop", 1), ("not-valid", 5), ("reject", 3)])
def test_an_orphan_is_dealt_with_while_the_only_reader_verifies(
    orphans: str, status: int, make_source: MakeSource, etl: EtlCommand, database_dsn: str
) -> None:
    """Foreign keys are built beside the verification, which has the source's reader: nobody waits for ever."""
    large = "create table large as with recursive n(v) as (select 1 union all select v + 1 from n where v < 200000)"
    source = make_source(f"{FAMILY} {large} select v, hex(randomblob(20)) as text from n;")
    done = etl("migrate", source, database_dsn, "--jobs", "1", "--orphans", orphans)
    assert done.status == status, done.err


def test_a_rejected_parent_rejects_its_children_to_the_last(
    make_source: MakeSource, rejecting: Rejecting, database_dsn: str
) -> None:
    """11 has no parent, 101 hangs on 11, 102 on 101, 104 on 102: all of them go, and each foreign key is valid."""
    done = rejecting(make_source(FAMILY))
    assert done.status == 3, done.err
    assert [line["key"] for line in rejecting.lines("child")] == ["id=11"]
    assert sorted(line["key"] for line in rejecting.lines("grandchild")) == ["id=101", "id=102", "id=104"]
    assert rejecting.account("grandchild") == (5, 2, 3, "equal")
    assert rows_of(database_dsn, "select distinct convalidated from pg_constraint where contype = 'f'") == [(True,)]


def test_a_parent_whose_value_is_rejected_takes_its_children_along(
    make_source: MakeSource, rejecting: Rejecting
) -> None:
    """The parent falls by its date, the child by its parent."""
    script = """
    create table parent (id integer primary key, born date);
    create table child (id integer primary key, parent_id integer references parent(id) on delete cascade);
    insert into parent values (1, '2024-01-01'), (2, 'never');
    insert into child values (1, 1), (2, 2);
    """
    done = rejecting(make_source(script))
    assert done.status == 3, done.err
    assert [line["key"] for line in rejecting.lines("child")] == ["id=2"]
    assert "has no parent in parent" in rejecting.lines("child")[0]["reason"]


def test_orphans_may_stay_under_a_foreign_key_that_says_so(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """NOT VALID holds for new rows, and the report says what it does not hold for (status 5)."""
    report = tmp_path / "r.json"
    source = make_source(FAMILY)
    done = etl("migrate", source, database_dsn, "--orphans", "not-valid", "--report", report)
    assert done.status == 5, done.err
    assert "1 row of child without a parent in parent, first (id=11)" in done.out
    valid = dict(
        rows_of(
            database_dsn,
            "select conrelid::regclass::text, bool_and(convalidated) from pg_constraint where contype = 'f' group by 1",
        )
    )
    assert valid == {"child": False, "grandchild": True}
    assert json.loads(report.read_text())["verdict"] == "equal"
    accepted = etl("migrate", source, database_dsn, "--orphans", "not-valid", "--accept-untranslated", "--force")
    assert accepted.status == 0


def test_orphans_alone_may_be_rejected(make_source: MakeSource, etl: EtlCommand, database_dsn: str) -> None:
    """Without --on-error reject a bad value still stops the run."""
    source = make_source(FAMILY)
    assert etl("migrate", source, database_dsn, "--orphans", "reject").status == 3
    bad = make_source(FAMILY + "create table d (d date); insert into d values ('never');", name="bad.db")
    done = etl("migrate", bad, database_dsn, "--orphans", "reject", "--force", "--rejects", "other")
    assert done.status == 1
    assert "'never' is not" in done.errors[0]
