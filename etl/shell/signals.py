"""Signals before a run has begun: no import may be interrupted.

A KeyboardInterrupt in the middle of one ends in a traceback, and in that of an extension now and then in a crash.

Invariant: until a command heeds signals nothing has begun that would have to be cleaned up, and a signal ends the
process at once; from then on a signal unwinds, and during an import it waits for its end.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from etl.errors import ExitStatus, InterruptedRunError

WATCHED = (signal.SIGINT, signal.SIGTERM)
SIGNALLED = 128  # a shell's status of what a signal has ended is this and the signal's number


def leave_on_signals() -> None:
    """The first thing that the program does."""
    for number in WATCHED:
        signal.signal(number, _leave)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    os.write(2, b"interrupted\n")
    os._exit(SIGNALLED + number)


def heed_signals() -> None:
    """From here on they unwind, so that what was started is stopped."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """SIGTERM while no event loop runs."""
    interrupted = InterruptedRunError("terminated")
    interrupted.status = ExitStatus.TERMINATED
    raise interrupted


@contextmanager
def signals_held() -> Iterator[None]:
    """Around imports: a signal is heeded when they are through."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
