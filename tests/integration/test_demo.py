"""The demo does what a newcomer is promised, twice in a row."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from etl.shell.embedded import stop_server
from etl.shell.sample import build_sample
from tests.fix_command import EtlCommand


@pytest.fixture
def demo(etl: EtlCommand) -> Iterator[EtlCommand]:
    """The command line, and no server of the demo afterwards."""
    yield etl
    stop_server(etl.folder / "demo" / "postgres")


def test_the_demo_ends_with_queries_that_can_be_copied(demo: EtlCommand) -> None:
    """Both command lines run as they are printed; the demo can be run again, and stopped."""
    for _ in range(2):
        done = demo("demo", "--rows", "2000", "--report", "report.json")
        assert done.status == 0, done.err
        assert "verdict: equal: 6 tables, 2,000 rows" in done.out
        assert "postgresql://postgres@/postgres?host=" in done.out
        queries = [line.strip() for line in done.out.splitlines() if line.strip().startswith("demo/psql -c")]
        assert len(queries) == 2
        for query in queries:
            answer = subprocess.run(query, shell=True, cwd=demo.folder, capture_output=True, text=True)  # noqa: S602
            assert answer.returncode == 0, answer.stderr
            assert "rows)" in answer.stdout
    stopped = demo("demo", "--stop")
    assert stopped.status == 0
    assert "is stopped" in stopped.err
    assert "rm -r demo" in stopped.err
    assert "was not running" in demo("demo", "--stop").err


def test_the_demo_leaves_other_folders_alone(demo: EtlCommand) -> None:
    """A folder with something in it is refused, and the hint names the way out."""
    folder = demo.folder / "demo"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    done = demo("demo")
    assert done.status == 1
    assert len(done.errors) == len(done.hints) == 1
    assert "--dir" in done.hints[0]
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_the_same_seed_makes_the_same_sample(tmp_path: Path) -> None:
    """A report of the demo can be compared with another machine's."""
    assert build_sample(tmp_path / "a.db", 2_000) == build_sample(tmp_path / "b.db", 2_000) == 2_000
    assert dump(tmp_path / "a.db") == dump(tmp_path / "b.db")


def test_the_sample_has_keys_without_orphans_and_a_gap(tmp_path: Path) -> None:
    """Everything in it can be moved, and the next id comes after deleted customers."""
    build_sample(tmp_path / "a.db", 2_000)
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        assert connection.execute("pragma foreign_key_check").fetchall() == []
        last, sequence = connection.execute(
            "select (select max(id) from customers), (select seq from sqlite_sequence where name = 'customers')"
        ).fetchone()
    assert sequence > last
