"""Blocking work beside the event loop.

Invariant: work that has begun is awaited to its end even when the caller is cancelled, so that no thread still uses a
connection that its owner already closes.

Pages are worked on by few threads, whatever the number of tables: such work holds Python's interpreter most of the
time, and threads that wait for it cost a fifth of the client's CPU (two cores, two tables: 26,000 switches against
4,000). What waits for a database or a disk has threads of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import itertools
import os
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from typing import Any, ParamSpec, TypeVar

SWITCH_S = 0.0005  # Python's own 5 ms are long for threads that want the interpreter between two calls into C

P = ParamSpec("P")
T = TypeVar("T")


def hand_over_quickly() -> None:
    """Let threads wait less for one another: a run of several tables ends about a tenth sooner."""
    sys.setswitchinterval(SWITCH_S)


class Turn(IntEnum):
    """What is taken up first of the page work that waits: what is nearest to the target, so that few pages are on
    their way and the server has none to wait for.
    """

    ENCODE = 0
    COERCE = 1
    READ = 2


class PageWorkers:
    """Threads for the work on pages, started when they are first needed; they live as long as the process."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._threads: list[threading.Thread] = []
        self._numbers = itertools.count()  # of one turn, first come, first served
        self._waiting: queue.PriorityQueue[tuple[Turn, int, Future[Any], Callable[[], Any]]] = queue.PriorityQueue()

    def submit(self, turn: Turn, call: Callable[[], T]) -> Future[T]:
        while len(self._threads) < self._count:
            self._threads.append(threading.Thread(target=self._work, name="pages", daemon=True))
            self._threads[-1].start()
        future: Future[T] = Future()
        self._waiting.put((turn, next(self._numbers), future, call))
        return future

    def _work(self) -> None:
        while True:
            *_, future, call = self._waiting.get()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # for whoever awaits it
                    future.set_exception(error)
            del future, call  # or a large page would live on until the next one comes


# half of the cores: the server, or what else is there, has the rest; and one interpreter has no use for many
PAGE_WORKERS = PageWorkers(max(1, min(4, (os.cpu_count() or 1) // 2)))


async def in_turn(turn: Turn, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As ``in_thread``, for work on one page: by one of the ``PAGE_WORKERS``, when its turn has come."""
    return await _ended(asyncio.wrap_future(PAGE_WORKERS.submit(turn, _in_context(function, *args, **kwargs))))


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` in a worker thread and return its result; a cancellation is raised when it has ended."""
    return await _ended(asyncio.get_running_loop().run_in_executor(None, _in_context(function, *args, **kwargs)))


def _in_context(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Callable[[], T]:
    return functools.partial(contextvars.copy_context().run, function, *args, **kwargs)


async def _ended(work: asyncio.Future[T]) -> T:
    """The result of a thread's work.

    A future, not a task: a loop that shuts down cancels tasks, and the thread would still run.
    """
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
