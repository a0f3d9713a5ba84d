"""Several things at once, and one thing that must not be cut off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


async def together(*works: Coroutine[Any, Any, T]) -> list[T]:
    """Run all; the first failure cancels the others, waits until they have unwound, and is raised by itself."""
    with first_failure():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    return [task.result() for task in tasks]


@contextlib.contextmanager
def first_failure() -> Iterator[None]:
    """Around a group of tasks: the failure that came first is raised by itself, with the cause that it had.

    What the cancelled others say of it is an echo. The cause must stay: it is the server's own error.
    """
    try:
        yield
    except BaseExceptionGroup as failures:
        first = _first_leaf(failures)
        raise first from first.__cause__


def _first_leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Run ``work`` beside the block: neither is left before the other has ended.

    The first failure of either cancels the other and is raised by itself, after both have unwound.
    """
    with first_failure():
        async with asyncio.TaskGroup() as group:
            yield group.create_task(work)


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
