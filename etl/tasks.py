"""Several things at once, and one thing that must not be cut off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def together(*works: Coroutine[Any, Any, T]) -> list[T]:
    """Run all; the first failure cancels the others, waits until they have unwound, and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as failures:
        raise first_leaf(failures) from failures
    return [task.result() for task in tasks]


def first_leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that came first; what the cancelled others say of it is an echo."""
    first = group.exceptions[0]
    return first_leaf(first) if isinstance(first, BaseExceptionGroup) else first


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run ``work`` beside the block, which is not left before it has ended; its failure is raised there."""
    task = asyncio.ensure_future(work)
    try:
        yield
        await task
    finally:
        task.cancel()


@contextlib.asynccontextmanager
async def ended_by(work: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run ``work`` beside the block, and end the block at once with the failure of ``work``, should there be one."""
    block = asyncio.current_task()
    task = asyncio.ensure_future(work)

    def end(ended: asyncio.Task[object]) -> None:
        if block is not None and not ended.cancelled() and ended.exception() is not None:
            block.cancel()

    task.add_done_callback(end)
    try:
        yield
        task.remove_done_callback(end)
        await task
    except asyncio.CancelledError:
        if block is None or not task.done() or task.cancelled() or task.exception() is None:
            raise
        block.uncancel()
        await task
    finally:
        task.remove_done_callback(end)
        task.cancel()


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` even when cancelled meanwhile: a commit that has begun is better known than abandoned."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
    return task.result()
