"""Keys that do not take every row stop a migration while it loads, and cost nothing where they cannot collide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etl.errors import RefusedRowsError
from etl.options import Options
from etl.phases import key_watch, loading
from etl.pipeline import migrate
from etl.progress import SilentProgress
from tests.fix_source import MakeSource

ROWS = 40_000  # some pages


def uuids(*odd: tuple[int, str]) -> list[tuple[str, int, int]]:
    """Rows with UUIDs as their keys, some of them replaced."""
    rows = [f"a0eebc99-9c0b-4ef8-bb6d-{number:012x}" for number in range(ROWS)]
    for place, spelled in odd:
        rows[place] = spelled
    return [(key, number, 10 * number) for number, key in enumerate(rows)]


def options_of(path: Path, dsn: str) -> Options:
    return Options(path, dsn, jobs=1)


@pytest.fixture
def without_server_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server says after the load comes too late for these tests."""

    async def too_late(*_arguments: Any) -> None:
        raise AssertionError("the table was loaded to its end")

    monkeypatch.setattr(loading, "check_keys", too_late)


@pytest.mark.usefixtures("without_server_check")
async def test_a_collision_of_coerced_keys_stops_the_load(make_source: MakeSource, database_dsn: str) -> None:
    """The row that collides stands thousands of rows behind the first sign of it: both are named before the end."""
    twice = "A0EEBC99-9C0B-4EF8-BB6D-000000000003"
    path = make_source("create table t (u uuid primary key, n int, m int);", {"t": uuids((ROWS - 1, twice))})
    with pytest.raises(RefusedRowsError) as refused:
        await migrate(options_of(path, database_dsn), SilentProgress())
    assert str(refused.value) == f"t.u (rowid={ROWS}): '{twice}' is the same in t_pkey as that of the row (rowid=4)"
    assert refused.value.count == 1


@pytest.mark.usefixtures("without_server_check")
async def test_a_text_that_fits_into_no_index_stops_the_load(make_source: MakeSource, database_dsn: str) -> None:
    """It is named when its page comes by, not when all pages have."""
    long = "".join(f"{number:x}{chr(0x4E00 + number)}" for number in range(1_200))
    rows = [(number, long if number == 2 else "short") for number in range(1, 9)]
    path = make_source("create table t (id integer primary key, name text); create index i on t (name);", {"t": rows})
    with pytest.raises(RefusedRowsError, match=r"t\.name \(id=2\): .* is too long for i"):
        await migrate(options_of(path, database_dsn), SilentProgress())


async def test_keys_without_coerced_values_are_read_once(
    make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table in whose keys nothing can collide pays nothing, though values beside them are coerced."""

    async def unwanted(*_arguments: Any, **_flags: Any) -> None:
        raise AssertionError("the source was searched")

    monkeypatch.setattr(key_watch, "search_keys", unwanted)
    rows = [(*row[:2], "2024-01-01T00:00:00Z") for row in uuids()]
    path = make_source("create table t (u uuid primary key, n int unique, at timestamptz);", {"t": rows})
    report = await migrate(options_of(path, database_dsn), SilentProgress())
    assert report.status == 0


async def test_a_plan_that_the_values_contradict_is_not_judged_by_its_keys(
    make_source: MakeSource, database_dsn: str
) -> None:
    """Rounded they would be the same; but the type is widened for them, and then they are not."""
    rows = [(1, 0.1 + 0.2), (2, 1.001), (3, 1.002)]
    path = make_source("create table t (id integer primary key, k decimal(5,2) unique);", {"t": rows})
    report = await migrate(options_of(path, database_dsn), SilentProgress())
    assert report.status == 0
    assert [str(column.type) for column in report.plan.tables[0].columns] == ["bigint", "numeric"]
