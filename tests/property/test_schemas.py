"""Whatever SQLite accepts as a schema becomes DDL that PostgreSQL accepts."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.planning import all_statements, plan_of

# no NUL, which ends a statement, and no lone surrogate, which is no text
ODD_NAMES = 'id ID rowid xmin ctid select User order a%b "q" %s % :x [x] é t_pkey'
NAMES = st.one_of(
    st.sampled_from([*ODD_NAMES.split(), "a b"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=70),
)
COMMON_TYPES = """;INTEGER;INT;TEXT;VARCHAR(20);VARCHAR(0);CHAR(99999999);DECIMAL(10,2);NUMERIC(5000);NUMERIC(5,9)
;NUMERIC(3,-1);DATE;DATETIME;TIMESTAMP(9);TIME;BOOLEAN;JSON;JSONB;UUID;BLOB;ANY;REAL;FLURB;UNSIGNED BIG INT;TINYINT(1)
;DOUBLE PRECISION;MONEY"""
TYPES = st.one_of(
    st.sampled_from(COMMON_TYPES.split(";")),
    st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}( ?\([0-9]{1,9}(,[0-9]{1,4})?\))?", fullmatch=True),
)
COMMON_DEFAULTS = """;;0;-1.5;'x''y';"%s";x'ff';current_timestamp;(datetime('now'));null;true;'{}';':a';'\\'"""
DEFAULTS = st.sampled_from([value and f"default {value}" for value in COMMON_DEFAULTS.split(";")])
COLLATIONS = st.sampled_from(["", "", "", "collate nocase", "collate rtrim", "collate binary"])
CHECKS = st.sampled_from(["", "", "> 0", "in (0, 1)", "<> ''", "is not null", "like 'a%'", "between 1 and 2"])


@st.composite
def tables(draw: st.DrawFn, name: str, earlier: list[str]) -> str:
    """One CREATE TABLE with its indexes."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique_by=lambda text: text.lower()))
    columns, quoted_names = [], [quote(column) for column in names]
    for column in quoted_names:
        check = draw(CHECKS)
        parts = [column, draw(TYPES), draw(st.sampled_from(["", "not null"])), draw(DEFAULTS), draw(COLLATIONS)]
        columns.append(" ".join([*parts, f"check ({column} {check})" if check else ""]))
    subset = st.lists(st.sampled_from(quoted_names), min_size=1, max_size=3, unique=True)
    constraints = []
    if draw(st.booleans()):
        constraints.append(f"primary key ({', '.join(draw(subset))})")
    if draw(st.booleans()):
        constraints.append(f"unique ({', '.join(draw(subset))})")
    if earlier and draw(st.booleans()):
        constraints.append(f"foreign key ({quoted_names[0]}) references {quote(draw(st.sampled_from(earlier)))}")
    script = f"create table {quote(name)} ({', '.join([*columns, *constraints])});\n"
    if draw(st.booleans()):
        terms = ", ".join(f"{column} {draw(COLLATIONS)} desc" for column in draw(subset))
        script += f"create index {quote(draw(NAMES) + '_i')} on {quote(name)} ({terms});\n"
    return script


@st.composite
def schemas(draw: st.DrawFn) -> str:
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique_by=lambda text: text.lower()))
    return "".join(draw(tables(name, names[: index + 1])) for index, name in enumerate(names))


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.timeout(600)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(script=schemas())
def test_random_schemas_become_valid_ddl(script: str, server_dsn: str) -> None:
    """Random names, types, keys, defaults and checks, created on a real server and rolled back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("pragma synchronous = off")
            try:
                connection.executescript(script)
            except sqlite3.Error:
                assume(False)  # SQLite itself refuses it
        asyncio.run(create_and_roll_back(path, server_dsn))


async def create_and_roll_back(path: Path, dsn: str) -> None:
    plan = await plan_of(path)  # tables without rows: there is nothing to refuse
    connection = await asyncpg.connect(dsn)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("create schema etl_random")
        for statement in all_statements(plan, "etl_random"):
            await connection.execute(statement.sql)
        created = await connection.fetchval(
            "select count(*) from pg_tables where schemaname = 'etl_random'",
        )
        assert created == len(plan.tables)
        await transaction.rollback()
    finally:
        await connection.close()
