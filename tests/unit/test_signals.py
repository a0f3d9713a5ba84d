"""A signal while modules are imported: no traceback, no half an import, the right status."""

import os
import signal
import subprocess
import sys

import pytest

from etl.shell.signals import signals_held

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


def test_a_signal_waits_for_the_end_of_what_may_not_be_interrupted() -> None:
    """And is heeded then."""
    steps = []

    def work() -> None:
        with signals_held():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("through")
        steps.append("too far")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["through"]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
