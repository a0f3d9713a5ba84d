"""Runs the rivals in turn, A B C A B C …, checks what each one loaded, and keeps every figure.

Invariant: a run whose rows differ from the source's has no figures, only differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.correctness import find_differences
from benchmarks.generate import Dataset, scratch_folder
from benchmarks.measure import Usage, run_measured, wait_until_quiet
from benchmarks.ready_files import make_ready_files
from benchmarks.rivals import Job, MissingRivalError, Rival
from benchmarks.schema import TABLES
from benchmarks.server import Server, drop_database, execute, recreate_database

_DATABASE = "etl_benchmark"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one rival. ``failure`` is None for a run that counts."""

    phases: dict[str, float]  # name → seconds, wall; at least "load"
    usage: Usage
    failure: str | None = None

    def seconds(self, phase: str) -> float | None:
        """The phase's seconds (``wall``: the whole process); None when the run does not count or lacks the phase."""
        if self.failure is not None:
            return None
        return self.usage.wall_s if phase == "wall" else self.phases.get(phase)


@dataclass(slots=True)
class Result:
    """All runs of one rival; ``missing`` says why there are none."""

    rival: Rival
    version: str = ""
    missing: str | None = None
    runs: list[Run] = field(default_factory=list)

    def seconds(self, phase: str) -> list[float]:
        """The phase's seconds in every run that counts and has it."""
        return [seconds for run in self.runs if (seconds := run.seconds(phase)) is not None]

    def counting_runs(self) -> list[Run]:
        """The runs whose rows were the source's."""
        return [run for run in self.runs if run.failure is None]


def run_rounds(
    server: Server,
    dataset: Dataset,
    rivals: Sequence[Rival],
    repeat: int,
    say: Callable[[str], None],
    quiet_wait_s: float = 0.0,
    *,
    warm_up: bool = False,
) -> list[Result]:
    """``repeat`` rounds, every rival once in each; ``say`` hears of each run as it ends.

    Before each run up to ``quiet_wait_s`` seconds are spent on waiting for the rest of the machine to be idle.
    ``warm_up``: the first rival runs once more before all others, and that run counts for nothing: whoever loads first
    into a new server creates the WAL's files and first touches the memory, which all later runs find.
    """
    results = [_introduce(rival, say) for rival in rivals]
    if warm_up and (present := [result.rival for result in results if not result.missing]):
        run = run_once(server, dataset, present[0])
        say(f"warm-up, not counted  {present[0].name}: wall {run.usage.wall_s:.2f} s")
    for number in range(1, repeat + 1):
        for result in results:
            if result.missing:
                continue
            if quiet_wait_s:
                wait_until_quiet(quiet_wait_s)
            run = run_once(server, dataset, result.rival)
            result.runs.append(run)
            verdict = run.failure or f"load {run.phases['load']:.2f} s, wall {run.usage.wall_s:.2f} s"
            say(f"round {number}/{repeat}  {result.rival.name}: {verdict}")
    drop_database(server, _DATABASE)
    return results


def run_once(server: Server, dataset: Dataset, rival: Rival) -> Run:
    """One run of one rival into an empty database, measured and checked."""
    ready = make_ready_files(server, dataset, rival.types) if rival.needs_ready_files else None
    dsn = recreate_database(server, _DATABASE)
    if not rival.creates_tables:
        execute(dsn, *(table.postgres_ddl(rival.types) for table in TABLES))
    with scratch_folder() as work:
        job = Job(dataset.path, dsn, work, rival.types, ready)
        usage = run_measured(
            rival.command(job),
            log=work / "output.log",
            server_process_id=server.process_id,
            environment=rival.environment,
        )
        if usage.exit_status != 0:
            return Run({}, usage, f"exit status {usage.exit_status}: {_last_lines(usage.output)}")
        phases = rival.phases(job, usage)
    differences = find_differences(dataset, dsn, rival.tolerance)
    failure = f"loaded something else: {'; '.join(differences[:3])}" if differences else None
    return Run(phases, usage, failure)


def _introduce(rival: Rival, say: Callable[[str], None]) -> Result:
    try:
        return Result(rival, version=rival.version())
    except MissingRivalError as missing:
        say(f"{rival.name}: missing on this machine: {missing}")
        return Result(rival, missing=str(missing))


def _last_lines(output: str) -> str:
    return " | ".join(output.strip().splitlines()[-4:])[-600:]
