"""Connections to the target, and its errors in our words.

Invariant: every connection runs under fixed settings (UTC, empty search path, no timeouts of the server's), and none
is closed politely after a cancellation: a paused server never answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar

import asyncpg
import tenacity

from etl.errors import EtlError, TargetError, TargetLostError
from etl.load.address import TargetAddress
from etl.load.session_settings import apply_settings

T = TypeVar("T")

CLOSE_S = 3.0
ATTEMPTS = 8
# connection trouble, shutdown, crash recovery, too many clients, serialization, deadlock, lock not available
TRANSIENT = ("08", "57P01", "57P02", "57P03", "53300", "40001", "40P01", "55P03")

TOO_MANY_CONNECTIONS = "53300"


def retrying() -> tenacity.AsyncRetrying:
    """Attempts for about 20 seconds at what a lost server has broken off: one that restarts is back by then."""
    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(TargetLostError),
        wait=tenacity.wait_exponential(multiplier=0.3, max=5) + tenacity.wait_random(0, 1),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        reraise=True,
    )


class Lender(Protocol):
    """Lends connections to the target, each to one borrower at a time."""

    address: TargetAddress

    def borrow(self) -> contextlib.AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection for the length of the block."""


class Connections:
    """Some connections to one target, lent one at a time; a lost one is replaced when it is next borrowed."""

    def __init__(self, address: TargetAddress, size: int) -> None:
        self.address = address
        self._size = size
        self._idle: asyncio.Queue[asyncpg.Connection | None] = asyncio.Queue()
        for _ in range(size):
            self._idle.put_nowait(None)
        self._open: set[asyncpg.Connection] = set()
        self._condemned: TargetError | None = None

    @contextlib.asynccontextmanager
    async def borrow(self) -> AsyncIterator[asyncpg.Connection]:
        """Borrow a connection; it comes back outside any transaction, or is dropped."""
        connection = await self._idle.get()
        healthy = False
        try:
            if self._condemned is not None:
                raise self._condemned
            if connection is None or connection.is_closed():
                connection = await connect(self.address, self._size)
                self._open.add(connection)
            yield connection
            # not after an exception: who knows what the driver still waits for
            healthy = not connection.is_closed() and not connection.is_in_transaction()
        finally:
            if connection is not None and not healthy:
                self._open.discard(connection)
                await hang_up(connection)
            self._idle.put_nowait(connection if healthy else None)

    async def fill(self) -> bool:
        """Open all of them; False, and none is open, where server or role have no room for so many."""
        try:
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(self._idle.qsize()):
                    await stack.enter_async_context(self.borrow())
        except TargetError as error:
            if error.sqlstate != TOO_MANY_CONNECTIONS:
                raise
            await self.close()
            return False
        return True

    def condemn(self, reason: TargetError) -> None:
        """Cut every connection; whoever borrows one from now on gets ``reason`` instead."""
        self._condemned = self._condemned or reason  # the first is the cause
        for connection in self._open:
            connection.terminate()

    async def close(self) -> None:
        for connection in tuple(self._open):
            await hang_up(connection)
        self._open.clear()


class OneConnection:
    """Lends one connection, with the transaction that it is in, to one borrower after the other."""

    def __init__(self, connection: asyncpg.Connection, address: TargetAddress) -> None:
        self.address = address
        self._connection = connection
        self._free = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def borrow(self) -> AsyncIterator[asyncpg.Connection]:
        """Raises TargetError when it is lost, and the transaction with it: there is nothing to try again here."""
        async with self._free:
            if self._connection.is_closed():
                raise TargetError(
                    "the connection was lost, and its transaction was rolled back",
                    "see the server's log; then run again",
                )
            yield self._connection


async def connect(address: TargetAddress, at_once: int = 1) -> asyncpg.Connection:
    """Open a connection under the run's settings, one of ``at_once`` that work at the same time.

    Raises TargetError with the next step for what a user can mend.
    """
    connection = await open_connection(address)
    try:
        with named_errors(str(address)):
            await apply_settings(connection, address, at_once)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def open_connection(address: TargetAddress) -> asyncpg.Connection:
    """Open a connection as the server gives it."""
    with named_errors(str(address)):
        # no statement cache: it would keep encoding for a table that was dropped and made again with other types
        connection: asyncpg.Connection = await asyncpg.connect(**address.arguments, statement_cache_size=0)
    return connection


async def hang_up(connection: asyncpg.Connection) -> None:
    """Close within a bounded time; a connection that is busy or unanswering is terminated."""
    if connection.is_closed():
        return
    try:
        await asyncio.wait_for(connection.close(), CLOSE_S)
    except asyncio.CancelledError:
        connection.terminate()
        raise
    except Exception:  # a connection that cannot even be closed is cut
        connection.terminate()


