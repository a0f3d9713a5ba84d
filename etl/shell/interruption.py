"""Ends a run on SIGINT or SIGTERM: cancel, clean up for five seconds at most, leave.

Invariant: the first signal cancels the main task and nothing else; after it the process ends within CLEANUP_S, or at
once on a second signal, even when the event loop stands still.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

from etl.errors import EtlError, ExitStatus, InterruptedRunError
from etl.memory import settle
from etl.shell.signals import WATCHED, signals_held
from etl.standing import AS_BEFORE

CLEANUP_S = 5.0

_REMAINS = "what is left in a staging schema, the next run removes"

T = TypeVar("T")
Leave = Callable[[], None]
Tell = Callable[[str], None]
Words = Callable[[], str]


def as_before() -> str:
    """What is true of a target that nobody has written to."""
    return AS_BEFORE


def run_interruptible(
    work: Callable[[], Coroutine[Any, Any, T]], tell: Tell, leave: Leave | None = None, words: Words = as_before
) -> T:
    """Run the coroutine that ``work`` makes, on uvloop where it is installed.

    Returns its result, even where a signal came too late to stop it; one that comes later still is passed over, so that
    the report is told and the status stands. Raises InterruptedRunError (status 130 or 143)
    when a signal ended it, else whatever it raised. ``tell`` says that the signal was heard; ``leave`` runs just
    before a hard exit; ``words`` are what is true of the target at the moment of asking, for the last line.
    """
    with signals_held():
        loop_factory = _loop_factory()
    settle()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_guard(work, tell, leave, words))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _note_stray(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A future that the driver abandons with a lost connection: what mattered of it has been raised elsewhere."""
    logging.getLogger("etl").debug("%s: %r", context.get("message"), context.get("exception"))


async def _guard(work: Callable[[], Coroutine[Any, Any, T]], tell: Tell, leave: Leave | None, words: Words) -> T:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_note_stray)
    task = asyncio.ensure_future(work())
    received: list[signal.Signals] = []
    timers: list[threading.Timer] = []

    def stop(number: signal.Signals) -> None:
        received.append(number)
        tell("interrupted: cleaning up (once more to leave at once)")
        for watched in WATCHED:
            # Python's own handler from here on: it also works while the loop stands still
            loop.remove_signal_handler(watched)
            signal.signal(watched, lambda _number, _frame: _leave_at_once(_status(number), leave, words))
        timer = threading.Timer(CLEANUP_S, _leave_late, (_status(number), leave, words))
        timer.daemon = True
        timer.start()
        timers.append(timer)
        task.cancel()

    for watched in WATCHED:
        loop.add_signal_handler(watched, stop, watched)
    ended = False
    try:
        result = await task
        ended = True
        return result
    except (asyncio.CancelledError, EtlError):  # after a signal, what else went wrong on the way out is no news
        if not received:
            raise
        interrupted = InterruptedRunError(f"interrupted: {words()}")
        interrupted.status = _status(received[0])
        raise interrupted from None
    finally:
        for timer in timers:
            timer.cancel()
        for watched in WATCHED:
            loop.remove_signal_handler(watched)
            if ended:
                signal.signal(watched, _pass_once)


def _pass_once(number: int, _frame: FrameType | None) -> None:
    """A signal after the end: what was published stays, and is still to be told; a second one ends the process."""
    signal.signal(number, signal.SIG_DFL)


def _status(number: int) -> ExitStatus:
    return ExitStatus.TERMINATED if number == signal.SIGTERM else ExitStatus.INTERRUPTED


def _leave_late(status: ExitStatus, leave: Leave | None, words: Words) -> None:
    _say(f"interrupted: cleaning up took more than {CLEANUP_S:.0f} s; {words()}; {_REMAINS}")
    _leave_now(status, leave)


def _leave_at_once(status: ExitStatus, leave: Leave | None, words: Words) -> None:
    _say(f"interrupted: left at once; {words()}; {_REMAINS}")
    _leave_now(status, leave)


def _leave_now(status: ExitStatus, leave: Leave | None) -> None:
    """End the process without any further clean-up; the terminal gets its cursor back."""
    if leave is not None:
        leave()
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h")
        sys.stderr.flush()
    os._exit(status)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
