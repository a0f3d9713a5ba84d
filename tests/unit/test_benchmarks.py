"""The benchmark harness itself: what it generates, how it measures, how it judges."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("psutil", reason="the extra `bench` is not installed")

from benchmarks.correctness import FACTS_VERSION, read_source_facts
from benchmarks.figures import RATIOS, Figure, Ratio, added_by_verification, pair_ratio, run_figures
from benchmarks.generate import make_dataset
from benchmarks.measure import Usage, run_measured
from benchmarks.rivals import Job, all_rivals, read_job
from benchmarks.rounds import Result, Run
from benchmarks.schema import TABLES, TypeSet, total_rows, total_values

ROWS = 3_000
USAGE = Usage(
    0, wall_s=2.0, client_cpu_s=1.0, server_cpu_s=1.0, foreign_cpu_s=0.0, tree_rss=1, largest_rss=1, output=""
)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        yield database


def everything(path: Path) -> list[tuple[object, ...]]:
    with opened(path) as database:
        return [row for table in TABLES for row in database.execute(f"select * from {table.name}")]


def test_the_same_flags_give_the_same_rows(tmp_path: Path) -> None:
    """A figure can be repeated elsewhere only when the data can."""
    first = make_dataset(tmp_path / "a", ROWS)
    second = make_dataset(tmp_path / "b", ROWS)
    other = make_dataset(tmp_path / "c", ROWS, seed=1)
    assert everything(first.path) == everything(second.path)
    assert everything(first.path) != everything(other.path)


def test_the_default_size_is_what_the_documents_say() -> None:
    """3,000,000 nominal rows are 3.12 million rows and 20.7 million values."""
    assert total_rows(3_000_000) == 3_120_000
    assert total_values(3_000_000) == 20_700_000


def test_a_clean_database_holds_only_the_storage_class_that_its_type_promises(tmp_path: Path) -> None:
    """The main benchmark measures no coercion, so there must be nothing to coerce."""
    with opened(make_dataset(tmp_path, ROWS).path) as database:
        classes = database.execute(
            "select distinct typeof(active), typeof(created_at), typeof(status), typeof(token)"
            " from events where token is not null"
        ).fetchall()
        flags = database.execute("select distinct active from events order by 1").fetchall()
    assert classes == [("integer", "text", "text", "text")]
    assert flags == [(0,), (1,)]


def test_a_dirty_database_has_the_asked_share_of_odd_rows(tmp_path: Path) -> None:
    """Dirt is measured by its share: 10 % of the rows hold one odd value, and no row holds two."""
    clean = everything(make_dataset(tmp_path, ROWS).path)
    dirty = everything(make_dataset(tmp_path, ROWS, dirty=0.1).path)
    changes = [sum(a != b for a, b in zip(x, y, strict=True)) for x, y in zip(clean, dirty, strict=True)]
    # the generator draws the dirt from the same stream, so only the first batch of each table lines up
    odd = sum(1 for changed in changes if changed == 1)
    assert max(changes) == 1
    assert 0.05 < odd / len(clean) < 0.12


def test_every_foreign_key_of_the_small_profile_holds(tmp_path: Path) -> None:
    """Chinook's shape: 11 tables, some 15,000 rows, no orphan."""
    dataset = make_dataset(tmp_path, 0, profile="chinook")
    with opened(dataset.path) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_schema where type = 'table'")]
        rows = sum(database.execute(f"select count(*) from {name}").fetchone()[0] for name in tables)
        orphans = database.execute("pragma foreign_key_check").fetchall()
    assert len(tables) == 11
    assert rows == dataset.nominal_rows
    assert 15_000 <= rows <= 16_000
    assert orphans == []


