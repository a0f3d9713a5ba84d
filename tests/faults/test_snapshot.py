"""One snapshot for all readers while an application writes and checkpoints, and a source that is never written."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.errors import SnapshotError, SourceError
from etl.extract import guardian
from etl.extract.reader import Reader
from etl.extract.snapshot import Snapshot, open_snapshot
from etl.options import Options
from etl.phases.inspection import make_plan
from etl.phases.source_pages import read
from etl.threads import in_thread

ROWS = 4000
# Moves a unit between two tables in one transaction, for ever, and checkpoints: the sum over both never changes.
WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
connection.execute("pragma synchronous = off")
while True:
    for _ in range(20):
        connection.execute("begin immediate")
        connection.execute("update t set v = v + 1")
        connection.execute("update u set v = v - 1")
        connection.execute("commit")
    connection.execute("pragma wal_checkpoint(truncate)")
"""


def make_pair(path: Path, journal_mode: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"pragma journal_mode = {journal_mode}")
        for table in ("t", "u"):
            connection.execute(f"create table {table} (id integer primary key, v integer, pad text)")
            connection.executemany(f"insert into {table} values (?, 0, ?)", ((i, "x" * 200) for i in range(ROWS)))
        connection.commit()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    try:
        time.sleep(0.4)
        yield process
    finally:
        process.kill()
        process.wait()


def sums(reader: Reader) -> set[tuple[int, int]]:
    """What the reader sees of each table: torn or moving snapshots give more than one value or another sum."""
    seen = set()
    for table in ("t", "u"):
        answer = reader.query(f"select min(v), max(v) from {table}", 1)
        seen.add((abs(answer.column(0)[0].as_py()), abs(answer.column(1)[0].as_py())))
    return seen


@pytest.mark.parametrize("round_number", range(3))
async def test_all_readers_see_one_state_while_a_writer_checkpoints(tmp_path: Path, round_number: int) -> None:
    """WAL: the writer goes on all the time, and no reader ever sees its work."""
    path = tmp_path / "live.db"
    make_pair(path, "wal")
    with writing(path) as writer:
        async with open_snapshot(path, 3) as snapshot:
            states = set()
            for _ in range(5):
                for reader in snapshot.readers:
                    states |= await in_thread(sums, reader)
                ((low, high),) = await snapshot.python.execute_fetchall("select min(v), max(v) from t")
                states.add((low, high))
                await asyncio.sleep(0.1)
            snapshot.ensure_held()
        assert writer.poll() is None
    assert len(states) == 1, states
    ((low, high),) = states
    assert low == high


async def test_without_the_guardian_the_same_readers_disagree(tmp_path: Path) -> None:
    """The proof that the test above can fail: pinned one after the other, readers see different states."""
    path = tmp_path / "live.db"
    make_pair(path, "wal")
    with writing(path):
        for _ in range(20):  # pinned within a checkpoint, a reader holds the writer up until it is closed again
            if len(await states_of_readers_in_turn(path)) > 1:
                return
    pytest.fail("the readers saw one state")


async def states_of_readers_in_turn(path: Path) -> set[tuple[int, int]]:
    readers = []
    states: set[tuple[int, int]] = set()
    for _ in range(4):
        reader = Reader(path)
        reader.pin()
        readers.append(reader)
        states |= sums(reader)
        await asyncio.sleep(0.1)
    for reader in readers:
        reader.close()
    return states


async def values_read(snapshot: Snapshot, path: Path) -> set[tuple[str, int]]:
    """What the load would read of both tables, through whatever it reads with."""
    plan = await make_plan(snapshot, Options(path, ""))
    seen = set()
    async with snapshot.reader() as reader:
        for table in plan.tables:
            rows = 0
            async for page in read(snapshot, reader, table, 200_000):
                seen |= {(table.source.name, value) for value in set(page.columns[1].array.to_pylist())}
                rows += page.row_count
            assert rows == ROWS
    return seen


