"""Rows that cannot be held go to files, the rest is proven, and the mended rows follow."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.fix_command import EtlCommand
from tests.fix_source import MakeSource

SCRIPT = """
create table amounts (id integer primary key, amount decimal(10,2), name varchar(3));
insert into amounts values (1, 1.5, 'abc'), (2, '12,50', 'x'), (3, 2, 'abcdef'), (4, 'none', 'y'), (5, 7.25, null);
create table plain (id integer primary key, note text);
insert into plain values (1, 'a'), (2, 'b');
"""


async def rows_of(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


@pytest.fixture
def rejected(make_source: MakeSource, database_dsn: str, etl: EtlCommand, tmp_path: Path) -> tuple[Path, Path]:
    """A migrated source with two rejected rows, and the folder that they are in."""
    source, folder, report = make_source(SCRIPT), tmp_path / "rejects", tmp_path / "report.json"
    done = etl("migrate", source, database_dsn, "--on-error", "reject", "--rejects", folder, "--report", report)
    assert done.status == 3, done.err
    assert "2 rows rejected" in done.out
    (table,) = [table for table in json.loads(report.read_text())["tables"] if table["name"] == "amounts"]
    assert (table["source_rows"], table["loaded_rows"], table["rejected_rows"]) == (5, 3, 2)
    assert table["verdict"] == "equal"
    return source, folder


def test_bad_rows_are_in_files_and_all_others_in_the_target(rejected: tuple[Path, Path], database_dsn: str) -> None:
    """Each rejected row is whole, with its key and its reason; what a wider type cures is not rejected."""
    _, folder = rejected
    assert [path.name for path in folder.iterdir()] == ["amounts.jsonl"]
    lines = [json.loads(line) for line in (folder / "amounts.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == ["id=2", "id=4"]
    assert lines[0]["values"]["name"] == {"class": "text", "value": "x"}
    loaded = asyncio.run(rows_of(database_dsn, "select id, amount::text, name from amounts order by id"))
    assert loaded == [(1, "1.50", "abc"), (3, "2.00", "abcdef"), (5, "7.25", None)]


def test_mended_rows_are_loaded_once(rejected: tuple[Path, Path], database_dsn: str, etl: EtlCommand) -> None:
    """All in one transaction; the files are renamed, and a second time there is nothing to load."""
    source, folder = rejected
    file = folder / "amounts.jsonl"
    file.write_text(file.read_text().replace('"12,50"', '"12.50"').replace('{"class":"text","value":"none"}', "null"))
    done = etl("migrate", source, database_dsn, "--from-rejects", folder)
    assert done.status == 0, done.err
    loaded = asyncio.run(rows_of(database_dsn, "select id, amount::text from amounts where id in (2, 4) order by id"))
    assert loaded == [(2, "12.50"), (4, None)]
    assert [path.name for path in folder.iterdir()] == ["amounts.jsonl.loaded"]
    assert etl("migrate", source, database_dsn, "--from-rejects", folder).status == 2


def test_rows_that_are_still_wrong_change_nothing(
    rejected: tuple[Path, Path], database_dsn: str, etl: EtlCommand
) -> None:
    """One row mended, one not: neither is loaded, and the file stays."""
    source, folder = rejected
    file = folder / "amounts.jsonl"
    file.write_text(file.read_text().replace('"12,50"', '"12.50"'))
    done = etl("migrate", source, database_dsn, "--from-rejects", folder)
    assert done.status == 1
    assert "'none' is not numeric(10,2)" in done.err
    assert asyncio.run(rows_of(database_dsn, "select count(*) from amounts")) == [(3,)]
    assert file.exists()


def test_a_row_that_is_neither_loaded_nor_rejected_is_a_difference(
    rejected: tuple[Path, Path], database_dsn: str, etl: EtlCommand
) -> None:
    """A verification that stands alone knows of no reject file: it names the two rows that are missing."""
    source, _ = rejected
    done = etl("verify", source, database_dsn)
    assert done.status == 4
    assert "2 missing" in done.out


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("not json", "not JSON"),
        ('{"table": "amounts"}', "'values' is missing"),
        ('{"table": "amounts", "values": {"id": 9}}', "'amount' is missing"),
        ('{"table": "amounts", "values": {"id": {"class": "float", "value": "1"}, "amount": 1, "name": 2}}', "class"),
        ('{"table": "nowhere", "values": {}}', "no table nowhere"),
    ],
)
def test_a_spoilt_file_is_named_with_its_line(
    make_source: MakeSource, database_dsn: str, etl: EtlCommand, tmp_path: Path, line: str, word: str
) -> None:
    """Usage, not a traceback."""
    source = make_source(SCRIPT.replace("'12,50'", "1").replace("'none'", "1"))
    assert etl("migrate", source, database_dsn).status == 0
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "amounts.jsonl").write_text(line + "\n")
    done = etl("migrate", source, database_dsn, "--from-rejects", tmp_path / "r")
    assert done.status == 2, done.err
    assert word in done.err
    assert "amounts.jsonl" in done.err


def test_a_row_without_a_rowid_is_named_by_its_key(make_source: MakeSource, database_dsn: str, etl: EtlCommand) -> None:
    """A text key is quoted once; a key of several parts names them all."""
    script = """
    create table pairs (name text, number integer, flag boolean, primary key (name, number)) without rowid;
    insert into pairs values ('a', 1, 1), ('it''s', 2, 'maybe');
    """
    done = etl("migrate", make_source(script), database_dsn)
    assert done.status == 1
    assert "error: pairs.flag (name='it's', number=2): 'maybe' is not boolean" in done.err