def test_facts_see_a_changed_a_missing_and_a_moved_value(tmp_path: Path) -> None:
    """What no fact sees would let a wrong load count as a fast one."""
    dataset = make_dataset(tmp_path, ROWS)
    facts = read_source_facts(dataset)
    for damage in (
        "update events set amount = amount + 0.01 where id = 7 and amount is not null or id = 8 and amount is not null",
        "delete from metrics where id = 5",
        "update documents set language = null where id = (select min(id) from documents where language is not null)",
        "update metrics set value = (select value from metrics b where b.id = 3 - metrics.id) where id in (1, 2)",
    ):
        copy = tmp_path / "damaged.db"
        copy.write_bytes(dataset.path.read_bytes())
        with contextlib.closing(sqlite3.connect(copy)) as database:
            database.execute(damage)
            database.commit()
        damaged = read_source_facts(replace(dataset, path=copy))
        copy.with_suffix(f".facts-{FACTS_VERSION}.json").unlink()
        assert damaged != facts, damage


def test_a_run_is_measured_with_its_children(tmp_path: Path) -> None:
    """The peak is the whole tree's; the exit status and the output are kept."""
    child = "x = bytearray(60_000_000); import time; time.sleep(0.4)"
    script = f"import subprocess, sys; print('hello'); subprocess.run([sys.executable, '-c', {child!r}]); sys.exit(3)"
    usage = run_measured([sys.executable, "-c", script], log=tmp_path / "log")
    assert usage.exit_status == 3
    assert "hello" in usage.output
    assert usage.wall_s > 0.4
    assert 60_000_000 < usage.largest_rss <= usage.tree_rss < 200_000_000
    assert usage.server_cpu_s is None


def test_a_ratio_is_taken_pair_by_pair_and_skips_runs_that_do_not_count() -> None:
    """A round in which either side failed says nothing about their ratio."""
    rivals = all_rivals()

    def result(name: str, loads: list[float | None]) -> Result:
        runs = [Run({"load": s}, USAGE) if s else Run({}, USAGE, "loaded something else") for s in loads]
        return Result(rivals[name], runs=runs)

    results = {"ours": result("ours", [3.0, 9.0, None]), "limit": result("limit", [2.0, None, 2.0])}
    assert pair_ratio(results, Ratio("", "ours", "load", "limit", "load", 1.5)) == 1.5
    assert pair_ratio(results, Ratio("", "ours", "load", "duckdb", "load", 1.5)) is None


def test_what_verification_adds_is_the_difference_of_two_runs_of_a_round() -> None:
    """Against the load of the verified run; a round in which either run failed says nothing."""
    rivals = all_rivals()

    def result(name: str, runs: list[tuple[float, float] | None]) -> Result:
        kept = [
            Run({"load": run[0]}, replace(USAGE, wall_s=run[1])) if run else Run({}, USAGE, "exit status 3")
            for run in runs
        ]
        return Result(rivals[name], runs=kept)

    verified = result("ours", [(4.0, 10.0), (2.0, 9.0), None])
    unverified = result("ours-unverified", [(4.0, 7.0), None, (4.0, 7.0)])
    assert added_by_verification(verified, unverified) == 0.75
    figures = run_figures({"ours": verified, "ours-unverified": unverified})
    assert [figure.value for figure in figures if "adds" in figure.title] == [0.75]
    assert added_by_verification(verified, Result(rivals["ours-unverified"])) is None


def test_a_figure_that_was_not_measured_is_not_reached() -> None:
    """--check must not pass on silence."""
    assert not Figure("load", None, 1.5).reached
    assert Figure("load", 1.5, 1.5).reached
    assert not Figure("load", 1.51, 1.5).reached
    rivals = all_rivals()
    figures = run_figures({"ours": Result(rivals["ours"]), "limit": Result(rivals["limit"])})
    assert [figure.reached for figure in figures] == [False] * len(figures)
    assert len(figures) == 3


def test_every_ratio_names_rivals_that_exist() -> None:
    """A misspelt name would never be measured."""
    names = set(all_rivals())
    assert {ratio.rival for ratio in RATIOS} | {ratio.base for ratio in RATIOS} <= names


def test_a_job_survives_its_file_and_keeps_its_password_private(tmp_path: Path) -> None:
    """The job file holds a DSN, so nobody else may read it."""
    job = Job(Path("/a.db"), "postgresql://u:p@h/d", tmp_path, TypeSet.RAW, Path("/ready"))
    path = job.write()
    assert read_job(path) == job
    assert path.stat().st_mode & 0o077 == 0
