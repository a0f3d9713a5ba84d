"""Blocking work beside the event loop.

Invariant: work that has begun is awaited to its end even when the caller is cancelled, so that no thread still uses a
connection that its owner already closes.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

SWITCH_S = 0.0005  # Python's own 5 ms are long for threads that want the interpreter between two calls into C

P = ParamSpec("P")
T = TypeVar("T")


def hand_over_quickly() -> None:
    """Let threads wait less for one another: a run of several tables ends about a tenth sooner."""
    sys.setswitchinterval(SWITCH_S)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` in a worker thread and return its result; a cancellation is raised when it has ended."""
    # a future of the executor, not a task: a loop that shuts down cancels tasks, and the thread would still run
    call = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
    work = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            try:
                await asyncio.wait({work})
            except asyncio.CancelledError:
                continue  # a second cancel does not make the thread end sooner
        if not work.cancelled():
            work.exception()  # retrieved, or asyncio would warn that nobody looked
        raise


class StoppedError(Exception):
    """Long work that was asked to stop, and did."""


async def in_stoppable_thread(function: Callable[..., T], *args: Any) -> T:
    """As ``in_thread``, for long work: ``function`` gets one argument more, which tells when to stop.

    It then raises StoppedError, soon; the caller sees the cancellation.
    """
    stop = threading.Event()
    work = asyncio.ensure_future(in_thread(function, *args, stop.is_set))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({work})
        if not work.cancelled():
            work.exception()  # retrieved, or asyncio would warn that nobody looked
        raise
