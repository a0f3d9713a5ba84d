"""Random databases, moved and compared: never a false alarm; and what is damaged afterwards never passes.

A failure names the number of its database: ``random_database(number, folder)`` makes it again.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import asyncpg
import pytest

from etl.errors import EtlError, ExitStatus
from etl.options import Options
from etl.phases.comparison import verify
from etl.pipeline import migrate
from etl.progress import SilentProgress
from etl.report import Report
from tests.random_databases import RandomDatabase, quoted, random_database

IN_EVERY_RUN = 30
IN_ALL = 500


def differences(report: Report) -> list[object]:
    return [*report.differences, *(one for table in report.verified for one in table.differences)]


async def check(dsn: str, number: int, folder: Path) -> RandomDatabase:
    """Move one database, verify it by values and by digests, then take a row away and verify again."""
    database = random_database(number, folder)
    options = database.options(dsn)
    target = await asyncpg.connect(dsn)
    try:
        await target.execute(f"create schema {quoted(database.schema)}")
        if database.filled:
            await migrate(replace(options, schema_only=True), SilentProgress())
        moved = await migrate(options, SilentProgress())
        assert (differences(moved), moved.status) == ([], ExitStatus.DONE)
        for way in ("full", "digest"):
            verified = await verify(replace(options, verify=way, mode=fit(database)), SilentProgress())
            assert (differences(verified), verified.status) == ([], ExitStatus.DONE), way
        await damage(target, moved, options, database)
    except EtlError as error:
        raise AssertionError(f"database {number}: {error.message}") from error
    except AssertionError as error:
        raise AssertionError(f"database {number}: {error}") from error
    finally:
        await target.execute(f"drop schema {quoted(database.schema)} cascade")
        await target.close()
    return database


def fit(database: RandomDatabase) -> str:
    return "fill" if database.filled else "auto"


async def damage(target: asyncpg.Connection, moved: Report, options: Options, database: RandomDatabase) -> None:
    """A row that is gone is told in its table and nowhere else, whichever it is."""
    rng = Random(database.number)
    held = [table for table in moved.verified if table.target_rows]
    if not held:
        return
    table = rng.choice(held)
    name = f"{quoted(database.schema)}.{quoted(table.target_name)}"
    await target.execute(
        f"set session_replication_role = replica; delete from {name} where ctid ="
        f" (select ctid from {name} offset {rng.randrange(table.target_rows)} limit 1)"
    )
    way = rng.choice(["full", "digest"])
    verified = await verify(replace(options, verify=way, mode=fit(database)), SilentProgress())
    assert verified.status is ExitStatus.DIFFERENT
    counts = {one.name: dict(one.difference_counts) for one in verified.verified if one.difference_counts}
    assert counts == {table.name: {"missing": 1}}


@pytest.mark.parametrize("number", range(IN_EVERY_RUN))
def test_no_false_alarm_in_a_random_database(number: int, server_dsn: str, tmp_path: Path) -> None:
    """Whoever is told of a difference must be able to believe it."""
    asyncio.run(check(server_dsn, number, tmp_path))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_no_false_alarm_in_500_random_databases(server_dsn: str, soak_seconds: float) -> None:
    """As many of the five hundred as the time allows; ETL_SOAK_SECONDS=1800 suffices for all of them."""
    until = time.monotonic() + soak_seconds
    checked: list[RandomDatabase] = []
    for number in range(IN_EVERY_RUN, IN_EVERY_RUN + IN_ALL):
        if time.monotonic() > until:
            break
        with tempfile.TemporaryDirectory() as folder:
            checked.append(asyncio.run(check(server_dsn, number, Path(folder))))
    tables, rows = sum(one.tables for one in checked), sum(one.rows for one in checked)
    print(f"{len(checked)} databases, {tables:,} tables, {rows:,} rows: no false alarm")
    assert checked
