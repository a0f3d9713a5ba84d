"""`python -m benchmarks`: generate, run, stages, verification, survey, memory, small, help-time.

Invariant: the table goes to stdout, what happens meanwhile to stderr; with --check the exit status is 1 when a figure
that the project has set itself was missed.
"""

from __future__ import annotations

import signal
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from benchmarks.figures import (
    FLATNESS,
    HELP_S,
    MEGABYTE,
    PEAK_RSS_MB,
    SMALL_S,
    SURVEY_CPU_S,
    SURVEY_S,
    Figure,
    run_figures,
)
from benchmarks.generate import Dataset, default_folder, make_dataset, scratch_folder
from benchmarks.measure import run_measured
from benchmarks.output import describe_machine, results_document, results_table, write_json
from benchmarks.rivals import Rival, all_rivals
from benchmarks.rounds import Result, run_rounds
from benchmarks.server import Server, running_server
from benchmarks.stages import run_stages, stages_table
from benchmarks.survey import survey_costs
from benchmarks.verification import run_verification, verification_document, verification_figures


def _say(message: str) -> None:
    click.echo(message, err=True)


def _percent(context: click.Context, parameter: click.Parameter, value: str) -> float:
    try:
        share = float(value.rstrip("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a share nor a percentage") from None
    if not 0 <= share <= 1:
        raise click.BadParameter(f"{value!r} is not between 0 and 100 %")
    return share


_rows = click.option("--rows", default=3_000_000, show_default=True, help="Nominal rows of the main tables.")
_dirty = click.option("--dirty", default="0%", callback=_percent, show_default=True, help="Share of odd rows.")
_seed = click.option("--seed", default=20240229, show_default=True)
_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    default=default_folder,
    help="Where databases, ready files and the private server live; a RAM disk when there is one.",
)
_repeat = click.option("--repeat", default=3, show_default=True, help="Rounds; every rival runs once in each.")
_out = click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures as JSON.")
_check = click.option("--check", is_flag=True, help="Exit 1 when a figure of the project is missed.")
_dsn = click.option("--dsn", help="Measure on this server instead of a private one.")
_binaries = click.option(
    "--postgres",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    help="Program folder of the PostgreSQL to start; found by itself otherwise.",
)

Command = Callable[..., Any]


def _server_flags(command: Command) -> Command:
    for flag in (_dsn, _binaries, _folder, _repeat, _out, _check):
        command = flag(command)
    return command


@click.group()
def benchmarks() -> None:
    """Measures etl and its rivals; see docs/benchmarks.md."""
    # unwound like a Ctrl-C, or the private server would outlive us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@benchmarks.command()
@_rows
@_dirty
@_seed
@_folder
@click.option("--profile", type=click.Choice(["main", "chinook"]), default="main", show_default=True)
def generate(rows: int, dirty: float, seed: int, folder: Path, profile: str) -> None:
    """Generate a database (kept, and used again) and print its path."""
    click.echo(make_dataset(folder, rows, profile=profile, dirty=dirty, seed=seed).path)


@benchmarks.command()
@_rows
@_dirty
@_seed
@_server_flags
@click.option("--only", default="", help="Rivals, separated by commas; all by default.")
@click.option("--quiet-wait", default=0.0, help="Wait so many seconds at most, before each run, for an idle machine.")
@click.option("--base", default="limit", show_default=True, help="The rival that the ratio columns refer to.")
def run(
    rows: int,
    dirty: float,
    seed: int,
    only: str,
    base: str,
    quiet_wait: float,
    repeat: int,
    folder: Path,
    dsn: str | None,
    postgres: Path | None,
    out: Path | None,
    check: bool,
) -> None:
    """Run the rivals in turn and print what each one costs."""
    chosen = _choose(only)
    dataset = make_dataset(folder, rows, dirty=dirty, seed=seed)
    with running_server(dsn, postgres, folder) as server:
        results = _results(server, dataset, chosen, repeat, quiet_wait, warm_up=True)
    figures = run_figures(results)
    click.echo(results_table(results, dataset, base))
    _finish(figures, out, results_document(results, dataset, server, figures), check)


@benchmarks.command()
@_rows
@_server_flags
@click.option("--factor", default=10, show_default=True, help="How many times the rows for the second peak.")
def memory(
    rows: int,
    factor: int,
    repeat: int,
    folder: Path,
    dsn: str | None,
    postgres: Path | None,
    out: Path | None,
    check: bool,
) -> None:
    """Compare our peak memory at the given rows and at ten times as many."""
    rival = all_rivals()["ours"]
    peaks: list[float] = []
    with running_server(dsn, postgres, folder) as server:
        for nominal_rows in (rows, rows * factor):
            dataset = make_dataset(folder, nominal_rows)
            result = _results(server, dataset, [rival], repeat)["ours"]
            good = result.counting_runs()
            if not good:
                raise click.ClickException(f"no run at {nominal_rows} rows counts")
            peaks.append(max(run.usage.tree_rss for run in good) / MEGABYTE)
    figures = [
        Figure(f"peak RSS at {rows:,} rows", peaks[0], PEAK_RSS_MB, "MB"),
        Figure(f"peak RSS at {rows * factor:,} rows", peaks[1], PEAK_RSS_MB, "MB"),
        Figure("the second against the first", peaks[1] / peaks[0], FLATNESS),
    ]
    _finish(figures, out, _document(figures), check)


