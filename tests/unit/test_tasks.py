"""Threads and groups of tasks end before their caller goes on."""

from __future__ import annotations

import asyncio
import time

import pytest

from etl.tasks import beside, to_the_end, together
from etl.threads import in_thread


async def test_a_cancelled_caller_waits_for_its_thread() -> None:
    """A thread that still uses a connection has ended before the cancellation is seen."""
    ended = []

    def work() -> None:
        time.sleep(0.1)
        ended.append(True)

    task = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


async def test_the_first_failure_is_raised_by_itself() -> None:
    """No exception group reaches the user, and the other works have been cancelled."""
    cancelled = []

    async def slow() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def fails() -> None:
        await asyncio.sleep(0.01)
        raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        await together(slow(), fails(), slow())
    assert cancelled == [True, True]


async def test_a_failure_keeps_its_cause_on_its_way_out_of_groups_in_groups() -> None:
    """Whoever names the row at fault reads the server's own error, which is the cause of ours."""
    server_words = KeyError("column body")

    async def fails() -> None:
        raise ValueError("refused") from server_words

    async def fails_beside_a_block() -> None:
        async with beside(fails()):
            await asyncio.sleep(10)

    with pytest.raises(ValueError, match="refused") as raised:
        await together(fails_beside_a_block())
    assert raised.value.__cause__ is server_words


async def test_results_come_in_the_order_of_the_works() -> None:
    """However long each takes."""

    async def after(delay_s: float, value: str) -> str:
        await asyncio.sleep(delay_s)
        return value

    assert await together(after(0.02, "a"), after(0, "b")) == ["a", "b"]


async def test_work_that_must_end_ends_although_its_caller_is_cancelled() -> None:
    """A publish that has begun is finished, and its outcome is known."""

    async def publish() -> str:
        await asyncio.sleep(0.05)
        return "published"

    task = asyncio.create_task(to_the_end(publish()))
    await asyncio.sleep(0.01)
    task.cancel()
    assert await task == "published"


async def test_a_failure_beside_a_block_ends_the_block_at_once() -> None:
    """The load of hours ends when the check beside it has found what will stop it."""

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise ValueError("found")

    with pytest.raises(ValueError, match="found"):
        async with beside(fail()):
            await asyncio.sleep(60)


async def test_work_beside_a_block_is_waited_for_and_its_failure_told() -> None:
    """The block may be done first."""
    done = False

    async def work() -> None:
        nonlocal done
        await asyncio.sleep(0.02)
        done = True
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        async with beside(work()):
            pass
    assert done


async def test_a_cancelled_block_cancels_the_work_beside_it() -> None:
    """Ctrl-C leaves nothing running, and stays a cancellation."""
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    async def block() -> None:
        async with beside(work()):
            await asyncio.sleep(60)

    task = asyncio.create_task(block())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(cancelled.wait(), 1)


@pytest.mark.parametrize("failing", ["work", "block"])
async def test_what_runs_beside_a_block_ends_with_it(failing: str) -> None:
    """The first failure is raised by itself, and the other side has unwound by then: it may hold a connection."""
    unwound = []

    async def wait(seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            unwound.append(True)
            raise
        raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        async with beside(wait(0.01 if failing == "work" else 10)):
            await wait(0.01 if failing == "block" else 10)
    assert unwound == [True]


async def test_the_result_of_what_ran_beside_can_be_awaited() -> None:
    """Within the block, or after it."""
    async with beside(asyncio.sleep(0.01, "done")) as task:
        pass
    assert task.result() == "done"
