"""Compares what a rival loaded with what the source holds; no figure counts before this has passed.

Invariant: independent of every rival and of our own verification: one aggregate query per table and side. It sees
missing, doubled, changed and shifted values in bulk; proving each single value is `etl verify`'s task, not this one's.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from collections.abc import Iterator
from decimal import Decimal

from benchmarks.generate import Dataset
from benchmarks.rivals import EXACT_TOLERANCE
from benchmarks.schema import TABLES, Column, Kind, Table
from benchmarks.server import fetch_rows

FACTS_VERSION = 2  # of the expressions below, whose values are kept; SQLite's sums must stay below 2^63

Fact = int | float | str | None
Facts = dict[str, Fact]  # "events.amount.sum" → value


# Per kind: name of the fact → (SQLite expression, PostgreSQL expression); {c} is the quoted column.
# Target columns may have any rival's type, hence the casts.
_COUNT = ("count({c})", "count({c})")
_EXPRESSIONS: dict[Kind, dict[str, tuple[str, str]]] = {
    Kind.INTEGER: {
        "sum": ("sum({c})", "sum({c}::bigint)"),
        "ends": ("min({c}) || ' ' || max({c})", "min({c}::bigint) || ' ' || max({c}::bigint)"),
        "aligned": ("sum((id % 1000) * ({c} % 1000))", "sum((id % 1000) * ({c}::bigint % 1000))"),
    },
    Kind.REAL: {
        "sum": ("sum({c})", "sum({c}::double precision)"),
        "min": ("min({c})", "min({c}::double precision)"),
        "max": ("max({c})", "max({c}::double precision)"),
        "aligned": ("sum((id % 1000) * {c})", "sum((id % 1000) * {c}::double precision)"),
    },
    Kind.DECIMAL: {
        "cents": ("sum(cast(round({c} * 100) as integer))", "sum(round({c}::numeric * 100))"),
        "aligned": (
            "sum((id % 1000) * cast(round({c} * 100) as integer))",
            "sum((id % 1000) * round({c}::numeric * 100))",
        ),
    },
    Kind.BOOLEAN: {
        "true": (
            "sum({c} in (1, '1', 'yes') )",
            "sum(case when {c}::text in ('1', 't', 'true') then 1 else 0 end)",
        ),
        "aligned": (
            "sum((id % 1000) * ({c} in (1, '1', 'yes')))",
            "sum(case when {c}::text in ('1', 't', 'true') then id % 1000 else 0 end)",
        ),
    },
    Kind.TIMESTAMP: {
        "microseconds": (
            "sum(cast(strftime('%s', substr({c}, 1, 19)) as integer)) * 1000000"
            " + sum(cast(substr({c}, 21, 6) as integer))",
            "sum(extract(epoch from {c}::timestamp) * 1000000)",
        ),
        "aligned": (
            "sum((id % 1000) * (cast(strftime('%s', substr({c}, 1, 19)) as integer) % 100000))",
            "sum((id % 1000) * (floor(extract(epoch from {c}::timestamp))::bigint % 100000))",
        ),
    },
    Kind.DATE: {
        "days": (
            "sum(cast(strftime('%s', {c}) as integer) / 86400)",
            "sum({c}::timestamp::date - date '1970-01-01')",
        ),
    },
    Kind.TEXT: {
        "characters": ("sum(length(cast({c} as text)))", "sum(length({c}::text))"),
        "bytes": ("sum(length(cast({c} as blob)))", "sum(octet_length({c}::text))"),
        "aligned": (
            "sum((id % 1000) * coalesce(unicode(cast({c} as text)), 0))",
            "sum((id % 1000) * coalesce(ascii({c}::text), 0))",
        ),
    },
    Kind.JSON: {
        "n": ("sum(json_extract({c}, '$.n'))", "sum(({c}::jsonb ->> 'n')::bigint)"),
        "aligned": (
            "sum((id % 1000) * json_extract({c}, '$.n'))",
            "sum((id % 1000) * ({c}::jsonb ->> 'n')::bigint)",
        ),
    },
    Kind.UUID: {
        "min": (
            "min(replace(lower({c}), '-', ''))",
            "min(replace(lower({c}::text), '-', '') collate \"C\")",
        ),
        "max": (
            "max(replace(lower({c}), '-', ''))",
            "max(replace(lower({c}::text), '-', '') collate \"C\")",
        ),
        "aligned": (
            "sum((id % 1000) * unicode(lower({c})))",
            "sum((id % 1000) * ascii(lower({c}::text)))",
        ),
    },
    Kind.BLOB: {
        "bytes": ("sum(length(cast({c} as blob)))", "sum(octet_length({c}))"),
        "aligned": (
            "sum((id % 1000) * length(cast({c} as blob)))",
            "sum((id % 1000) * octet_length({c}))",
        ),
        "max": ("max(lower(hex(substr({c}, 1, 8))))", "max(encode(substr({c}, 1, 8), 'hex') collate \"C\")"),
    },
}


def read_source_facts(dataset: Dataset) -> Facts:
    """The facts of a generated database, computed once and kept beside it."""
    kept = dataset.path.with_suffix(f".facts-{FACTS_VERSION}.json")
    if kept.exists():
        facts: Facts = json.loads(kept.read_text())
        return facts
    with contextlib.closing(sqlite3.connect(f"file:{dataset.path}?mode=ro", uri=True)) as database:
        facts = {}
        for table in _tables(database, dataset):
            names, sql = _query(table, side=0)
            facts |= dict(zip(names, database.execute(sql).fetchone(), strict=True))
    kept.write_text(json.dumps(facts, indent=1))
    return facts


def find_differences(dataset: Dataset, dsn: str, tolerance: float) -> list[str]:
    """One line per fact of the target that is not the source's; floating sums may differ by ``tolerance``."""
    expected = read_source_facts(dataset)
    actual: Facts = {}
    with contextlib.closing(sqlite3.connect(f"file:{dataset.path}?mode=ro", uri=True)) as database:
        tables = list(_tables(database, dataset))
    for table in tables:
        names, sql = _query(table, side=1)
        (row,) = fetch_rows(dsn, sql)
        actual |= dict(zip(names, map(_plain, row.values()), strict=True))
    return [
        f"{name}: {actual[name]} in the target, {fact} in the source"
        for name, fact in expected.items()
        if not _same(fact, actual[name], tolerance)
    ]