@benchmarks.command()
@_server_flags
def small(repeat: int, folder: Path, dsn: str | None, postgres: Path | None, out: Path | None, check: bool) -> None:
    """Run a Chinook-sized database from start to end; the server runs already."""
    dataset = make_dataset(folder, 0, profile="chinook")
    with running_server(dsn, postgres, folder) as server:
        result = _results(server, dataset, [all_rivals()["ours"]], repeat)["ours"]
    walls = result.seconds("wall")
    figures = [Figure("whole run of 11 tables", statistics.median(walls) if walls else None, SMALL_S, "s")]
    _finish(figures, out, _document(figures), check)


@benchmarks.command()
@_rows
@_dirty
@_seed
@_folder
@_repeat
@_out
def stages(rows: int, dirty: float, seed: int, folder: Path, repeat: int, out: Path | None) -> None:
    """Run our stages alone with a null target: read, coerce, encode, each with all before it."""
    dataset = make_dataset(folder, rows, dirty=dirty, seed=seed)
    runs = run_stages(dataset, repeat)
    click.echo(stages_table(runs, dataset))
    if out:
        write_json(out, {"format": 1, "machine": describe_machine(), "runs": [asdict(run) for run in runs]})


@benchmarks.command()
@_rows
@_dirty
@_seed
@_server_flags
def verification(
    rows: int,
    dirty: float,
    seed: int,
    repeat: int,
    folder: Path,
    dsn: str | None,
    postgres: Path | None,
    out: Path | None,
    check: bool,
) -> None:
    """Compare the CPU of both verifications with the load's, on the client and on the server."""
    dataset = make_dataset(folder, rows, dirty=dirty, seed=seed)
    with running_server(dsn, postgres, folder) as server:
        rounds = run_verification(server, dataset, repeat, _say)
    figures = verification_figures(rounds)
    _finish(figures, out, {**_document(figures), "rounds": verification_document(rounds)}, check)


@benchmarks.command()
@_rows
@_dirty
@_seed
@_folder
@_repeat
@_out
@_check
def survey(rows: int, dirty: float, seed: int, folder: Path, repeat: int, out: Path | None, check: bool) -> None:
    """Run `etl inspect` on the wide table: wall and CPU seconds for 300,000 rows of 10 columns."""
    dataset = make_dataset(folder, rows, dirty=dirty, seed=seed)
    walls, processors = survey_costs(dataset, repeat)
    figures = [
        Figure("etl inspect, wall", statistics.median(walls) if walls else None, SURVEY_S, "s"),
        Figure("etl inspect, CPU", statistics.median(processors) if processors else None, SURVEY_CPU_S, "s"),
    ]
    _finish(figures, out, _document(figures), check)


@benchmarks.command("help-time")
@_repeat
@_out
@_check
def help_time(repeat: int, out: Path | None, check: bool) -> None:
    """Time `etl --help`, after one run that may still compile bytecode."""
    command = [str(Path(sys.executable).parent / "etl"), "--help"]
    with scratch_folder() as folder:
        usages = [run_measured(command, log=folder / "output.log") for _ in range(repeat + 1)][1:]
    good = [usage.wall_s for usage in usages if usage.exit_status == 0]
    figures = [Figure("etl --help", statistics.median(good) if good else None, HELP_S, "s")]
    _finish(figures, out, _document(figures), check)


def _choose(only: str) -> list[Rival]:
    known = all_rivals()
    names = [name.strip() for name in only.split(",") if name.strip()] or list(known)
    if unknown := [name for name in names if name not in known]:
        raise click.BadParameter(f"unknown: {', '.join(unknown)}; there are: {', '.join(known)}", param_hint="--only")
    return [known[name] for name in names]


def _results(
    server: Server,
    dataset: Dataset,
    rivals: Sequence[Rival],
    repeat: int,
    quiet_wait: float = 0.0,
    *,
    warm_up: bool = False,
) -> dict[str, Result]:
    results = run_rounds(server, dataset, rivals, repeat, _say, quiet_wait, warm_up=warm_up)
    return {result.rival.name: result for result in results}


def _document(figures: Sequence[Figure]) -> dict[str, Any]:
    return {
        "format": 1,
        "machine": describe_machine(),
        "figures": [
            {"title": f.title, "value": f.value, "limit": f.limit, "unit": f.unit, "reached": f.reached}
            for f in figures
        ],
    }


def _finish(figures: Sequence[Figure], out: Path | None, document: dict[str, Any], check: bool) -> None:
    for figure in figures:
        click.echo(str(figure))
    if out:
        write_json(out, document)
    if check and not all(figure.reached for figure in figures):
        sys.exit(1)


if __name__ == "__main__":
    benchmarks(prog_name="python -m benchmarks")
