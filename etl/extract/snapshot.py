"""One snapshot of the source for every reader of a run, and a source that is never written.

Invariant: between ``open`` and ``close`` nothing in this process opens the source, its -wal or its -shm but the
readers made here, and none of them ends its transaction before the last one has finished. The guardian
(``guardian.py``) holds the same snapshot from another process, where no second SQLite library can drop its locks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosqlite

from etl.errors import SnapshotError, SourceError
from etl.extract.catalog import TableSize
from etl.extract.database_file import DatabaseFile
from etl.extract.guardian_process import Guardian
from etl.extract.reader import Reader, source_hint
from etl.extract.sizes import read_sizes
from etl.threads import in_thread

SQLITE_MAGIC = b"SQLite format 3\0"


class Snapshot:
    """The pinned readers of one run. ``readers`` are for pages, ``python`` for pragmas, censuses and single rows.

    One more reader, ``spare``, is for what is asked of the source while all of the others are busy with tables.

    ``file`` is the main file, where the snapshot is all in it and it cannot change while the snapshot lives; else None.
    """

    def __init__(
        self,
        path: Path,
        guardian: Guardian,
        readers: tuple[Reader, ...],
        spare: Reader,
        python: aiosqlite.Connection,
        file: DatabaseFile | None,
    ) -> None:
        self.path = path
        self.python = python
        self.readers = readers
        self.file = file
        self._guardian = guardian
        self._idle: asyncio.Queue[Reader] = asyncio.Queue()
        for reader in readers:
            self._idle.put_nowait(reader)
        self._spare: asyncio.Queue[Reader] = asyncio.Queue()
        self._spare.put_nowait(spare)
        self._sizes: asyncio.Task[Mapping[str, TableSize]] | None = None
        self._check: asyncio.Task[None] | None = None

    @property
    def blocks_writers(self) -> bool:
        """In rollback-journal mode nobody can write while the snapshot lives; in WAL mode writers go on."""
        return bool(self._guardian.pinned["journal_mode"] != "wal")

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What changes when anybody writes to the source, as it was when the snapshot was taken."""
        return dict(self._guardian.pinned["fingerprint"])

    @contextlib.asynccontextmanager
    async def reader(self) -> AsyncIterator[Reader]:
        """Borrow a reader; waits while all are in use."""
        async with _borrowed(self._idle) as reader:
            yield reader

    @contextlib.asynccontextmanager
    async def spare_reader(self) -> AsyncIterator[Reader]:
        """Borrow the reader that no table has: whoever holds another one may wait for it."""
        async with _borrowed(self._spare) as reader:
            yield reader

    def begin_sizes(self) -> asyncio.Task[Mapping[str, TableSize]]:
        """Have the sizes of the tables read, once."""
        if self._sizes is None:
            self._sizes = asyncio.ensure_future(self._read_sizes())
        return self._sizes

    async def _read_sizes(self) -> Mapping[str, TableSize]:
        async with self.spare_reader() as reader:
            return await in_thread(read_sizes, reader)

    def begin_check(self) -> asyncio.Task[None]:
        """Have ``pragma quick_check`` done in the guardian, once: affinity is a proof only in a sound file.

        The task raises SourceError with SQLite's first finding.
        """
        if self._check is None:
            self._check = asyncio.ensure_future(self._quick_check())
        return self._check

    async def _quick_check(self) -> None:
        answer = (await self._guardian.ask("check"))["check"]
        if answer != "ok":
            raise SourceError(f"{self.path}: the database is damaged: {answer}", source_hint("malformed"))

    async def quick_check(self) -> None:
        """Wait for the end of the check, which begins now if it has not yet; raises SourceError for a damaged file."""
        await self.begin_check()

    @contextlib.contextmanager
    def check_paused(self) -> Iterator[None]:
        """Let the check stand still while cores and disk have better to do."""
        self._guardian.tell("pause")
        try:
            yield
        finally:
            self._guardian.tell("resume")

    async def end_tasks(self) -> None:
        """End what was begun; what came of it has been heard by whoever wanted to."""
        tasks = [task for task in (self._sizes, self._check) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def ensure_held(self) -> None:
        """Raise SnapshotError when the guardian is gone: then nobody knows what the readers saw."""
        self._guardian.ensure_alive()


@contextlib.asynccontextmanager
async def _borrowed(idle: asyncio.Queue[Reader]) -> AsyncIterator[Reader]:
    reader = await idle.get()
    try:
        yield reader
    finally:
        idle.put_nowait(reader)


@contextlib.asynccontextmanager
async def open_snapshot(path: Path, reader_count: int) -> AsyncIterator[Snapshot]:
    """Pin one snapshot for ``reader_count`` page readers and one Python reader; everything is closed on the way out.

    Raises SourceError for what is no readable SQLite database, SnapshotError when a snapshot cannot be had.
    """
    path = inspect_file(path)
    guardian = await Guardian.start(path)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(guardian.stop)
        # before the readers pin, and until they have closed: closing it drops the locks of this process
        file = DatabaseFile(path)
        stack.callback(file.close)
        spare, *readers = (Reader(path) for _ in range(reader_count + 1))
        for reader in (spare, *readers):
            stack.push_async_callback(in_thread, reader.close)
            await in_thread(reader.pin)
        python = await stack.enter_async_context(python_reader(path))
        await guardian.release_writers()
        snapshot = Snapshot(path, guardian, tuple(readers), spare, python, file if guardian.protects(file) else None)
        stack.push_async_callback(snapshot.end_tasks)
        yield snapshot


@contextlib.asynccontextmanager
async def python_reader(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    """A pinned aiosqlite connection; bad UTF-8 comes as surrogates, since one such cell would lose a whole batch."""
    connection = await aiosqlite.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        await connection.execute_fetchall("begin")
        await connection.execute_fetchall("select count(*) from sqlite_schema")
        yield connection
    finally:
        await connection.interrupt()
        await connection.close()


def inspect_file(path: Path) -> Path:
    """Raise SourceError for all that can be told before SQLite opens the file; create nothing; return the real path."""
    if not path.exists():
        raise SourceError(f"{path}: no such file", "the source must exist; check the path")
    if path.is_dir():
        raise SourceError(f"{path}: is a directory", "name the SQLite file itself")
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}", "check the permissions of the file") from error
    size = path.stat().st_size
    if size == 0:
        raise SourceError(f"{path}: the file is empty", "it holds no database; check the path")
    if not header.startswith(SQLITE_MAGIC):
        raise SourceError(
            f"{path}: is not a SQLite database, or it is encrypted",
            "check the path; an encrypted database must be decrypted first (SQLCipher: sqlcipher_export)",
        )
    ensure_whole(path, header, size)
    ensure_no_hot_journal(path)
    return path.resolve()


def ensure_whole(path: Path, header: bytes, size: int) -> None:
    """The header counts the pages (fileformat2.html §1.3.7); a shorter file was cut, unless the WAL has the rest."""
    page_size = int.from_bytes(header[16:18], "big")
    page_size = 65536 if page_size == 1 else page_size
    expected = page_size * int.from_bytes(header[28:32], "big")
    count_is_valid = header[24:28] == header[92:96]
    wal = Path(f"{path}-wal")
    if size < 512 or (count_is_valid and size < expected and not (wal.exists() and wal.stat().st_size)):
        raise SourceError(
            f"{path}: the file is truncated: {size:,} of {max(expected, 512):,} bytes are there",
            "copy it again (with its -wal file), or restore a backup",
        )


def ensure_no_hot_journal(path: Path) -> None:
    """A journal whose header was not cleared is of a crashed transaction: opening for writing would roll it back."""
    journal = Path(f"{path}-journal")
    if not journal.exists():
        return
    with journal.open("rb") as file:
        hot = any(file.read(8))
    if hot:
        raise SnapshotError(
            f"{path}: a crashed or running transaction left {journal.name} beside it",
            "let its application finish or recover it (open it once with sqlite3), then try again",
        )
