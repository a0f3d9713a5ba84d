"""Transactions by hand, so that the first error is the one shown.

Invariant: a block that fails leaves nothing; what the driver says of a rollback on a dead connection is never the news.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import asyncpg

from etl.load.connect import named_errors


@contextlib.asynccontextmanager
async def transaction(connection: asyncpg.Connection, where: str, *first: str) -> AsyncIterator[None]:
    """BEGIN and COMMIT around the block, ROLLBACK when it fails; ``where`` begins the messages.

    The statements ``first`` go to the server together with BEGIN. Where one of them fails, the connection is left in
    the failed transaction, for its lender to drop.
    """
    async with _by_hand(connection, where, "; ".join(("begin", *first)), "commit", "rollback"):
        yield


@contextlib.asynccontextmanager
async def savepoint(connection: asyncpg.Connection, where: str) -> AsyncIterator[None]:
    """A part of the running transaction that is undone by itself when the block fails."""
    async with _by_hand(connection, where, "savepoint etl", "release savepoint etl", "rollback to savepoint etl"):
        yield


@contextlib.asynccontextmanager
async def _by_hand(
    connection: asyncpg.Connection, where: str, begin: str, commit: str, rollback: str
) -> AsyncIterator[None]:
    with named_errors(where):
        await connection.execute(begin)
    try:
        yield
    except BaseException:
        if not connection.is_closed():
            try:
                await connection.execute(rollback)
            except (
                Exception
            ):  # whatever the driver says: the first error is the one to show, and nobody uses this again
                connection.terminate()
        raise
    with named_errors(where):
        await connection.execute(commit)
