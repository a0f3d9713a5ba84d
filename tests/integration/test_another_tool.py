"""A target that another tool has loaded is checked like our own: what it lost is named."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import execute
from tests.fix_source import MakeSource

SCRIPT = """
create table item (id integer primary key, ratio real, price real, at datetime, doc json, name text, flag boolean);
insert into item values (1, 0.5, 19.99, '2024-02-29 12:00:00', '{"b": 1, "a": [1.50]}', 'Zoë', 1),
                        (2, 0.1, 5.0, '2024-03-01 08:30:00', '[]', '', 0), (3, null, null, null, null, null, null);
"""
# the types that pgloader gives these columns: float4, json, timestamptz
TABLE = (
    "create table item (id bigserial primary key, ratio real, price real, at timestamptz, doc json, name text,"
    " flag boolean)"
)
ROWS = (
    "insert into item values (1, 0.5, 19.99, '2024-02-29 12:00:00Z', '{\"b\": 1, \"a\": [1.50]}', 'Zoë', true),"
    " (2, 0.1, 5, '2024-03-01 08:30:00Z', '[]', '', false), (3, null, null, null, null, null, null);"
    " select setval('item_id_seq', 3)"
)


@pytest.fixture
def loaded(make_source: MakeSource, database_dsn: str) -> tuple[Path, str]:
    """The source, and a target with another tool's types."""
    asyncio.run(execute(database_dsn, TABLE, *ROWS.split("; ")))
    return make_source(SCRIPT), database_dsn


def verify(etl: EtlCommand, source: Path, dsn: str, report: Path, *flags: object) -> tuple[int, Any]:
    done = etl("verify", source, dsn, "--mode", "fill", "--report", report, *flags)
    assert report.exists(), done.err
    return done.status, json.loads(report.read_text())


@pytest.mark.parametrize("way", ["full", "digest"])
def test_values_that_another_tool_has_kept_are_equal(
    loaded: tuple[Path, str], etl: EtlCommand, tmp_path: Path, way: str
) -> None:
    """float4, json and timestamptz are judged by what they can say: the nearest real, the document, the instant."""
    status, content = verify(etl, *loaded, tmp_path / "r.json", "--verify", way)
    assert (status, content["verdict"], content["differences"]) == (0, "equal", [])


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("update item set price = 19.98 where id = 1", "price"),
        ("update item set at = at + interval '1 hour' where id = 1", "at"),
        ("update item set name = null where id = 2", "name"),
        ('update item set doc = \'{"b": 1, "a": [1.5, 2]}\' where id = 1', "doc"),
    ],
)
def test_what_another_tool_has_lost_is_named(
    loaded: tuple[Path, str], etl: EtlCommand, tmp_path: Path, statement: str, column: str
) -> None:
    """Its users learn the row, the column, what was stored, what should be there and what is."""
    asyncio.run(execute(loaded[1], statement))
    status, content = verify(etl, *loaded, tmp_path / "r.json")
    assert status == 4
    assert [one["column"] for one in content["differences"]] == [column]


def test_a_cast_says_how_another_tool_was_told_to_read(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """Milliseconds since 1970 are a timestamp for who reads them so."""
    source = make_source("create table e (id integer primary key, at integer); insert into e values (1, 1700000000123)")
    asyncio.run(
        execute(
            database_dsn,
            "create table e (id bigint primary key, at timestamp)",
            "insert into e values (1, '2023-11-14 22:13:20.123')",
        )
    )
    cast = ("--cast", "e.at=timestamp:epoch-ms")
    assert verify(etl, source, database_dsn, tmp_path / "a.json", *cast)[0] == 0
    assert verify(etl, source, database_dsn, tmp_path / "b.json", "--cast", "e.at=timestamp:epoch-s")[0] == 4
