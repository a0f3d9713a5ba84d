"""The source's batches as the target must hold them, read and built ahead of the comparison.

Invariant: nothing blocks the loop, and what has begun in a thread has ended before its caller goes on; of a large row
there is never more than one, at any stage, and what leaves this module has not its bytes but their hashes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import Any, ParamSpec, TypeVar

from etl.verify.account import LargeRows, Tally
from etl.verify.cells import SourceRows
from etl.verify.rows import ExpectedRows, expect_rows, row_views
from etl.verify.runs import LARGE_BYTES
from etl.verify.source import SourceTableReader

P = ParamSpec("P")
T = TypeVar("T")


# Work on rows holds Python's interpreter most of the time, and threads that wait for it cost the others theirs; so it
# has few, for all tables together. What waits for a database has threads of its own.
ROW_WORKERS = ThreadPoolExecutor(max(1, min(4, (os.cpu_count() or 1) // 2)), "rows")


async def in_worker(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As ``in_thread``, for work on rows: when one of the ``ROW_WORKERS`` is free."""
    return await _run_in(ROW_WORKERS, partial(function, *args, **kwargs))


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking work beside the loop; a cancellation waits for its end, for it holds a connection."""
    return await _run_in(None, partial(function, *args, **kwargs))


async def _run_in(executor: Executor | None, call: Callable[[], T]) -> T:
    """The call's result.

    When it is over, nothing in the thread names its arguments or its result any more: the executor's own names live on
    until the thread is given its turn again, and beside a large row there would be a second one by luck.
    """
    given, results = [call], []
    del call

    def run() -> None:
        results.append(given.pop()())

    # a bare future, no task: when a loop shuts down it cancels every task, and the thread would go on unwatched
    work = asyncio.get_running_loop().run_in_executor(executor, run)
    try:
        await asyncio.shield(work)
        return results.pop()
    except asyncio.CancelledError:
        while not work.done():
            try:
                await asyncio.wait({work})
            except asyncio.CancelledError:
                continue
        if not work.cancelled():
            work.exception()  # retrieved: the cancellation is what is told
        raise


Expected = ExpectedRows | LargeRows
LARGE_DOCUMENTS_BYTES = 8 << 20  # a batch with documents, whose comparison one by one holds them several times


async def expected_batches(reader: SourceTableReader, tally: Tally) -> AsyncGenerator[Expected, None]:
    """The source's batches as the target must hold them: one is read, one built and one compared at a time."""
    source = reader.batches()

    def expect(rows: SourceRows) -> Expected:
        expected = expect_rows(rows, tally.table)
        tally.repeated_keys.note(expected)
        if rows.bytes > (LARGE_DOCUMENTS_BYTES if expected.documents else LARGE_BYTES):
            sent = None if expected.sent is None else row_views(expected.sent)
            return LargeRows(row_views(expected.rows), sent, rows.bytes, tally.key_places)
        return expected

    async def build() -> Expected | None:
        rows = await anext(batches, None)
        return None if rows is None else await in_worker(expect, rows)

    try:
        async with (
            aclosing(_ahead(partial(in_thread, next, source, None), lambda rows: rows.bytes)) as batches,
            aclosing(_ahead(build, _source_bytes)) as built,
        ):
            async for expected in built:
                handed = [expected]
                del expected
                yield handed.pop()
    finally:
        await in_thread(_close, source)


def _source_bytes(expected: Expected) -> int:
    return expected.source_bytes


async def _ahead(
    produce: Callable[[], Coroutine[Any, Any, T | None]], bytes_of: Callable[[T], int]
) -> AsyncGenerator[T, None]:
    """What ``produce`` gives until it gives None, always one in advance; after a large one that has to wait."""
    work = asyncio.ensure_future(produce())
    try:
        while (item := await work) is not None:
            handed = [item]  # nothing here names it while it is handed out, or a large one would live on
            is_large = bytes_of(item) > LARGE_BYTES
            work = asyncio.ensure_future(_nothing() if is_large else produce())
            del item
            yield handed.pop()
            if is_large:
                work = asyncio.ensure_future(produce())
    finally:
        work.cancel()
        await asyncio.wait({work})
        if not work.cancelled():
            work.exception()


async def _nothing() -> None:
    return None


def _close(source: Iterator[object]) -> None:
    close = getattr(source, "close", None)
    if close is not None:
        close()
