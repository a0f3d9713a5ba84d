"""The bounded queue between two stages: the only one.

Invariant: an error of the source travels in band and is raised at its place, so that a failed stage can never look
like an end; and the source is closed before the consumer's ``aclose`` returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


class _End:
    """Nothing follows."""


async def ahead(source: AsyncGenerator[T, None], depth: int) -> AsyncGenerator[T, None]:
    """Yield what ``source`` yields, while a task of its own runs it up to ``depth`` items ahead."""
    queue: asyncio.Queue[_Item[T] | _Failure | _End] = asyncio.Queue(depth)
    filler = asyncio.create_task(_fill(source, queue), name="ahead")
    try:
        while not isinstance(message := await queue.get(), _End):
            if isinstance(message, _Failure):
                raise message.error
            yield message.value
    finally:
        await _stop(filler)


async def _fill(source: AsyncGenerator[T, None], queue: asyncio.Queue[_Item[T] | _Failure | _End]) -> None:
    try:
        async with aclosing(source):
            async for value in source:
                await queue.put(_Item(value))
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        await queue.put(_Failure(error))
    else:
        await queue.put(_End())


async def _stop(task: asyncio.Task[None]) -> None:
    """Cancel the task and wait until it has unwound, whatever is cancelled meanwhile."""
    task.cancel()
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if not task.cancelled():
        task.exception()  # retrieved: it was raised in band, or the consumer left before it
    if cancelled:
        raise asyncio.CancelledError
