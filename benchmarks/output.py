"""What a measurement looks like: a table on stdout, one JSON file for later.

Invariant: no DSN and no path of this machine is written: a result may be published as it is.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.figures import MEGABYTE, Figure, Ratio, pair_ratio
from benchmarks.generate import Dataset
from benchmarks.rounds import Result, Run
from benchmarks.schema import total_rows, total_values
from benchmarks.server import SETTINGS, Server

_HEADINGS = (
    "rival",
    "load s",
    "min–max",
    "wall s",
    "rows/s",
    "MB/s",
    "client CPU",
    "server CPU",
    "others' CPU",
    "RSS MB",
    "verify s",
    "load ×",
    "wall ×",
)


def results_table(results: Mapping[str, Result], dataset: Dataset, base: str) -> str:
    """One line per rival; the last two columns are pair-by-pair ratios against ``base``."""
    rows = [_HEADINGS, *(_line(results, result, dataset, base) for result in results.values())]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEADINGS))]
    lines = []
    for row in rows:
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join((row[0].ljust(len(first)), *rest)))
    return "\n".join(lines)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """The document, indented, with a newline at its end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def describe_machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "memory_mb": round(psutil.virtual_memory().total / MEGABYTE),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "measured_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def results_document(
    results: Mapping[str, Result], dataset: Dataset, server: Server, figures: Sequence[Figure]
) -> dict[str, Any]:
    """Everything that was measured, run by run, as plain values."""
    return {
        "format": 1,
        "machine": describe_machine(),
        "server": {
            "version": server.version,
            "private": server.process_id is not None,
            "settings": SETTINGS if server.process_id is not None else None,
        },
        "dataset": {
            "profile": dataset.profile,
            "rows": _rows(dataset),
            "values": total_values(dataset.nominal_rows) if dataset.profile == "main" else None,
            "bytes": dataset.source_bytes,
            "dirty": dataset.dirty,
        },
        "rivals": [_rival_document(result) for result in results.values()],
        "figures": [
            {"title": f.title, "value": f.value, "limit": f.limit, "unit": f.unit, "reached": f.reached}
            for f in figures
        ],
    }


def _rival_document(result: Result) -> dict[str, Any]:
    rival = result.rival
    return {
        "name": rival.name,
        "title": rival.title,
        "version": result.version,
        "missing": result.missing,
        "types": rival.types.value,
        "builds_indexes": rival.builds_indexes,
        "verifies": rival.verifies,
        "remark": rival.remark,
        "runs": [_run_document(run) for run in result.runs],
    }


def _run_document(run: Run) -> dict[str, Any]:
    usage = run.usage
    return {
        "failure": run.failure,
        "phases": run.phases,
        "wall_s": usage.wall_s,
        "client_cpu_s": usage.client_cpu_s,
        "server_cpu_s": usage.server_cpu_s,
        "foreign_cpu_s": usage.foreign_cpu_s,
        "tree_rss_bytes": usage.tree_rss,
        "largest_rss_bytes": usage.largest_rss,
    }


def _line(results: Mapping[str, Result], result: Result, dataset: Dataset, base: str) -> tuple[str, ...]:
    runs = result.counting_runs()
    if not runs:
        reason = "missing" if result.missing else "FAILED"
        return (result.rival.name, reason, *("" for _ in _HEADINGS[2:]))
    load = result.seconds("load")
    median = statistics.median(load)
    verify = result.seconds("verify")
    return (
        result.rival.name,
        f"{median:.2f}",
        f"{min(load):.2f}–{max(load):.2f}",
        f"{statistics.median(result.seconds('wall')):.2f}",
        f"{_rows(dataset) / median:,.0f}",
        f"{dataset.source_bytes / MEGABYTE / median:.0f}",
        f"{statistics.median(run.usage.client_cpu_s for run in runs):.2f}",
        _server_cpu(runs),
        f"{statistics.median(run.usage.foreign_cpu_s for run in runs):.2f}",
        f"{max(run.usage.tree_rss for run in runs) / MEGABYTE:.0f}",
        f"{statistics.median(verify):.2f}" if verify else "",
        _ratio(results, result.rival.name, "load", base),
        _ratio(results, result.rival.name, "wall", base),
    )


def _server_cpu(runs: Sequence[Run]) -> str:
    known = [run.usage.server_cpu_s for run in runs if run.usage.server_cpu_s is not None]
    return f"{statistics.median(known):.2f}" if known else "?"


def _ratio(results: Mapping[str, Result], name: str, phase: str, base: str) -> str:
    ratio = pair_ratio(results, Ratio("", name, phase, base, phase, 0))
    return "" if ratio is None else f"{ratio:.2f}"


def _rows(dataset: Dataset) -> int:
    return total_rows(dataset.nominal_rows) if dataset.profile == "main" else dataset.nominal_rows
