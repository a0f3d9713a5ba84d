"""Large values: how often they are held at once, and what is said of one that differs."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import asyncpg
import pytest

BLOB_BYTES = 120_000_000
BASE_BYTES = 250_000_000
MEASURED = """
import pathlib, re, resource, sys
from etl.shell.cli import main
try:
    main()
finally:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform == "linux":  # there a child begins with the peak of the process that started it
        peak = re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]
    print("peak", peak, file=sys.stderr)
"""


def write_blobs(path: Path, sizes: Sequence[int]) -> None:
    """A table t of random blobs: zeros would be compressed on the way, and show nothing."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table t (id integer primary key, data blob)")
        connection.executemany("insert into t values (?, ?)", enumerate(map(os.urandom, sizes)))
        connection.commit()


def peak_of(*arguments: str) -> tuple[subprocess.CompletedProcess[str], int]:
    """The command in a process of its own, and the most memory that it had resident, in bytes."""
    command = [sys.executable, "-c", MEASURED, *arguments, "--progress", "none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done, int(done.stderr.rpartition("peak ")[2]) * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize("verify", ["full", "digest"])
async def test_a_blob_is_held_three_times_at_most_from_the_source_to_the_verdict(
    tmp_path: Path, database_dsn: str, verify: str
) -> None:
    """SQLite, Arrow, the encoder and the driver of the target each want a copy: never all of them at once."""
    write_blobs(tmp_path / "large.db", [BLOB_BYTES])
    done, peak = peak_of("migrate", str(tmp_path / "large.db"), database_dsn, "--yes", "--verify", verify)
    assert done.returncode == 0, done.stderr
    assert peak < BASE_BYTES + 3 * BLOB_BYTES


async def test_a_large_document_is_read_without_a_tree_of_its_values(tmp_path: Path, database_dsn: str) -> None:
    """Where no verification counts repeated keys, the load does; a tree would be ten times as large."""
    document = "[" + '{"id": 7, "name": "Gerät", "pos": {"lat": 48.250, "lon": -16.0}, "on": true}, ' * 250_000 + "1.0]"
    with closing(sqlite3.connect(tmp_path / "large.db")) as connection:
        connection.execute("create table t (id integer primary key, data json)")
        connection.execute("insert into t values (1, ?)", (document,))
        connection.commit()
    done, peak = peak_of("migrate", str(tmp_path / "large.db"), database_dsn, "--yes", "--verify", "none")
    assert done.returncode == 0, done.stderr
    assert peak < BASE_BYTES + 3 * len(document)


async def test_several_large_blobs_are_loaded_one_after_the_other(tmp_path: Path, database_dsn: str) -> None:
    """Each stage of the pipeline works ahead of the next; of large rows that would be one for each stage."""
    write_blobs(tmp_path / "large.db", [BLOB_BYTES] * 4)
    done, peak = peak_of("migrate", str(tmp_path / "large.db"), database_dsn, "--yes", "--verify", "none")
    assert done.returncode == 0, done.stderr
    assert peak < BASE_BYTES + 3 * BLOB_BYTES


async def test_blobs_behind_thousands_of_tiny_rows_are_read_a_few_at_a_time(tmp_path: Path, database_dsn: str) -> None:
    """A page sized by the rows before it would hold a hundred of them."""
    write_blobs(tmp_path / "tail.db", [8] * 20_000 + [20_000_000] * 20)
    done, peak = peak_of("migrate", str(tmp_path / "tail.db"), database_dsn, "--yes")
    assert done.returncode == 0, done.stderr
    assert peak < 600_000_000


async def test_a_large_value_that_differs_is_told_by_its_length_and_hash(tmp_path: Path, database_dsn: str) -> None:
    """Nobody reads 120 MB in a report, and to hold them there cost six times the value."""
    write_blobs(tmp_path / "large.db", [BLOB_BYTES])
    done, _ = peak_of("migrate", str(tmp_path / "large.db"), database_dsn, "--yes", "--verify", "none")
    assert done.returncode == 0, done.stderr
    target = await asyncpg.connect(database_dsn)
    try:
        await target.execute("update t set data = overlay(data placing '\\x41' from 100000)")
        there = await target.fetchval("select encode(sha256(data), 'hex') from t")
    finally:
        await target.close()
    report = tmp_path / "report.json"
    done, peak = peak_of("verify", str(tmp_path / "large.db"), database_dsn, "--report", str(report))
    assert done.returncode == 4, done.stderr
    assert peak < BASE_BYTES + 3 * BLOB_BYTES
    (difference,) = json.loads(report.read_text())["differences"]
    with closing(sqlite3.connect(tmp_path / "large.db")) as connection:
        here = sha256(connection.execute("select data from t").fetchone()[0]).hexdigest()
    assert f"(120,000,000 bytes, SHA-256 {here[:16]}…)" in difference["source_value"]
    assert f"(120,000,000 bytes, SHA-256 {there[:16]}…)" in difference["actual"]


async def test_a_text_of_fifty_megabytes_arrives_and_is_compared(tmp_path: Path, database_dsn: str) -> None:
    """What holds for blobs holds for text, whose characters are checked too."""
    text = os.urandom(25_000_000).hex()
    with closing(sqlite3.connect(tmp_path / "text.db")) as connection:
        connection.execute("create table t (id integer primary key, data text)")
        connection.execute("insert into t values (1, ?)", (text,))
        connection.commit()
    done, peak = peak_of("migrate", str(tmp_path / "text.db"), database_dsn, "--yes")
    assert done.returncode == 0, done.stderr
    assert peak < BASE_BYTES + 3 * len(text)


async def test_every_one_of_several_large_values_that_differ_is_found(tmp_path: Path, database_dsn: str) -> None:
    """The bytes of a large row are gone when its neighbour comes: its place must not be."""
    write_blobs(tmp_path / "large.db", [10, 40_000_000, 20, 40_000_000, 30])
    done, _ = peak_of("migrate", str(tmp_path / "large.db"), database_dsn, "--yes", "--verify", "none")
    assert done.returncode == 0, done.stderr
    target = await asyncpg.connect(database_dsn)
    try:
        await target.execute("update t set data = data || '\\x00' where id in (1, 3); delete from t where id = 2")
    finally:
        await target.close()
    for verify in ("full", "digest"):
        report = tmp_path / f"{verify}.json"
        arguments = ("--verify", verify, "--report", str(report))
        done, _ = peak_of("verify", str(tmp_path / "large.db"), database_dsn, *arguments)
        assert done.returncode == 4, done.stderr
        found = {(entry["kind"], entry["key"]) for entry in json.loads(report.read_text())["differences"]}
        assert {("different", "id=1"), ("different", "id=3"), ("missing", "id=2")} <= found