def _tables(database: sqlite3.Connection, dataset: Dataset) -> Iterator[Table]:
    """The benchmark's tables; those of any other database with their row counts only."""
    if dataset.profile == "main":
        yield from TABLES
        return
    sql = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'"
    for (name,) in database.execute(sql):
        yield Table(name, (), 0)


def _query(table: Table, side: int) -> tuple[list[str], str]:
    names, terms = [f"{table.name}.rows"], ["count(*)"]
    for column in table.columns:
        for fact, expressions in _expressions(column).items():
            names.append(f"{table.name}.{column.name}.{fact}")
            terms.append(expressions[side].format(c=f'"{column.name}"') + f" as f{len(names)}")
    return names, f'select {", ".join(terms)} from "{table.name}"'


def _expressions(column: Column) -> dict[str, tuple[str, str]]:
    return {"count": _COUNT, **_EXPRESSIONS[column.kind]}


def _plain(value: object) -> Fact:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value  # type: ignore[return-value]


def _same(expected: Fact, actual: Fact, tolerance: float) -> bool:
    if isinstance(expected, float) or isinstance(actual, float):
        if not isinstance(expected, int | float) or not isinstance(actual, int | float):
            return False
        return math.isclose(expected, actual, rel_tol=tolerance, abs_tol=tolerance)
    if tolerance > EXACT_TOLERANCE and isinstance(expected, int) and isinstance(actual, int):
        return math.isclose(expected, actual, rel_tol=tolerance)
    return expected == actual