async def guarded(connection: asyncpg.Connection, work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` on the connection so that the server's going away ends it.

    asyncpg waits for ever when the connection is lost while a COPY is held back by a full socket: nobody wakes the
    writer. So the work is a task, and the loss of the connection cancels it. Raises TargetLostError then.
    """
    task = asyncio.create_task(work)

    def lost(_: object) -> None:
        task.cancel()

    connection.add_termination_listener(lost)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():  # it is we who are cancelled
            await cancel_work(connection, task)
            raise
        raise TargetLostError("the server closed the connection", "see the server's log; then run again") from None
    except Exception as error:
        # whatever asyncpg or the loop says of it, this is the cause
        if connection.is_closed() and (not isinstance(error, EtlError) or isinstance(error, TargetError)):
            raise TargetLostError(
                f"the connection was lost: {error}", "see the server's log; then run again"
            ) from error
        raise
    finally:
        with contextlib.suppress(asyncpg.InterfaceError):
            connection.remove_termination_listener(lost)


async def cancel_work(connection: asyncpg.Connection, task: asyncio.Task[Any]) -> None:
    """Give the task a moment to unwind by the protocol, then cut the connection."""
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=CLOSE_S)
    if not done:
        connection.terminate()
        await asyncio.wait({task}, timeout=CLOSE_S)
    if task.done() and not task.cancelled():
        task.exception()


@contextlib.contextmanager
def named_errors(where: str, place: Callable[[asyncpg.PostgresError], str] | None = None) -> Iterator[None]:
    """Turn the errors of the driver and of the network into ours, with ``where`` in front.

    ``place`` tells more of where a server's error lies.
    """
    try:
        yield
    except EtlError:
        raise
    except asyncpg.PostgresError as error:
        raise server_error(where + (place(error) if place else ""), error) from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        lost = "closed" in str(error) or "connection" in str(error)
        raise (TargetLostError if lost else TargetError)(f"{where}: {error}") from error
    except TimeoutError as error:
        raise TargetError(f"{where}: no answer in time", "check host, port and firewall") from error
    except socket.gaierror as error:
        raise TargetError(f"{where}: unknown host", "check the host name in the DSN") from error
    except ValueError as error:  # asyncpg's word for impossible arguments
        raise TargetError(f"{where}: {error}", "check the DSN") from error
    except OSError as error:
        raise unreachable(where, error) from error


@contextlib.contextmanager
def refusals_named(where: str) -> Iterator[None]:
    """Turn what PostgreSQL says of a statement into our error, with ``where`` in front; leave every other alone."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise server_error(where, error) from error


def unreachable(where: str, error: OSError) -> TargetError:
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return TargetLostError(f"{where}: the connection was lost", "see the server's log; then run again")
    reason = error.strerror or "the server cannot be reached"
    if isinstance(error, ConnectionRefusedError) or "Multiple exceptions" in str(error):
        reason = "the connection was refused"
    elif isinstance(error, FileNotFoundError):
        reason = "no server listens on that socket"
    return TargetLostError(f"{where}: {reason}", "is PostgreSQL running there? check host and port")


def server_error(where: str, error: asyncpg.PostgresError) -> TargetError:
    """PostgreSQL's refusal with its SQLSTATE and, where there is one, the next step."""
    state = error.sqlstate or ""
    kind = TargetLostError if state.startswith(TRANSIENT) else TargetError
    detail = f" ({error.detail})" if getattr(error, "detail", None) else ""
    message = f"{where}: {error.args[0] if error.args else error}{detail} [SQLSTATE {state}]"
    key = next((text for text in (TOO_BIG, ROW_SECURITY) if text in message), state)
    named = kind(message, HINTS.get(key) or HINTS.get(state[:2]) or getattr(error, "hint", None))
    named.sqlstate = state
    return named


TOO_BIG = "row is too big"  # of its own among those of 54000
ROW_SECURITY = "row-level security policy"  # of its own among those of 42501
HINTS = {
    TOO_BIG: "give the table's columns smaller types: --integers fit, or --cast; or leave it out with --exclude",
    ROW_SECURITY: "connect as a role with bypassrls, or as the owner of a table whose policies are not forced",
    "28P01": "check user and password (in the DSN, PGPASSWORD or ~/.pgpass)",
    "28000": "the server's pg_hba.conf does not let this user in from here",
    "3D000": "create the database first: createdb NAME",
    "42501": "grant it to this role, or connect as the owner of the database",
    "53300": "the server has no free connection: try --jobs 1, or raise max_connections",
    "53100": "free disk space on the server, then run again; nothing was published",
    "57P03": "the server is starting or stopping: try again in a moment",
    "23503": "rows of the child have no parent; `sqlite3 FILE 'pragma foreign_key_check'` lists them all",
    "23505": "values that differ in SQLite are the same in the target's type; choose another with --cast",
    "54": "the server's limits do not allow this",
    "2BP01": "drop or move what depends on it, or publish into another schema with --target-schema",
}


def is_beyond_its_type(error: TargetError) -> bool:
    """Whether a computation had no value in its type: out of range, overflow (SQLSTATE class 22, data exception)."""
    return (error.sqlstate or "").startswith("22")


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
