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
from dataclasses import dataclass, field
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
    for number in WATCHED:
        signal.signal(number, _heed)


def _heed(number: int, _frame: FrameType | None) -> None:
    if _hold.held:
        _hold.waiting.append(number)
    else:
        _unwind(number)


def _unwind(number: int) -> NoReturn:
    """While no event loop runs."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    interrupted = InterruptedRunError("terminated")
    interrupted.status = ExitStatus.TERMINATED
    raise interrupted


@dataclass
class _Hold:
    """Not the thread's signal mask: another thread, of a library, would take the signal and it would come through."""

    held: bool = False
    waiting: list[int] = field(default_factory=list)


_hold = _Hold()


@contextmanager
def signals_held() -> Iterator[None]:
    """Around imports: a signal that is heeded is so when they are through."""
    _hold.held = True
    try:
        yield
    finally:
        _hold.held = False
        if _hold.waiting:
            number = _hold.waiting[0]
            _hold.waiting.clear()
            _unwind(number)
