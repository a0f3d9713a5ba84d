"""A database that pgloader has loaded, checked by `etl verify`: the page's example, tried."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import execute, running_server
from tests.fix_command import EtlCommand
from tests.fix_source import build_source

pytestmark = pytest.mark.skipif(shutil.which("pgloader") is None, reason="pgloader is not installed")

SCRIPT = """
create table Customer (id integer primary key autoincrement, "fullName" text not null, balance decimal(10,2),
    rating real, joined datetime, vip boolean, doc json, uid uuid, photo blob);
create table Orders (id integer primary key, customerId integer references Customer (id), total float, born date,
    at timestamp, note varchar(20));
create index orders_customer on Orders (customerId);
create table tag (name text primary key, n bigint);
"""
UUID = "6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff"
ROWS = {
    "Customer": [
        (1, "Zoë", 12.5, 4.9, "2024-02-29 12:00:00", 1, '{"a":[1.50]}', UUID, b"\0\xff"),
        (2, "Ada", 0.1, 19.99, "2024-03-01 08:30:00.5", 0, "[]", None, None),
    ],
    "Orders": [(1, 1, 19.99, "2024-01-01", "2024-01-01 10:00:00", "x"), (2, 2, 1e10 / 3, None, None, "")],
    "tag": [("a", 2**40), ("é", None)],
}
Loaded = tuple[Path, str]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """The source, and the DSN of what pgloader made of it by its defaults."""
    folder = tmp_path_factory.mktemp("pgloader")
    source = build_source(folder / "shop.db", SCRIPT, ROWS)
    ram = Path("/dev/shm")  # noqa: S108 - not a file of ours: a folder is made inside it
    with running_server(None, None, ram if ram.is_dir() else folder) as server:
        command = ["pgloader", "--root-dir", str(folder), "--on-error-stop", str(source), server.dsn]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        yield source, server.dsn


def test_what_pgloader_loaded_is_equal_by_its_values(loaded: Loaded, etl: EtlCommand) -> None:
    """Lower-cased names, float4, json and timestamptz are its own choice, and no lost value."""
    for way in ("full", "digest"):
        done = etl("verify", *loaded, "--mode", "fill", "--verify", way)
        assert done.status == 0, done.err + done.out
        assert "verdict: equal: 3 tables, 6 rows" in done.out


def test_its_schema_is_another_one_and_the_hint_says_how_to_leave_that_out(loaded: Loaded, etl: EtlCommand) -> None:
    """Its user first learns that tables are missing, and next what to ask instead."""
    done = etl("verify", *loaded)
    assert done.status == 4
    assert "table Customer: expected a table" in done.out
    assert "--mode fill" in done.hints[0]
    done = etl("verify", *loaded, "--lowercase")
    assert done.status == 4
    assert "Customer.fullname: expected text not null, target text" in done.out
    assert "Customer.rating: expected double precision, target real" in done.out
    assert "--mode fill" in done.hints[0]


def test_a_value_that_it_had_lost_would_be_named(loaded: Loaded, etl: EtlCommand) -> None:
    """One cent in one row."""
    source, dsn = loaded
    execute(dsn, "update customer set balance = 12.51 where id = 1")
    try:
        done = etl("verify", source, dsn, "--mode", "fill")
        assert done.status == 4
        assert "balance" in done.out
        assert "12.51" in done.out
    finally:
        execute(dsn, "update customer set balance = 12.5 where id = 1")
