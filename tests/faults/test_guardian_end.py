"""How the guardian of the snapshot ends when its parent does: at once, and without a word on the parent's terminal."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from etl.extract import guardian


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose check takes a second or more: it computes the column of every row."""
    path = tmp_path_factory.mktemp("source") / "slow.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        long = "replace(hex(zeroblob(50000 + id)), '0', 'ab')"
        connection.execute(f"create table t (id integer, long text as ({long}) not null)")
        connection.executemany("insert into t values (?)", ((n,) for n in range(2_000)))
        connection.commit()
    return path


def start(path: Path) -> subprocess.Popen[str]:
    """A guardian that holds the snapshot and was told to check the file."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-I", "-S", guardian.__file__, str(path), "5"]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    assert "pinned" in json.loads(process.stdout.readline())
    process.stdin.write("release\n")
    process.stdin.flush()
    assert "released" in json.loads(process.stdout.readline())
    process.stdin.write("check\n")
    process.stdin.flush()
    return process


def test_a_check_is_heard_while_the_parent_listens(slow: Path) -> None:
    """And the end of the input ends the process, whose locks are gone."""
    process = start(slow)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"check": "ok"}
    out, err = process.communicate(timeout=30)
    assert "finished" in json.loads(out)
    assert (process.returncode, err) == (0, "")


def test_a_check_ends_when_the_parent_wants_no_answer(slow: Path) -> None:
    """Of a large file it takes minutes, and a run that was interrupted has seconds."""
    process = start(slow)
    out, err = process.communicate(timeout=30)
    assert [json.loads(line) for line in out.splitlines()] == [{"error": "interrupted", "kind": "SQLITE_INTERRUPT"}]
    assert (process.returncode, err) == (1, "")


def test_a_parent_that_died_is_told_nothing(slow: Path) -> None:
    """The guardian writes on the same terminal: a traceback there would follow the last line of the run."""
    process = start(slow)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == ""
