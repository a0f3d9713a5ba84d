"""What is said to the allocators and to the collector of cycles."""

from __future__ import annotations

import subprocess
import sys


def test_the_collector_of_cycles_is_at_work_again_once_a_run_begins() -> None:
    """It is off while modules are imported; left off, a failed run's tracebacks would hold its pages for ever."""
    code = """if True:
        import gc
        from etl.memory import import_without_collecting
        from etl.shell.interruption import run_interruptible
        import_without_collecting()
        assert not gc.isenabled()
        async def job(): return gc.isenabled(), gc.get_freeze_count() > 1000
        print(run_interruptible(job, print))
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "(True, True)"
