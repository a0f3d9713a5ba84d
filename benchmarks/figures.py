"""The figures that the project has set itself, and whether a measurement reached them.

Invariant: a ratio is taken pair by pair, run i against run i of the same round, and its median counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.rounds import Result

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure: a phase of one rival against a phase of another (or of the same), at most ``limit`` times."""

    title: str
    rival: str
    phase: str
    base: str
    base_phase: str
    limit: float


RATIOS: tuple[Ratio, ...] = (
    Ratio("load against the physical limit", "ours", "load", "limit", "load", 1.5),
    Ratio("load against DuckDB, with its types", "ours-double-text", "load", "duckdb", "load", 0.8),
    Ratio("load against pgloader's load", "ours", "load", "pgloader-data", "load", 0.25),
    Ratio("whole run against pgloader's whole run", "ours", "wall", "pgloader", "wall", 0.5),
    Ratio("verification alone against the load", "ours", "verify alone", "ours", "load", 1.0),
)
ADDED_VERIFICATION = 1.0  # what verification adds to a run, against the load of that run
PEAK_RSS_MB = 300.0
FLATNESS = 1.1  # peak RSS at ten times the rows, against the peak at one time
HELP_S = 0.3
SMALL_S = 3.0
SURVEY_S = 1.0  # of `etl inspect`, for 300,000 rows of 10 columns
SURVEY_CPU_S = 2.0  # that is two cores


@dataclass(frozen=True, slots=True)
class Figure:
    """One outcome. ``value`` is None when it was not measured."""

    title: str
    value: float | None
    limit: float
    unit: str = "×"

    @property
    def reached(self) -> bool:
        """Whether it was measured and is within its limit."""
        return self.value is not None and self.value <= self.limit

    def __str__(self) -> str:
        measured = "not measured" if self.value is None else f"{self.value:.2f} {self.unit}"
        return (
            f"{'ok    ' if self.reached else 'MISSED'}  {self.title}: {measured} (at most {self.limit:g} {self.unit})"
        )


def pair_ratio(results: Mapping[str, Result], ratio: Ratio) -> float | None:
    """The median of the rounds' ratios; None when either side has no counting run."""
    ours, base = results.get(ratio.rival), results.get(ratio.base)
    if ours is None or base is None:
        return None
    pairs = [
        (run.seconds(ratio.phase), base_run.seconds(ratio.base_phase))
        for run, base_run in zip(ours.runs, base.runs, strict=False)
    ]
    ratios = [seconds / base_seconds for seconds, base_seconds in pairs if seconds and base_seconds]
    return statistics.median(ratios) if ratios else None


def run_figures(results: Mapping[str, Result]) -> list[Figure]:
    """The figures that a set of results can tell: those whose both sides were asked for, and our memory."""
    figures = [
        Figure(ratio.title, pair_ratio(results, ratio), ratio.limit)
        for ratio in RATIOS
        if ratio.rival in results and ratio.base in results
    ]
    if "ours" in results and "ours-unverified" in results:
        added = added_by_verification(results["ours"], results["ours-unverified"])
        figures.append(Figure("what verification adds to a run, against its load", added, ADDED_VERIFICATION))
    if "ours" in results:
        figures.append(memory_figure(results["ours"]))
    return figures


def added_by_verification(verified: Result, unverified: Result) -> float | None:
    """How much longer the whole run takes than the one of its round without verification, against its load phase."""
    ratios = []
    for run, bare in zip(verified.runs, unverified.runs, strict=False):
        wall, bare_wall, load = run.seconds("wall"), bare.seconds("wall"), run.seconds("load")
        if wall and bare_wall and load:
            ratios.append((wall - bare_wall) / load)
    return statistics.median(ratios) if ratios else None


def memory_figure(result: Result) -> Figure:
    """Our peak RSS: the whole process tree, the worst run."""
    peaks = [run.usage.tree_rss / MEGABYTE for run in result.counting_runs()]
    return Figure("peak RSS of all our processes", max(peaks) if peaks else None, PEAK_RSS_MB, "MB")