async def test_an_empty_wal_lets_the_file_be_read_and_no_checkpoint_changes_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The load reads the main file beside SQLite: a writer that commits and checkpoints all the time must not show."""
    path = tmp_path / "live.db"
    make_pair(path, "wal")
    async with open_snapshot(path, 2) as snapshot:
        assert snapshot.file is not None
        with writing(path) as writer, caplog.at_level(logging.DEBUG, "etl.extract"):
            for _ in range(6):
                assert await values_read(snapshot, path) == {("t", 0), ("u", 0)}
                await asyncio.sleep(0.1)
            assert writer.poll() is None
        assert Path(f"{path}-wal").stat().st_size > 0
        snapshot.ensure_held()
    assert "through SQLite" not in caplog.text


async def test_rows_that_stand_in_the_wal_are_read_through_sqlite(tmp_path: Path) -> None:
    """The main file is not all of the snapshot then, and its pages are old."""
    path = tmp_path / "live.db"
    make_pair(path, "wal")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("update t set v = 7")
        async with open_snapshot(path, 2) as snapshot:
            assert snapshot.file is None
            assert await values_read(snapshot, path) == {("t", 7), ("u", 0)}


async def test_in_rollback_journal_mode_writers_wait_and_the_snapshot_says_so(tmp_path: Path) -> None:
    """The writer cannot commit while the snapshot lives; the user is told."""
    path = tmp_path / "rollback.db"
    make_pair(path, "delete")
    async with open_snapshot(path, 2) as snapshot:
        assert snapshot.blocks_writers
        assert snapshot.file is not None
        with contextlib.closing(sqlite3.connect(path, timeout=0.1, isolation_level=None)) as other:
            other.execute("begin immediate")
            other.execute("update t set v = 1")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("commit")
            other.execute("rollback")
    with contextlib.closing(sqlite3.connect(path, timeout=5)) as other:
        other.execute("update t set v = 1")
        other.commit()


@pytest.mark.parametrize("journal_mode", ["wal", "delete"])
async def test_the_source_keeps_every_byte(tmp_path: Path, journal_mode: str) -> None:
    """Neither the main file nor the WAL's content changes, and its times stay."""
    path = tmp_path / "source.db"
    make_pair(path, journal_mode)
    holder = sqlite3.connect(path, isolation_level=None)  # keeps frames in the WAL that were never checkpointed
    holder.execute("update t set v = 7")
    files = [path, Path(f"{path}-wal")] if journal_mode == "wal" else [path]
    before = [(hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns) for file in files]
    async with open_snapshot(path, 2) as snapshot:
        answer = await in_thread(snapshot.readers[0].query, "select distinct v from t", 2)
        assert answer.column(0).to_pylist() == [7]
        await snapshot.quick_check()
    assert [(hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns) for file in files] == before
    holder.close()


async def test_a_writer_that_holds_its_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded wait: who is in the way, and what to do."""
    monkeypatch.setattr("etl.extract.guardian_process.BUSY_TIMEOUT_S", 0.1)
    path = tmp_path / "busy.db"
    make_pair(path, "wal")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(SnapshotError, match="holds the write lock") as raised:
            async with open_snapshot(path, 1):
                pass
        assert "stop the application" in str(raised.value.hint)


async def test_a_crashed_transaction_is_refused_not_rolled_back(tmp_path: Path) -> None:
    """A hot journal: opening the file for writing would change it."""
    path = tmp_path / "hot.db"
    make_pair(path, "delete")
    crash = "\n".join(
        [
            "import os, signal, sqlite3, sys",
            "connection = sqlite3.connect(sys.argv[1], isolation_level=None)",
            "connection.execute('pragma cache_size = 1')",
            "connection.execute('begin')",
            "connection.execute('update t set v = 9')",
            "os.kill(os.getpid(), signal.SIGKILL)",
        ]
    )
    subprocess.run([sys.executable, "-c", crash, str(path)], check=False)
    assert Path(f"{path}-journal").exists()
    before = path.read_bytes()
    with pytest.raises(SnapshotError, match="crashed or running transaction"):
        async with open_snapshot(path, 1):
            pass
    assert path.read_bytes() == before


async def test_a_dead_guardian_is_noticed(tmp_path: Path) -> None:
    """The run must not go on with readers that nobody guards."""
    path = tmp_path / "source.db"
    make_pair(path, "wal")
    async with open_snapshot(path, 1) as snapshot:
        children = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True).stdout.split()
        for child in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if b"guardian" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(int(child), signal.SIGKILL)
        await asyncio.sleep(0.2)
        with pytest.raises(SnapshotError, match="guards the snapshot"):
            snapshot.ensure_held()


async def test_a_check_stands_still_while_others_have_better_to_do(tmp_path: Path) -> None:
    """And is heard when it goes on."""
    path = tmp_path / "source.db"
    make_pair(path, "wal")
    async with open_snapshot(path, 1) as snapshot:
        with snapshot.check_paused():
            check = snapshot.begin_check()
            await asyncio.sleep(0.2)
            assert not check.done()
        await asyncio.wait_for(snapshot.quick_check(), 10)
        assert check.done()


def test_a_check_that_stands_still_ends_with_its_parent(tmp_path: Path) -> None:
    """Or a source would stay locked by a process that waits for ever."""
    path = tmp_path / "source.db"
    make_pair(path, "delete")
    command = [sys.executable, "-I", "-S", guardian.__file__, str(path), "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"pause\ncheck\n")
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.communicate(timeout=10)
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as writer:
        writer.execute("update t set v = 1")


async def test_a_read_only_file_in_a_read_only_folder_can_be_read(tmp_path: Path) -> None:
    """No write lock can be had there; nobody can write either, and the file is compared before and after."""
    folder = tmp_path / "cdrom"
    folder.mkdir()
    path = folder / "source.db"
    make_pair(path, "delete")
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        async with open_snapshot(path, 1) as snapshot:
            answer = await in_thread(snapshot.readers[0].query, "select count(*) from t", 1)
            assert answer.column(0)[0].as_py() == ROWS
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (os.urandom(8192), "not a SQLite database, or it is encrypted"),
        (b"SQLite format 3\x00" + bytes(84), "truncated"),
    ],
    ids=["empty", "random", "cut"],
)
async def test_what_is_no_database_is_one_clear_error(tmp_path: Path, content: bytes, word: str) -> None:
    """And nothing is created beside it."""
    path = tmp_path / "odd.db"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=word) as raised:
        async with open_snapshot(path, 1):
            pass
    assert raised.value.hint
    assert [file.name for file in tmp_path.iterdir()] == ["odd.db"]
