"""A checksum is of the rows alone: pages, jobs, the order of rows and the way they were loaded do not show in it."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from etl.model import Verdict
from etl.verify.digest import digest_table
from tests.fix_command import EtlCommand
from tests.fix_server import execute
from tests.fix_source import MakeSource
from tests.property.test_verify_databases import tables
from tests.verifying import connected, verify

SCRIPT = "create table a (id integer primary key, x real, d json); create table b (t text primary key, n decimal(9,2))"
ROWS = {
    "a": [(n, n / 7, json.dumps({"n": n, "é": [n / 2]})) for n in range(2_000)],
    "b": [(f"key {n * 7919 % 2003}", n + 0.25) for n in range(2_000)],
}


def checksums(path: Path) -> dict[str, str]:
    tables_told = json.loads(path.read_text())["tables"]
    assert all(table["source_checksum"] == table["target_checksum"] for table in tables_told)
    return {table["name"]: table["target_checksum"] for table in tables_told}


def test_checksums_do_not_depend_on_how_the_rows_went(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """The same file with pages of 16 kB and of 2 MB, one table at a time and four, and in another order of rows."""
    source, report = make_source(SCRIPT, ROWS), tmp_path / "r.json"
    found = []
    for flags in (("--page-bytes", "16kB", "--jobs", "1"), ("--page-bytes", "2MB", "--jobs", "4")):
        done = etl("migrate", source, database_dsn, "--mode", "replace", "--report", report, *flags)
        assert done.status == 0, done.err
        found.append(checksums(report))
    shuffled = make_source(SCRIPT, {name: rows[::-1] for name, rows in ROWS.items()}, name="shuffled.db")
    assert etl("migrate", shuffled, database_dsn, "--mode", "replace", "--report", report).status == 0
    found.append(checksums(report))
    asyncio.run(
        execute(
            database_dsn, "create table c as select * from b order by n desc", "truncate b", "insert into b table c"
        )
    )
    assert etl("verify", source, database_dsn, "--report", report).status == 0
    found.append(checksums(report))
    assert found == found[:1] * 4


@pytest.mark.soak
def test_no_false_alarm_as_long_as_time_allows(server_dsn: str, soak_seconds: float) -> None:
    """Random tables of every type, rows shuffled: by values and by digests, never an objection."""
    until = time.monotonic() + soak_seconds

    async def compare(specimen: Any, rows: Any) -> None:
        async with connected(server_dsn) as target:
            with tempfile.TemporaryDirectory() as folder:
                path = specimen.create_source(Path(folder) / "s.db", [[stored for stored, _ in row] for row in rows])
                await specimen.create_target(target, [tuple(text for _, text in row) for row in reversed(rows)])
                whole = await verify(path, target, specimen.plan)
                hashed = await verify(path, target, specimen.plan, way=digest_table)
                await target.execute("drop table t")
        assert (whole.verdict, whole.differences) == (Verdict.EQUAL, ())
        assert (hashed.verdict, hashed.differences) == (Verdict.EQUAL, ())

    @settings(max_examples=500, deadline=None)
    @given(table=tables())
    def no_alarm(table: Any) -> None:
        if time.monotonic() < until:
            asyncio.run(compare(*table))

    no_alarm()
