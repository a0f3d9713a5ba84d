"""The frame of a rival that is a Python program: read the job, load, write down how long it took.

Invariant: imports and start-up are done before the clock starts, which favours the rival.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.rivals import Job, read_job


def main(load: Callable[[Job], None]) -> None:
    """Runs ``load`` with the job of the command line."""
    job = read_job(Path(sys.argv[1]))
    start = time.perf_counter()
    load(job)
    job.seconds_file.write_text(json.dumps({"load": time.perf_counter() - start}))
