"""Our own stages alone, with a null target: where the time of the load goes.

Invariant: the stages are the pipeline's own generators on the pipeline's own plan; only the COPY is missing. Every
measurement is a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.schema import TABLES

if TYPE_CHECKING:
    from benchmarks.generate import Dataset
    from etl.model import SourcePage, TablePlan

STAGES = ("read", "coerce", "encode")  # each with all before it
MEGABYTE = 1_000_000
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StageRun:
    """One table through some stages, one time."""

    stage: str
    table: str
    wall_s: float
    cpu_s: float
    rows: int


def run_stages(dataset: Dataset, repeat: int) -> list[StageRun]:
    """Every table through every depth of stages, ``repeat`` times, the stages in turn."""
    from benchmarks.generate import scratch_folder
    from benchmarks.measure import run_measured

    runs: list[StageRun] = []
    with scratch_folder() as folder:
        for _ in range(repeat):
            for stage in STAGES:
                out = folder / "stage.json"
                command = [sys.executable, "-m", "benchmarks.stages", str(dataset.path), stage, str(out)]
                usage = run_measured(command, log=folder / "output.log")
                if usage.exit_status != 0:
                    raise RuntimeError(f"stage {stage} failed: {usage.output[-2000:]}")
                runs += [StageRun(stage, **fields) for fields in json.loads(out.read_text())]
    return runs


def stages_table(runs: list[StageRun], dataset: Dataset) -> str:
    """Medians per stage and table; the last two columns are what the stage adds to the one before it."""
    lines = [f"{'table':<12} {'up to':<7} {'wall s':>7} {'CPU s':>7} {'rows/s':>12} {'+ CPU s':>8} {'+ ns/value':>10}"]
    for table in TABLES:
        before = 0.0
        for stage in STAGES:
            chosen = [run for run in runs if (run.table, run.stage) == (table.name, stage)]
            wall = statistics.median(run.wall_s for run in chosen)
            cpu = statistics.median(run.cpu_s for run in chosen)
            rows = chosen[0].rows
            added = cpu - before
            per_value = added * NANOSECONDS / (rows * len(table.columns))
            figures = f"{wall:7.2f} {cpu:7.2f} {rows / wall:12,.0f} {added:8.2f} {per_value:10.0f}"
            lines.append(f"{table.name:<12} {stage:<7} {figures}")
            before = cpu
    for stage in STAGES:
        walls = _totals([run for run in runs if run.stage == stage])
        speed = dataset.source_bytes / MEGABYTE / statistics.median(walls)
        lines.append(f"{'all':<12} {stage:<7} {statistics.median(walls):7.2f} {'':>7} {speed:9,.0f} MB/s")
    return "\n".join(lines)


def _totals(runs: list[StageRun]) -> list[float]:
    """Wall seconds of all tables together, per repetition."""
    tables = len({run.table for run in runs})
    walls = [run.wall_s for run in runs]
    return [sum(walls[first : first + tables]) for first in range(0, len(walls), tables)]


async def _measure(source: Path, stage: str) -> list[dict[str, Any]]:
    from etl.extract.snapshot import open_snapshot
    from etl.options import Options
    from etl.phases.inspection import make_plan, survey_and_decide
    from etl.phases.source_pages import read
    from etl.progress import SilentProgress
    from etl.transform.rows.tally import Tally

    options = Options(source, "")
    measured = []
    async with open_snapshot(source, 1) as snapshot:
        plan = await make_plan(snapshot, options)
        for planned in plan.tables:
            async with snapshot.reader() as reader:
                # odd values make a type doubtful: it is settled here, beside the clock, as a load does it once
                table, _ = await survey_and_decide(snapshot, reader, planned, options, SilentProgress())
                wall, cpu = time.perf_counter(), _cpu_s()
                pages = read(snapshot, reader, table, options.page_bytes)
                rows = await _drain(stage, pages, table, Tally())
                wall, cpu = time.perf_counter() - wall, _cpu_s() - cpu
                measured.append({"table": table.source.name, "wall_s": wall, "cpu_s": cpu, "rows": rows})
    return measured


async def _drain(stage: str, pages: AsyncGenerator[SourcePage], table: TablePlan, tally: Any) -> int:
    from etl.phases.loading import coerce, slices_of

    flow: AsyncGenerator[Any] = pages
    if stage == "coerce":
        flow = coerce(pages, table, tally)
    elif stage == "encode":
        flow = slices_of(pages, table, tally)  # as the pipeline runs it: each stage ahead of the next
    rows = 0
    async with aclosing(flow):
        async for page in flow:
            rows += page.row_count
    return rows


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    path, depth, target = sys.argv[1:]
    Path(target).write_text(json.dumps(asyncio.run(_measure(Path(path), depth))))
