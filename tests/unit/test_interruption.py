"""A signal ends a run within seconds, whatever the run is doing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import asyncio, sys, time
from etl.shell import interruption
from etl.shell.console import tell_failure
interruption.CLEANUP_S = 0.5

async def work():
    print("ready", flush=True)
    try:
        {body}
    finally:
        {cleanup}

def leave():
    print("left", flush=True)

try:
    result = interruption.run_interruptible(work, lambda line: print(line, flush=True), leave)
    print("result", result)
except BaseException as error:
    sys.exit(tell_failure(error, [], False))
"""


def start(body: str, cleanup: str = "print('cleaned', flush=True)") -> subprocess.Popen[str]:
    """A process that has begun its work."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body, cleanup=cleanup)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_cleans_up_and_tells_the_shell(number: signal.Signals, status: int) -> None:
    """The exit status says which signal it was, the last line that the target is as before."""
    process = start("await asyncio.sleep(60)")
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert process.returncode == status
    assert "cleaned" in out
    assert err.splitlines()[-1] == "interrupted: the target is as before"


def test_a_second_signal_leaves_at_once() -> None:
    """The clean-up is not waited for, but what must not stay behind is seen to."""
    process = start("await asyncio.sleep(60)", "await asyncio.sleep(0.4)")
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "left" in out


def test_a_clean_up_that_hangs_is_cut_off() -> None:
    """After the time that it has, the process leaves and says so."""
    process = start("await asyncio.sleep(60)", "await asyncio.sleep(60)")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 143
    assert "left" in out
    assert "cleaning up took more than" in err


def test_a_loop_that_stands_still_is_left_too() -> None:
    """Python code that never yields does not keep the process alive."""
    process = start("await asyncio.sleep(60)", "time.sleep(60)")
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


def test_a_signal_that_comes_too_late_changes_nothing() -> None:
    """What was published is reported as done, with its status."""
    body = """
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "published"
    """
    process = start(body.strip())
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "result published" in out


def test_a_signal_after_the_end_does_not_keep_the_report_back() -> None:
    """The data are there, so the shell hears it; only who insists ends the process."""
    for last, status in (("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM), ("pass", 0)):
        program = PROGRAM.replace('    print("result"', f"    late()\n    {last}\n    print('result'")
        program = program.format(body="return 'published'", cleanup="pass")
        late = "import os, signal\n\ndef late():\n    for number in (signal.SIGINT, signal.SIGTERM):\n"
        late += "        os.kill(os.getpid(), number)\n"
        done = subprocess.run([sys.executable, "-c", late + program], capture_output=True, text=True, timeout=10)
        assert done.returncode == status, done.stderr
        assert ("result published" in done.stdout) == (status == 0)
