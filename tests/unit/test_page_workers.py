"""The threads that work on pages: whose turn it is, and what is left of work that fails or is given up."""

import asyncio
import gc
import threading
import weakref
from functools import partial

import pytest

from etl.threads import PageWorkers, Turn, in_turn


def test_what_is_nearest_to_the_target_is_taken_up_first() -> None:
    """Among equals the order in which they came decides."""
    workers, release, done = PageWorkers(1), threading.Event(), list[str]()
    began = threading.Event()

    def block() -> None:
        began.set()
        release.wait()

    workers.submit(Turn.READ, block)
    began.wait()
    waiting = [
        workers.submit(turn, partial(done.append, name))
        for turn, name in (
            (Turn.READ, "read a"),
            (Turn.COERCE, "coerce a"),
            (Turn.ENCODE, "encode a"),
            (Turn.READ, "read b"),
            (Turn.COERCE, "coerce b"),
            (Turn.ENCODE, "encode b"),
        )
    ]
    release.set()
    for future in waiting:
        future.result(timeout=10)
    assert done == ["encode a", "encode b", "coerce a", "coerce b", "read a", "read b"]


async def test_an_error_is_raised_where_the_work_is_awaited() -> None:
    """And the worker goes on."""

    def fail() -> None:
        raise ValueError("a page")

    for _ in range(3):
        with pytest.raises(ValueError, match="a page"):
            await in_turn(Turn.COERCE, fail)
    assert await in_turn(Turn.COERCE, "{}!".format, "next") == "next!"


async def test_a_cancellation_waits_for_the_end_of_the_work() -> None:
    """For the work may hold a connection that its owner closes next."""
    began, release, ended = threading.Event(), threading.Event(), list[bool]()

    def work() -> None:
        began.set()
        release.wait()
        ended.append(True)

    task = asyncio.create_task(in_turn(Turn.READ, work))
    await asyncio.to_thread(began.wait)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


async def test_a_page_does_not_live_on_in_the_worker() -> None:
    """Neither what was given nor what was made of it: a large one would stand beside the next."""

    class Page:
        pass

    given = Page()
    made = await in_turn(Turn.ENCODE, lambda page: Page(), given)
    pages = weakref.ref(given), weakref.ref(made)
    del given, made
    for _ in range(100):
        gc.collect()
        if all(page() is None for page in pages):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("a page is still there")
