"""The bounded queue: order, bound, errors in band, no task left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from etl.ahead import ahead


class Source:
    """Counts what was taken from it and whether it was closed."""

    def __init__(self, count: int, fail_at: int | None = None) -> None:
        self.count, self.fail_at = count, fail_at
        self.produced = 0
        self.closed = False

    async def run(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self.count):
                if number == self.fail_at:
                    raise ValueError(f"broken at {number}")
                self.produced += 1
                yield number
                await asyncio.sleep(0)
        finally:
            self.closed = True


async def test_items_arrive_in_order() -> None:
    """What goes in first comes out first, and nothing is missing."""
    assert [item async for item in ahead(Source(50).run(), 3)] == list(range(50))


async def test_the_source_runs_ahead_by_no_more_than_the_depth() -> None:
    """One item at the consumer, `depth` in the queue, one in the producer's hand."""
    source = Source(100)
    async with aclosing(ahead(source.run(), 2)) as items:
        await anext(items)
        for _ in range(50):
            await asyncio.sleep(0)
        assert source.produced <= 1 + 2 + 1


async def test_an_error_is_raised_at_its_place_after_the_items_before_it() -> None:
    """A failed source can never look like an end."""
    items = ahead(Source(10, fail_at=3).run(), 2)
    assert [await anext(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken at 3"):
        await anext(items)


async def test_leaving_early_closes_the_source_and_ends_its_task() -> None:
    """A consumer that stops leaves no task and no open generator."""
    source = Source(1000)
    before = len(asyncio.all_tasks())
    async with aclosing(ahead(source.run(), 2)) as items:
        await anext(items)
    assert source.closed
    assert len(asyncio.all_tasks()) == before


@pytest.mark.parametrize("delay_s", [0, 0.001, 0.003, 0.01])
async def test_a_cancelled_consumer_unwinds_completely(delay_s: float) -> None:
    """Wherever the cancellation strikes, both stages are closed when it comes out."""
    source = Source(10**9)

    async def consume() -> None:
        async with aclosing(ahead(ahead(source.run(), 1), 1)) as items:
            async for _ in items:
                await asyncio.sleep(0)

    before = len(asyncio.all_tasks())
    task = asyncio.create_task(consume())
    await asyncio.sleep(delay_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) == before
    assert source.closed or source.produced == 0
