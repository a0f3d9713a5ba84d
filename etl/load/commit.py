"""The COMMIT that decides: known for what it is, even when the connection breaks before its answer arrives.

The server is asked what became of the transaction. As long as it is in progress nothing is known: the COMMIT may lie
in a buffer on its way. So the session is given a moment, then ended, which decides it one way or the other.

Invariant: what returns was committed; what raises UnknownOutcomeError may have been, since the server cannot be asked;
what raises anything else was not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager

import asyncpg
from asyncpg.transaction import Transaction

from etl.errors import TargetError, TargetLostError, UnknownOutcomeError
from etl.load.address import TargetAddress
from etl.load.connect import connect, hang_up, named_errors, retrying

PATIENCE_S = 5.0  # for a session to notice by itself that nobody is there
DECISION_S = 30.0  # for one that was told to end: it may wait for a standby, or for its disk
ASKED_EVERY_S = 0.1
UNKNOWN_TO_SERVER = "22023"  # a number that it has never given out: a crash has forgotten all of the transaction


@contextlib.asynccontextmanager
async def uncommitted(connection: asyncpg.Connection) -> AsyncIterator[Transaction]:
    """A transaction to be ended by ``commit``: what is not committed when the block is left is rolled back."""
    transaction = connection.transaction()
    with named_errors("begin"):
        await transaction.start()
    try:
        yield transaction
    finally:
        if not connection.is_closed() and connection.is_in_transaction():  # one that was cut has no state to ask for
            try:
                await transaction.rollback()
            except Exception:  # the first error is the one to show
                connection.terminate()


async def commit(
    connection: asyncpg.Connection,
    transaction: Transaction,
    address: TargetAddress,
    decision: AbstractContextManager[None],
) -> None:
    """Commit, or raise TargetLostError where the connection was lost and the server has rolled back.

    Raises UnknownOutcomeError where it cannot be asked. ``decision`` is left when the outcome is known.
    """
    with named_errors("commit"):
        number = await connection.fetchval("select txid_current()")
    with decision:
        try:
            with named_errors("commit"):
                await transaction.commit()
        except TargetError as error:
            if not (isinstance(error, TargetLostError) or connection.is_closed()):
                raise
            if not await was_committed(address, number, connection.get_server_pid()):
                raise TargetLostError(
                    "the connection was lost during COMMIT, and the server has rolled back", "run the command again"
                ) from error


async def was_committed(address: TargetAddress, number: int, process: int) -> bool:
    """What became of the transaction whose COMMIT was not answered; ``process`` is the server's for its session.

    Raises UnknownOutcomeError where the server cannot be asked.
    """
    try:
        async for attempt in retrying():
            with attempt:
                connection = await connect(address)
                try:
                    return await _decided(connection, number, process)
                finally:
                    await hang_up(connection)
    except TargetError as error:
        raise UnknownOutcomeError(
            "the connection was lost during COMMIT, and nobody knows whether it took effect: all that it was to show is"
            f" there, or nothing of it ({error.message})",
            "when the server answers again, `etl verify SOURCE TARGET` tells which",
        ) from error
    raise TargetLostError("the server went away too often")  # not reached: the last error is raised


async def _decided(connection: asyncpg.Connection, number: int, process: int) -> bool:
    clock = asyncio.get_running_loop().time
    begun, is_told = clock(), False
    while (status := await _status(connection, number)) == "in progress":
        if clock() - begun > DECISION_S:
            raise TargetError("its session does not end", f"select pg_terminate_backend({process});")
        if not is_told and clock() - begun > PATIENCE_S:
            is_told = True
            with named_errors(f"end the session {process}"):
                await connection.execute("select pg_terminate_backend($1)", process)
        await asyncio.sleep(ASKED_EVERY_S)
    return status == "committed"


async def _status(connection: asyncpg.Connection, number: int) -> str:
    try:
        with named_errors("the outcome of the transaction"):
            status: str = await connection.fetchval("select txid_status($1)", number)
    except TargetError as error:
        if error.sqlstate == UNKNOWN_TO_SERVER:
            return "aborted"
        raise
    return status
