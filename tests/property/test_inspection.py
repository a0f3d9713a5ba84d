"""Inspection and migration never disagree: what one calls clean the other loads, what it refuses stops."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import string
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.errors import EtlError, ExitStatus, RefusedValueError
from etl.model import Coercion, Plan
from etl.options import Options
from etl.phases.inspection import inspect
from etl.pipeline import migrate
from etl.progress import SilentProgress
from etl.report import Report, outcomes

USUAL: dict[str, list[Any]] = {
    "varchar(3)": ["", "abc", "é😀x", "abcd"],
    "char(2) not null": ["ab", "é", "abc"],
    "decimal(5,2)": [1, 1.25, 0.1 + 0.2, 1.005, 999.99, 1000, -0.01, "12,50"],
    "datetime": ["2024-02-29 12:00:00", "2024-01-01T00:00:00Z", "2024-01-01", 1_700_000_000, 1_700_000_000_000, 0, ""],
    "datetime not null": ["2024-02-29 12:00:00", "2024-01-01 00:00:00+02:00", 1_700_000_000.5],
    "timestamp": ["2024-02-29 12:00:00", "2024-02-29 12:00:00.1234567", 1_700_000_000, 2_460_000.5, "0000-00-00"],
    "date": ["2024-02-29", "2024-02-29 00:00:00", 1_700_006_400, 20_240_229, "29.02.2024"],
    "timestamptz": ["2024-02-29 12:00:00+01", "2024-02-29 12:00:00", 1_700_000_000_000_000],
    "time": ["12:00", "12:00:00.123456789", 43_200],
    "tinyint": [0, 1, 32_767, 32_768, -40_000, 2.0],
    "smallint not null": [0, -32_768, 40_000],
    "int": [1, 2**63 - 1, 2.5, "7", "seven"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC999C0B4EF8BB6D6BB9BD380A11", b"0123456789abcdef", 7],
    "json": ['{"a": 1}', '{"a": 1, "a": 2}', "{", '"\\u0000"', 1.5],
    "boolean": [0, 1, "yes", 1.0, 2],
    "real": [1.5, 2**60, "1.5", "x"],
}
# beside the usual ones: values that are not the same in SQLite, and may become it
SAME: dict[str, list[Any]] = {
    "varchar(3)": ["abcd", "abce", "ABC"],
    "char(2) not null": ["a", "a ", "ab "],
    "decimal(5,2)": [1.001, 1.002, 0.3, "1.0"],
    "datetime": ["2024-02-29T12:00:00", "2024-02-29 12:00:00.000", "2024-02-29", "2024-02-29 00:00:00"],
    "timestamptz": ["2024-02-29 11:00:00Z", "2024-02-29 13:00:00+02:00"],
    "date": ["2024-02-29T00:00:00"],
    "time": ["12:00:00", "12:00:00.0"],
    "uuid": ["a0eebc999c0b4ef8bb6d6bb9bd380a11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", b"0123456789abcdeF"],
    "real": [0.1, 0.10000000000000002],
    "boolean": ["t", "no", 0.0],
    "text": ["1", 1, b"1", "", "a ", " a"],
    "json": ['{"a":1}', '{"a": 1.0}'],
}
TYPES = [*USUAL, "text", "blob", "", "flurb", "string"]
RANDOM = random.Random(7)
LONG_TEXTS = ["".join(RANDOM.choices(string.printable, k=length)) for length in (2_500, 2_692, 2_693, 3_500)]
LONG_TEXTS += ["ab" * 2_000, "x" * 400_000, "é" * 1_340, LONG_TEXTS[0] * 2]
INDEXES = (
    "create unique index {name} on t (c0)",
    "create unique index {name} on t (c0 desc)",
    "create unique index {name} on t (c0, {last})",
    "create unique index {name} on t ({last}, c0)",
    "create unique index {name} on t (c0 collate nocase)",
    "create unique index {name} on t (c0) where {last} is not null",
    "create unique index {name} on t (lower(c0))",
    "create index {name} on t (c0)",
    "create index {name} on t ({last} collate nocase, c0)",
)
ANYTHING: list[Any] = [0, -1, 2**53 + 1, 1.5, "", "a", "a\0b", "2024-01-01", b"\xff", b"text", 1e300]
JOBS = 2


@dataclass(frozen=True)
class Database:
    """A random source: one table of random columns, and a child whose rows may have no parent."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    children: tuple[int | None, ...]
    indexes: tuple[str, ...] = ()
    has_key: bool = True  # the table's own; else its first column is the key

    @property
    def script(self) -> str:
        key = "id integer primary key, " if self.has_key else ""
        listed = ", ".join(f"c{place} {declared}" for place, declared in enumerate(self.columns))
        first = "" if self.has_key else ", primary key (c0)"
        last = f"c{len(self.columns) - 1}"
        indexes = (index.format(name=f"i{place}", last=last) for place, index in enumerate(self.indexes))
        child = "create table child (parent int references t (id), at datetime)" if self.has_key else ""
        return ";".join((f"create table t ({key}{listed}{first})", *indexes, child, ""))

    def create(self, path: Path) -> Path:
        """Rows that SQLite's own keys refuse are left out."""
        rows = [(number, *row) if self.has_key else row for number, row in enumerate(self.rows, 1)]
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("pragma synchronous = off")
            connection.executescript(self.script)
            for row in rows:
                connection.execute(f"insert or ignore into t values ({', '.join('?' * len(row))})", row)
            if self.has_key:
                at = "2024-01-01 10:00:00"
                connection.executemany("insert into child values (?, ?)", [(child, at) for child in self.children])
        return path


