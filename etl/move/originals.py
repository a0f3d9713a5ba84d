"""The originals: what the move reads and must never change. Hashed before and after, in the report."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from etl.move.detection import Detected
from etl.threads import StoppedError

BLOCK_BYTES = 1 << 20

Stopped = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Original:
    """A file or folder; the hashes are SHA-256 in hexadecimal digits."""

    path: str
    before: str
    after: str

    @property
    def is_unchanged(self) -> bool:
        return self.before == self.after


def hash_originals(detected: Detected, stopped: Stopped) -> dict[str, str]:
    """Path → hash of database, config, .env and documents.

    Call it only while no snapshot is open: reading the database here would drop the locks of the run (POSIX locks
    belong to the process).
    """
    found = {}
    for name in ("database", "config", "env", "documents"):
        path = detected.path(name)
        if path is not None:
            found[str(path)] = _hash_folder(path, stopped) if path.is_dir() else _hash_database(path, stopped)
    return found


def compare_originals(before: dict[str, str], after: dict[str, str]) -> list[Original]:
    """One entry a path; what is missing after has an empty hash."""
    return [Original(path, digest, after.get(path, "")) for path, digest in before.items()]


def _hash_database(path: Path, stopped: Stopped) -> str:
    """The file, with what SQLite keeps in its write-ahead log; an empty log is as good as none."""
    digest = hashlib.sha256()
    _feed(digest, path, stopped)
    wal = Path(f"{path}-wal")
    if wal.is_file() and wal.stat().st_size:
        digest.update(b"wal")
        _feed(digest, wal, stopped)
    return digest.hexdigest()


def _hash_folder(folder: Path, stopped: Stopped) -> str:
    """Names, kinds, and contents; links by what they point to."""
    digest = hashlib.sha256()
    for path in _walk(folder):
        digest.update(os.fsencode(path.relative_to(folder)) + b"\0")
        if path.is_symlink():
            digest.update(b"link " + os.fsencode(os.readlink(path)))
        elif path.is_file():
            try:
                _feed(digest, path, stopped)
            except OSError:
                digest.update(b"unreadable")
        digest.update(b"\0")
    return digest.hexdigest()


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted([*names, *folders]):
            yield Path(root, name)


def _feed(digest: hashlib._Hash, path: Path, stopped: Stopped) -> None:
    digest.update(str(path.stat().st_size).encode() + b"\0")
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            if stopped():
                raise StoppedError
