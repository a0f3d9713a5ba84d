"""The bounded queue between two stages: the only one.

Invariant: an error of the source travels in band and is raised at its place, so that a failed stage can never look
like an end; and the source is closed before the consumer's ``aclose`` returns. Behind a large item nothing is made
ahead: the source is asked again when the consumer has done with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
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


def never(item: object) -> bool:
    """No item is large."""
    return False


async def ahead(
    source: AsyncGenerator[T, None], depth: int, is_large: Callable[[T], bool] = never
) -> AsyncGenerator[T, None]:
    """Yield what ``source`` yields, while a task of its own runs it up to ``depth`` items ahead.

    Neither keeps what it has yielded: of large items there is never more than one in a queue or behind it.
    """
    queue: asyncio.Queue[_Item[T] | _Failure | _End] = asyncio.Queue(depth)
    filler = asyncio.create_task(_fill(source, queue, is_large), name="ahead")
    try:
        while not isinstance(message := await queue.get(), _End):
            if isinstance(message, _Failure):
                raise message.error
            handed = [message.value]
            del message
            yield handed.pop()
            queue.task_done()
    finally:
        await _stop(filler)


async def _fill(
    source: AsyncGenerator[T, None], queue: asyncio.Queue[_Item[T] | _Failure | _End], is_large: Callable[[T], bool]
) -> None:
    try:
        async with aclosing(source):
            async for value in source:
                large = is_large(value)
                await queue.put(_Item(value))
                del value
                if large:
                    await queue.join()
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
