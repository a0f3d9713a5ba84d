"""What `etl inspect` costs on the wide table, as a process from its start to its end.

Invariant: seconds are for 300,000 rows of 10 columns, whatever the size of the table.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.generate import Dataset

TABLE = "events"
ROWS, COLUMNS = 300_000, 10


def survey_costs(dataset: Dataset, repeat: int) -> tuple[list[float], list[float]]:
    """Wall and CPU seconds of each run that counts, after one that may still compile bytecode."""
    from benchmarks.generate import scratch_folder
    from benchmarks.measure import run_measured

    flags = ["--tables", TABLE, "--progress", "none", "--report"]
    walls: list[float] = []
    processors: list[float] = []
    with scratch_folder() as folder:
        report = folder / "survey.json"
        command = [sys.executable, "-m", "etl", "inspect", str(dataset.path), *flags, str(report)]
        for run in range(repeat + 1):
            usage = run_measured(command, log=folder / "output.log")
            if run and usage.exit_status == 0:
                (table,) = json.loads(report.read_text())["tables"]
                share = ROWS * COLUMNS / (table["rows"] * len(table["columns"]))
                walls.append(usage.wall_s * share)
                processors.append(usage.client_cpu_s * share)
    return walls, processors
