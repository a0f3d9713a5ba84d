"""A signal while modules are imported: no traceback, no half an import, the right status."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from etl.errors import InterruptedRunError
from etl.shell.signals import WATCHED, heed_signals, signals_held

SENDS_ITSELF_A_SIGNAL = """
import os, sys
sys.argv = ["etl", "--help"]

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), int({number}))

sys.meta_path.insert(0, Interrupts())
from etl.__main__ import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_during_the_first_imports_ends_the_program_in_a_word(number: signal.Signals) -> None:
    """Python would tell where it stood, in twenty lines."""
    code = SENDS_ITSELF_A_SIGNAL.format(number=int(number))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (128 + number, "", "interrupted\n")


@pytest.fixture
def heeded() -> Iterator[None]:
    """Signals as a command heeds them, and a thread that could take one in the place of the main one."""
    before = [(number, signal.getsignal(number)) for number in WATCHED]
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    heed_signals()
    yield
    for number, handler in before:
        signal.signal(number, handler)
    done.set()
    other.join()


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, InterruptedRunError)]
)
def test_a_signal_waits_for_the_end_of_what_may_not_be_interrupted(
    heeded: None, number: signal.Signals, raised: type[BaseException]
) -> None:
    """And is heeded then, once."""
    steps = []

    def work() -> None:
        with signals_held():
            os.kill(os.getpid(), number)
            steps.append("through")
        steps.append("too far")

    with pytest.raises(raised):
        work()
    assert steps == ["through"]
    with signals_held():
        pass
    with pytest.raises(raised):
        signal.raise_signal(number)
