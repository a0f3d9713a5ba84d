"""Every difference in a file: complete, exact, and in flat memory."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from etl.verify import every_difference, multiset
from etl.verify.compare import verify_table
from etl.verify.digest import digest_table
from etl.verify.findings import rows_at_sql
from etl.verify.source import execute as execute_on_source
from tests.fix_command import EtlCommand
from tests.fix_server import execute
from tests.verifying import Specimen, connected, verify

ROWS = 3_000
KEYED = Specimen("t", (("id", "integer primary key", "bigint"), ("name", "text", "text")), ("id",))
KEYLESS = Specimen("t", (("n", "integer", "bigint"), ("name", "text", "text")))
DAMAGE = (
    "delete from t where {key} in (1, 1500, 3000)",
    "insert into t values (5000, 'extra')",
    "update t set name = name || '!' where {key} % 100 = 7",
    "update t set name = case {key} when 20 then 'name 21' else 'name 20' end where {key} in (20, 21)",
)
DIFFERENT = {*range(7, ROWS, 100), 20, 21}


@pytest.mark.parametrize("held", [multiset.HELD_ROWS, 20], ids=["in memory", "spilled"])
@pytest.mark.parametrize("way", [verify_table, digest_table])
async def test_every_row_that_differs_is_told(
    way: Any, held: int, database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First and last row, rows in the middle, swapped values: none is left out behind the twentieth."""
    monkeypatch.setattr(multiset, "HELD_ROWS", held)
    monkeypatch.setattr(every_difference, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(every_difference, "ROWS_PER_SCAN", 25)
    path = KEYED.create_source(tmp_path / "t.db", ((n, f"name {n}") for n in range(1, ROWS + 1)))
    told: list[Any] = []
    async with connected(database_dsn) as target:
        await target.execute(
            f"create table t as select n::bigint as id, 'name ' || n as name from generate_series(1, {ROWS}) n"
        )
        for statement in DAMAGE:
            await target.execute(statement.format(key="id"))
        verified = await verify(path, target, KEYED.plan, way=lambda *a, **k: way(*a, **k, on_differences=told.extend))
    assert {(one.kind, one.key) for one in told} == (
        {("missing", f"id={key}") for key in (1, 1500, 3000)}
        | {("extra", "id=5000")}
        | {("different", f"id={key}") for key in DIFFERENT}
    )
    assert len(told) == sum(verified.difference_counts.values())
    (swapped,) = (one for one in told if one.key == "id=20")
    assert (swapped.column, swapped.source_value, swapped.expected, swapped.actual) == (
        "name",
        "'name 20'",
        "'name 20'",
        "'name 21'",
    )
    assert len(verified.differences) == 20


async def test_rows_without_a_key_are_told_by_their_rowid(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejected rows in between move the places, and must not move the names."""
    monkeypatch.setattr(every_difference, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(every_difference, "ROWIDS_AT_ONCE", 10)
    path = KEYLESS.create_source(tmp_path / "t.db", ((n, f"name {n}") for n in range(1, 101)))
    told: list[Any] = []
    async with connected(database_dsn) as target:
        await target.execute(
            "create table t as select n::bigint as n, 'name ' || n as name from generate_series(1, 100) n"
            " where n not in (5, 50)"
        )
        await target.execute("update t set name = 'x' where false; delete from t where n % 10 = 3")
        await verify(
            path,
            target,
            KEYLESS.plan,
            rejected=(4, 49),
            way=lambda *a, **k: verify_table(*a, **k, on_differences=told.extend),
        )
    assert [(one.kind, one.key) for one in told] == [("missing", f"rowid={n}") for n in range(3, 100, 10)]


async def test_both_sides_are_read_once_more_however_many_rows_differ(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan for each five thousand rows would take for ever where a whole column is wrong."""
    scans: list[str] = []

    def counted(source: Any, sql: str, batch_rows: int) -> Any:
        if "max(typeof" not in sql and "union all" in sql:
            scans.append("source")
        return execute_on_source(source, sql, batch_rows)

    def listed(*given: Any) -> str:
        scans.append("target")
        return rows_at_sql(*given)

    path = KEYED.create_source(tmp_path / "t.db", ((n, f"name {n}") for n in range(1, 20_001)))
    told: list[Any] = []
    async with connected(database_dsn) as target:
        await target.execute(
            "create table t as select n::bigint as id, 'x' as name from generate_series(20000, 1, -1) n"
        )
        await verify(path, target, KEYED.plan)  # nothing of what follows for the first time
        monkeypatch.setattr("etl.verify.source.execute", counted)
        monkeypatch.setattr(every_difference, "rows_at_sql", listed)
        await verify(path, target, KEYED.plan, way=lambda *a, **k: verify_table(*a, **k, on_differences=told.extend))
    assert [one.key for one in told] == [f"id={n}" for n in range(1, 20_001)]
    assert {(one.column, one.actual) for one in told} == {("name", "'x'")}
    assert scans.count("target") == 1
    assert scans.count("source") == 2 + 20, "the comparison, the twenty of the report, and one for all of them"


def test_the_file_has_all_of_them_and_the_report_twenty(
    etl: EtlCommand, make_source: Any, database_dsn: str, tmp_path: Path
) -> None:
    """Rows and schema objects; with nothing to tell the file is empty."""
    log, report = tmp_path / "all.jsonl", tmp_path / "report.json"
    source = make_source(
        "create table t (id integer primary key, name text);", {"t": [(n, f"name {n}") for n in range(50)]}
    )
    assert etl("migrate", source, database_dsn, "--differences", log).status == 0
    assert log.read_bytes() == b""
    asyncio.run(execute(database_dsn, "update t set name = 'x' where id < 40; alter table t drop constraint t_pkey"))
    done = etl("verify", source, database_dsn, "--differences", log, "--report", report)
    assert done.status == 4, done.err
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sum(line["kind"] == "different" for line in lines) == 40
    assert sum(line["kind"] == "object" for line in lines) >= 1
    content = json.loads(report.read_text())
    assert content["differences"][-1] in lines
    assert sum(line["kind"] == "different" for line in content["differences"]) == 20
    assert not list(tmp_path.glob("*.partial"))


def test_a_file_that_cannot_be_written_is_told_in_one_line(
    etl: EtlCommand, sqlite_path: Path, database_dsn: str, tmp_path: Path
) -> None:
    """Before a row is moved."""
    done = etl("migrate", sqlite_path, database_dsn, "--differences", tmp_path / "none" / "all.jsonl")
    assert done.status == 1
    assert "--differences" in done.errors[0]
    assert len(done.errors) == len(done.hints) == 1


LONG = Specimen(
    "long",
    (
        ("id", "integer primary key", "bigint"),
        ("note", "text", "text"),
        ("doc", "json", "jsonb"),
        ("data", "blob", "bytea"),
        ("short", "text", "text"),
        ("more", "text", "text"),
    ),
    ("id",),
    largest_row_bytes=200_000,
)


async def test_two_long_values_are_shown_where_they_differ(database_dsn: str, tmp_path: Path) -> None:
    """Behind five thousand equal characters nobody would see it in their beginnings; beyond 64 KB a block is told."""
    note, doc, data, more = "é" * 5_000 + "x", f'{{"a":"{"d" * 3_000}","b":1}}', bytes(700), "m" * 100_000
    path = LONG.create_source(tmp_path / "t.db", [(1, note, doc, data, "short", more)])
    async with connected(database_dsn) as target:
        await LONG.create_target(
            target,
            [("1", note[:-1] + "y" * 300, doc.replace(":1}", ":2}"), "\\x" + "00" * 600 + "ff", "shorT", more + "!")],
        )
        told = {one.column: one for one in (await verify(path, target, LONG.plan)).differences}
    assert told["note"].source_value == told["note"].expected == f"at character 5,001: …'{'é' * 16}x'"
    assert told["note"].actual == f"at character 5,001: …'{'é' * 16}{'y' * 100}'…"
    assert told["doc"].expected == f'at character 3,013: …\'{"d" * 10}","b":1}}\''
    assert told["data"].expected == f"at byte 601: …{'00' * 58}…"
    assert told["data"].actual == f"at byte 601: …{'00' * 8}ff"
    assert (told["short"].expected, told["short"].actual) == ("'short'", "'shorT'")
    assert told["more"].expected is not None
    assert told["more"].expected.startswith("(100,000 bytes, SHA-256 ")
    assert told["more"].expected.endswith("…) the first difference lies in bytes 98,305 to 102,400")
