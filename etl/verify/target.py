"""Reads a target table back as one binary COPY stream, in the order in which its rows lie.

Invariant: at most ``ahead`` bytes more than what was asked for are held; a reader that is slow holds the server back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import islice
from types import TracebackType

import asyncpg

from etl.errors import TargetError
from etl.model import ColumnPlan, TablePlan
from etl.verify.free_memory import give_back_free_memory
from etl.verify.readings import quoted
from etl.verify.runs import LARGE_BYTES
from etl.verify.values.kinds import sent_as

BUFFERED_BYTES = 4 << 20
LARGE_CHUNK_BYTES = 200_000  # the loop's read buffer holds 256 KB
PAUSE_S = 0.001
Chunk = bytes | bytearray | memoryview
CANCEL_S = 2.0
SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
HEADER_BYTES = len(SIGNATURE) + 8  # and the flags, and the length of an extension that no server sends

# Load order comes back only from a plain scan from the first page on. row_security: an error, where it would hide rows.
SETTINGS = (
    "set local synchronize_seqscans = off; set local max_parallel_workers_per_gather = 0;"
    "set local enable_indexscan = off; set local enable_indexonlyscan = off; set local enable_bitmapscan = off;"
    "set local row_security = off; set local statement_timeout = 0;"
    "set local idle_in_transaction_session_timeout = 0"
)


@asynccontextmanager
async def reading_transaction(target: asyncpg.Connection) -> AsyncIterator[None]:
    """One snapshot of the target for all reads of a table; inside a running transaction a savepoint.

    It is always rolled back: nothing was written, and the settings must not outlive it.
    """
    # no Transaction of the driver's: cancelled while it begins, it leaves the server in one and cannot end it
    begin, end = ("savepoint etl_verify", "rollback to savepoint etl_verify; release savepoint etl_verify")
    is_nested = target.is_in_transaction()
    if not is_nested:
        begin, end = "begin isolation level repeatable read read only", "rollback"
    try:
        await target.execute(begin)
        await target.execute(SETTINGS)
        yield
    except BaseException:
        # the driver may not have heard yet that a BEGIN has begun; a ROLLBACK too many does no harm
        if not is_nested or target.is_in_transaction():
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):  # the first error is the one to show
                await target.execute(end)
        raise
    await target.execute(end)


async def select_rows(target: asyncpg.Connection, table: TablePlan, schema: str) -> str:
    """The SELECT that reads every column of the plan in load order; names the table when it is not there.

    Not ONLY the table: whoever asks it gets the rows of tables that inherit from it as well.
    """
    query = (
        "select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'f', 'v'))"
    )
    if not await target.fetchval(query, schema, table.name):
        raise TargetError(
            f"{schema}.{table.name}: there is no such table in the target",
            "name the schema with --target-schema, or choose the tables with --tables",
        )
    columns = ", ".join(map(_selected, table.columns))
    return f"select {columns} from {quoted(schema)}.{quoted(table.name)}"


def _selected(column: ColumnPlan) -> str:
    name, kind = quoted(column.name), sent_as(column.type)
    return name if kind is None else f"{name}::{kind} as {name}"


def ahead_of(table: TablePlan) -> int:
    """How many bytes of a table may be received ahead: none where one row may be large, or it would lie beside ours."""
    return 0 if table.source.largest_row_bytes > LARGE_BYTES else BUFFERED_BYTES


class CopyStream:
    """The bytes of a binary COPY, header removed, taken as they are wanted.

    Invariant: a chunk is whole rows, as each CopyData message of a server is one row (the protocol says so).
    """

    def __init__(self, target: asyncpg.Connection, query: str, ahead: int = BUFFERED_BYTES) -> None:
        """``ahead`` is how many bytes may be held that nobody has asked for yet; with 0 the first look begins it."""
        self._ahead = ahead
        self._target = target
        self._query = query
        self._chunks: deque[Chunk] = deque()
        self._buffered = self._received = 0
        self._wanted = self._lent = 0
        self._header = b""
        self._discarding = False
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._copy: asyncio.Task[object] | None = None

    async def __aenter__(self) -> CopyStream:
        if self._ahead:
            self._copy = self._begin()
        return self

    def _begin(self) -> asyncio.Task[object]:
        copy = self._target.copy_from_query(self._query, output=self._receive, format="binary")
        task = asyncio.ensure_future(copy)
        task.add_done_callback(lambda _: self._arrived.set())
        return task

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        copy = self._copy
        if copy is None:
            return
        if not copy.done():
            self._discarding = True
            self._room.set()
            try:
                await self._break_off(copy)
            except asyncio.CancelledError:
                self._target.terminate()
                raise
        if copy.done() and not copy.cancelled():
            copy.exception()  # retrieved: what a copy says that we broke off is no news

    async def _break_off(self, copy: asyncio.Task[object]) -> None:
        """Let the server cancel the copy, or cut the connection when it does not within `CANCEL_S`.

        asyncpg's own way, an error out of the sink, takes the next message for the end of the cancelled copy
        (0.32, `_on_result`), and the connection is of no use after it.
        """
        await self._target._cancel(asyncio.get_running_loop().create_future())  # type: ignore[attr-defined]
        await asyncio.wait({copy}, timeout=CANCEL_S)
        if not copy.done():
            self._target.terminate()
            await asyncio.wait({copy}, timeout=CANCEL_S)

    async def peek(self, byte_count: int) -> list[Chunk]:
        """The next bytes, which stay in the stream: as many as asked for, fewer only at the end of the copy."""
        await self._wait(byte_count)
        peeked: list[Chunk] = []
        missing = byte_count
        for chunk in self._chunks:
            if missing <= 0:
                break
            # views: a copy of a chunk with a large row would double it
            peeked.append(chunk if len(chunk) <= missing else memoryview(chunk)[:missing])
            missing -= len(peeked[-1])
        self._lend(byte_count - missing)
        return peeked

    async def peek_chunks(self, byte_count: int) -> list[Chunk]:
        """The same, and the rest of the rows that have arrived with them."""
        chunks = list(islice(self._chunks, len(await self.peek(byte_count))))
        self._lend(sum(map(len, chunks)))
        return chunks

    async def peek_rows(self) -> Chunk:
        """Some whole rows, as they have arrived, which stay in the stream; empty at the end of the copy."""
        await self._wait(1)
        if not self._chunks:
            return b""
        self._lend(len(self._chunks[0]))
        return self._chunks[0]

    def advance(self, byte_count: int) -> None:
        """Drop so many bytes of what was peeked at, whole rows; free what no view that is left keeps."""
        self._buffered -= byte_count
        while byte_count > 0:
            chunk = self._chunks.popleft()
            if len(chunk) > byte_count:
                self._chunks.appendleft(memoryview(chunk)[byte_count:])
            byte_count -= len(chunk)
            if byte_count >= 0:
                self.discard([chunk])
        self._lend(0)

    async def take_rows(self) -> Chunk:
        """The same, taken out of the stream."""
        if chunk := await self.peek_rows():
            self._chunks.popleft()
            self._buffered -= len(chunk)
            self._lend(0)
        return chunk

    @staticmethod
    def discard(chunks: list[Chunk]) -> None:
        """Free what was taken: the driver names a chunk until the next one comes, which may be as large."""
        while chunks:
            chunk = chunks.pop()
            whole: object = chunk
            if isinstance(chunk, memoryview):
                whole = chunk.obj
                chunk.release()
            if isinstance(whole, bytearray):
                with suppress(BufferError):  # the rest of it waits to be taken
                    whole.clear()

    def _lend(self, byte_count: int) -> None:
        """So many bytes are being looked at: they do not count among those that are held ahead."""
        self._lent = byte_count
        if self._buffered - self._lent < self._ahead:
            self._room.set()

    async def _wait(self, byte_count: int) -> None:
        """Until so many bytes have arrived, or the copy is over; raises what broke it."""
        self._lent = 0
        if self._buffered < byte_count:
            self._wanted = byte_count
            self._arrived.clear()
            self._room.set()
            if self._copy is None:
                self._copy = self._begin()
            if not self._copy.done():
                await self._arrived.wait()
            if self._copy.done():
                self._copy.result()
        self._wanted = 0

    async def _receive(self, data: Chunk) -> None:
        if len(self._header) < HEADER_BYTES:
            data = self._strip_header(data)
        if not data or self._discarding:
            return
        size = len(data)
        self._chunks.append(data)
        del data  # it may be released while we wait
        self._buffered += size
        self._received += size
        if self._buffered >= self._wanted:
            self._arrived.set()
        if size > LARGE_BYTES:
            give_back_free_memory()
        while self._buffered - self._lent >= max(self._ahead, self._wanted) and not self._discarding:
            self._room.clear()
            await self._room.wait()
        if size < LARGE_CHUNK_BYTES and self._received > LARGE_CHUNK_BYTES:
            # a chunk costs the same whatever it holds: let the socket fill, and there will be ten times fewer
            await asyncio.sleep(PAUSE_S)

    def _strip_header(self, data: Chunk) -> Chunk:
        missing = HEADER_BYTES - len(self._header)
        self._header += data[:missing]
        if len(self._header) == HEADER_BYTES and not self._header.startswith(SIGNATURE):
            raise TargetError("the server's COPY stream does not begin as the binary format does")
        return memoryview(data)[missing:]
