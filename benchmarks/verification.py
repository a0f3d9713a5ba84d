"""What verification costs beside the load: CPU of the client and of the server, in pairs.

Invariant: each round is a load without verification into an empty database and then both verifications of it, each a
process of its own; a ratio is taken within its round, and the median counts.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.generate import Dataset, scratch_folder
from benchmarks.measure import Usage, run_measured
from benchmarks.server import Server, drop_database, recreate_database

_DATABASE = "etl_verification"
_STEPS: dict[str, tuple[str, ...]] = {
    "load": ("migrate", "--verify", "none", "--no-indexes"),
    "full": ("verify", "--mode", "fill", "--verify", "full"),
    "digest": ("verify", "--mode", "fill", "--verify", "digest"),
}
_LIMITS = (("full", "client and server", 1.5), ("digest", "client", 0.6), ("digest", "server", 4.0))


@dataclass(frozen=True, slots=True)
class Round:
    """CPU seconds of one step after the other: step → client, server."""

    client: dict[str, float]
    server: dict[str, float]

    def ratio(self, step: str, side: str) -> float:
        """The step against the load."""
        sides = {"client": [self.client], "server": [self.server], "client and server": [self.client, self.server]}
        costs = sides[side]
        return sum(cost[step] for cost in costs) / sum(cost["load"] for cost in costs)


def run_verification(server: Server, dataset: Dataset, repeat: int, say: Callable[[str], None]) -> list[Round]:
    """``repeat`` rounds; raises RuntimeError where a step fails, for then nothing was measured."""
    rounds = []
    for number in range(1, repeat + 1):
        dsn = recreate_database(server, _DATABASE)
        used = {step: _run_step(step, dataset, dsn, server) for step in _STEPS}
        one = Round(
            {step: usage.client_cpu_s for step, usage in used.items()},
            {step: usage.server_cpu_s or 0.0 for step, usage in used.items()},
        )
        costs = (f"{step} {one.client[step]:.2f} + {one.server[step]:.2f} s" for step in _STEPS)
        say(f"round {number}/{repeat}  client + server CPU: {', '.join(costs)}")
        rounds.append(one)
    drop_database(server, _DATABASE)
    return rounds


def _run_step(step: str, dataset: Dataset, dsn: str, server: Server) -> Usage:
    verb, *flags = _STEPS[step]
    command = [str(Path(sys.executable).parent / "etl"), verb, str(dataset.path), dsn, "--progress", "none", *flags]
    with scratch_folder() as folder:
        usage = run_measured(command, log=folder / "output.log", server_process_id=server.process_id)
    if usage.exit_status != 0:
        raise RuntimeError(f"{step} failed: {usage.output[-2000:]}")
    return usage


def verification_figures(rounds: Sequence[Round]) -> list[Figure]:
    """The ratios that the project has set itself."""
    return [
        Figure(
            f"CPU of --verify {step} against the load, {side}",
            statistics.median(one.ratio(step, side) for one in rounds),
            limit,
        )
        for step, side, limit in _LIMITS
    ]


def verification_document(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """All figures as plain values."""
    return [asdict(one) for one in rounds]
