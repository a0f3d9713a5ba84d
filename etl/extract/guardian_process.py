"""The parent's end of the conversation with the process that guards the snapshot (``guardian.py``)."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, TypeVar

from etl.errors import SnapshotError, SourceError
from etl.extract import guardian as guardian_module
from etl.extract.database_file import DatabaseFile
from etl.extract.reader import source_hint

GUARDIAN_EXIT_S = 3.0
BUSY_TIMEOUT_S = 10.0  # how long a writer may keep the write lock before we give up

T = TypeVar("T")


class Guardian:
    """The process, which holds the snapshot from its start until it is stopped."""

    def __init__(self, path: Path, process: asyncio.subprocess.Process) -> None:
        self._path = path
        self._process = process
        self._conversation = asyncio.Lock()
        self.pinned: dict[str, Any] = {}
        self.main_file_is_all = False  # all of the snapshot is in the main file, and nobody can change it there

    @classmethod
    async def start(cls, path: Path) -> Guardian:
        """Start the process and wait until it holds the snapshot with writers kept out."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            guardian_module.__file__,
            str(path),
            str(BUSY_TIMEOUT_S),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent, which tells us when to end
        )
        guardian = cls(path, process)
        try:
            guardian.pinned = (await guardian._hear())["pinned"]
        except BaseException:
            await guardian.stop()
            raise
        return guardian

    async def ask(self, command: str) -> dict[str, Any]:
        async with self._conversation:
            self.ensure_alive()
            pipe(self._process.stdin).write(f"{command}\n".encode())
            return await self._hear()

    def tell(self, command: str) -> None:
        """Say what has no answer."""
        stdin = pipe(self._process.stdin)
        if not stdin.is_closing():
            stdin.write(f"{command}\n".encode())

    async def release_writers(self) -> None:
        """Let writers go on; raises SnapshotError when somebody wrote although nobody should have."""
        released = (await self.ask("release"))["released"]
        # A reader of a rollback journal keeps writers from the file. A reader that began when the WAL was empty keeps
        # checkpoints from it, since what is checkpointed while it lives was written after its snapshot.
        self.main_file_is_all = self.pinned["journal_mode"] != "wal" or (
            self.pinned["write_lock"] and released["wal_bytes"] == 0
        )
        if not self.pinned["write_lock"] and released["fingerprint"] != self.pinned["fingerprint"]:
            raise SnapshotError(
                f"{self._path}: another process wrote to it while the snapshot was taken",
                f"the write lock could not be had ({self.pinned['lock_error']}): stop the application and try again",
            )

    def protects(self, file: DatabaseFile) -> bool:
        """Whether this file alone is the snapshot, and stays so."""
        return self.main_file_is_all and file.inode == self.pinned["fingerprint"]["inode"]

    def ensure_alive(self) -> None:
        if self._process.returncode is not None:
            raise SnapshotError(
                f"{self._path}: the process that guards the snapshot ended with status {self._process.returncode}",
                "run the command again",
            )

    async def stop(self) -> None:
        """End the process; it closes its connections by itself when its input ends."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), GUARDIAN_EXIT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _hear(self) -> dict[str, Any]:
        line = await pipe(self._process.stdout).readline()
        if not line:
            await self._process.wait()
            self.ensure_alive()
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise guardian_error(self._path, message["error"], message["kind"])
        return message


def pipe(stream: T | None) -> T:
    """The process's stream, which is there since it was asked for."""
    if stream is None:
        raise SnapshotError("the process that guards the snapshot has no pipe")
    return stream


def guardian_error(path: Path, text: str, kind: str) -> SourceError:
    """The guardian's SQLite error as ours."""
    if kind.startswith("SQLITE_BUSY"):
        return SnapshotError(
            f"{path}: another process holds the write lock",
            "stop the application that writes to it, or try again when it is idle",
        )
    if kind.startswith("SQLITE_CANTOPEN"):
        return SnapshotError(
            f"{path}: SQLite cannot open it",
            "check the permissions of the file and of its folder (WAL needs both)",
        )
    return SourceError(f"{path}: {text}", source_hint(text))
