"""NULLs that the plan of a move fills with their owner: by a named rule, counted, and known to verification."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from etl.errors import ExitStatus, PlanError, RefusedValueError
from etl.options import Backfill, Options
from etl.phases.comparison import verify
from etl.pipeline import migrate
from etl.progress import SilentProgress
from etl.report import Report, outcomes
from tests.fix_source import MakeSource

SCRIPT = """
    create table session (id integer primary key, title text, owner text, uid integer);
    insert into session values (1, 'a', null, null), (2, 'b', 'grace', 7), (3, 'c', null, null), (4, 'd', '', null);
"""
OWNER = (Backfill("session", "owner", "ada"), Backfill("session", "uid", "1000"))


async def move(source: Path, dsn: str, backfills: tuple[Backfill, ...], **settings: object) -> Report:
    """Migrate with the owner filled."""
    options = Options(source, dsn, backfills=backfills, **settings)  # type: ignore[arg-type]
    return await migrate(options, SilentProgress())


async def rows(dsn: str, query: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def test_nulls_become_the_owner_and_are_counted(make_source: MakeSource, database_dsn: str) -> None:
    """Rows of the time before there were owners belong to somebody; rows that have an owner keep him."""
    report = await move(make_source(SCRIPT), database_dsn, OWNER)
    assert report.status is ExitStatus.DONE
    assert await rows(database_dsn, "select owner, uid from session order by id") == [
        ("ada", 1000),
        ("grace", 7),
        ("ada", 1000),
        ("", 1000),
    ]
    (table,) = outcomes(report)
    assert {(coercion.column, coercion.rule): coercion.count for coercion in table.coercions} == {
        ("owner", "owner-backfilled"): 2,
        ("uid", "owner-backfilled"): 3,
    }
    (key, before, after) = table.coercions[0].samples[0]
    assert (key, before, after) == ("id=1", "NULL", "ada")


async def test_what_a_flag_makes_null_is_filled_too(make_source: MakeSource, database_dsn: str) -> None:
    """'' in a column of numbers is no owner either, once the user has said that it is NULL."""
    source = make_source(
        "create table t (id integer primary key, uid); insert into t values (1, ''), (2, 5), (3, null);"
    )
    backfills = (Backfill("t", "uid", "9"),)
    report = await move(source, database_dsn, backfills, empty_as_null=True, casts=("t.uid=bigint",))
    assert report.status is ExitStatus.DONE
    assert await rows(database_dsn, "select uid from t order by id") == [(9,), (5,), (9,)]


@pytest.mark.parametrize("damage", ["null", "'eve'"])
async def test_verification_knows_the_owner(make_source: MakeSource, database_dsn: str, damage: str) -> None:
    """A row that lost its owner, or got another one, is a difference; the owner himself is none."""
    source = make_source(SCRIPT)
    await move(source, database_dsn, OWNER)
    options = Options(source, database_dsn, backfills=OWNER)
    assert (await verify(options, SilentProgress())).status is ExitStatus.DONE
    await rows(database_dsn, f"update session set owner = {damage} where id = 3")
    report = await verify(options, SilentProgress())
    assert report.status is ExitStatus.DIFFERENT
    (difference,) = report.verified[0].differences
    assert (difference.key, difference.column, difference.source_value) == ("id=3", "owner", "NULL")
    assert "ada" in str(difference.expected)


async def test_without_the_plan_the_owner_is_a_difference(make_source: MakeSource, database_dsn: str) -> None:
    """What no plan explains, verification does not excuse."""
    source = make_source(SCRIPT)
    await move(source, database_dsn, OWNER)
    report = await verify(Options(source, database_dsn), SilentProgress())
    assert report.verified[0].difference_counts["different"] == 3


async def test_an_owner_that_the_type_cannot_hold_stops_the_run(make_source: MakeSource, database_dsn: str) -> None:
    """A name in the place of a number is refused like any other value."""
    with pytest.raises(RefusedValueError, match="'ada' is not"):
        await move(make_source(SCRIPT), database_dsn, (Backfill("session", "uid", "ada"),))
    assert await rows(database_dsn, "select relname from pg_class where relname = 'session'") == []


async def test_a_column_that_is_not_there_is_named(make_source: MakeSource, database_dsn: str) -> None:
    """A misspelt column would leave rows without an owner."""
    with pytest.raises(PlanError, match=r"session\.owner_person"):
        await move(make_source(SCRIPT), database_dsn, (Backfill("session", "owner_person", "ada"),))