@st.composite
def databases(draw: st.DrawFn) -> Database:
    columns = tuple(draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3)))
    dirt = draw(st.sampled_from([0, 0, 0, 1]))
    cells = []
    for declared in columns:
        usual = USUAL.get(declared, ["a", "b"])
        narrowed = draw(st.lists(st.sampled_from(usual), min_size=1, max_size=2))
        odd = draw(st.lists(st.sampled_from(ANYTHING), min_size=dirt, max_size=dirt))
        null = [] if "not null" in declared else [None]
        cells.append(st.sampled_from([*narrowed, *narrowed, *null, *odd]))
    rows = tuple(draw(st.lists(st.tuples(*cells), max_size=6)))
    parents = [*range(1, len(rows) + 1), *([9] if dirt else [])]
    children = tuple(draw(st.lists(st.sampled_from([None, *parents]), max_size=2)))
    return Database(columns, rows, children)


@st.composite
def keyed_databases(draw: st.DrawFn) -> Database:
    """Values that different spellings, rounding, cutting or emptiness may make the same, and long ones, in keys."""
    columns = tuple(draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=2)))
    cells = []
    for declared in columns:
        same = SAME.get(declared, ["a", "A", "b"])
        long = LONG_TEXTS if declared == "text" else []
        cells.append(st.sampled_from([*same, *same, *USUAL.get(declared, ())[:3], *long]))
    rows = tuple(draw(st.lists(st.tuples(*cells), min_size=2, max_size=6)))
    indexes = tuple(draw(st.lists(st.sampled_from(INDEXES), min_size=1, max_size=2)))
    return Database(columns, rows, (), indexes, draw(st.booleans()))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(database=databases())
def test_what_inspect_says_is_what_migrate_does(server_dsn: str, database: Database) -> None:
    """The same verdict, the same types, the same rules with the same counts, the same list of problems."""
    with asyncio.Runner() as runner:
        runner.run(compare(server_dsn, database))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(database=keyed_databases(), truncate=st.booleans(), empty_as_null=st.booleans())
def test_what_inspect_says_of_keys_is_what_migrate_does(
    server_dsn: str, database: Database, truncate: bool, empty_as_null: bool
) -> None:
    """Whether values collide in a key, or are too long for an index, is known beforehand, and not after hours."""
    with asyncio.Runner() as runner:
        runner.run(compare(server_dsn, database, truncate=truncate, empty_as_null=empty_as_null))


async def compare(dsn: str, database: Database, **flags: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        options = Options(database.create(Path(folder) / "s.db"), dsn, "inspected", jobs=JOBS, **flags)
        try:
            inspection = await inspect(options, SilentProgress())
        except EtlError as refused:  # no plan, and so no migration
            with pytest.raises(type(refused)):
                await migrate(options, SilentProgress())
            return
        report, stopped = await outcome_of(options)
        await drop_schema(dsn)
    if report is None:
        assert inspection.status is ExitStatus.FAILED or inspection.uncertain, stopped
        if isinstance(stopped, RefusedValueError):
            assert stopped.problems == inspection.problems
        return
    assert inspection.status == report.status, inspection.problems
    assert types_of(inspection.plan) == types_of(report.plan)
    surveyed = {(survey.name, *counts(column.coercions)) for survey in inspection.surveys for column in survey.columns}
    counted = {
        (outcome.name, *counts(tuple(c for c in outcome.coercions if c.column == column.source.name)))
        for outcome in outcomes(report)
        for column in outcome.plan.columns
    }
    assert surveyed == counted


async def outcome_of(options: Options) -> tuple[Report | None, EtlError | None]:
    try:
        return await migrate(options, SilentProgress()), None
    except EtlError as stopped:
        return None, stopped


def types_of(plan: Plan) -> dict[tuple[str, str], tuple[str, str | None]]:
    return {
        (table.name, column.name): (str(column.type), column.reading.how)
        for table in plan.tables
        for column in table.columns
    }


def counts(coercions: tuple[Coercion, ...]) -> list[tuple[str, str, int]]:
    return sorted((coercion.column, coercion.rule, coercion.count) for coercion in coercions)


async def drop_schema(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("drop schema if exists inspected cascade")
    finally:
        await connection.close()


async def test_a_sample_says_that_it_is_one(make_source: Any, tmp_path: Path) -> None:
    """Only so many rows are read, the refused one behind them is not seen, and the verdict does not hide that."""
    path = make_source("create table t (d date);", {"t": [("2024-01-01",)] * 50 + [("x",)]})
    options = Options(path, "", sample=20)
    sampled = await inspect(options, SilentProgress())
    assert (sampled.rows, sampled.is_sample, sampled.problems) == (20, True, ())
    assert "only the first 20 rows" in sampled.verdict
    whole = await inspect(replace(options, sample=None), SilentProgress())
    assert [problem.count for problem in whole.problems] == [1]
    assert not whole.is_sample
