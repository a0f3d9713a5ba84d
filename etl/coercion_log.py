"""Every coerced value of a run in one file: ``--coercion-log FILE.jsonl``.

Invariant: the file appears when the run has published, whole, and once per value that arrived; a table that is loaded
again from its start is logged again from its start, and what belongs to a row that was set aside later is left out.
All that needs room on the disk is done before the COMMIT; after it the file only gets its name.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import orjson

from etl.errors import writing
from etl.model import Coercion
from etl.threads import StoppedError

FLAG = "--coercion-log"
LINES_AT_ONCE = 10_000  # between two looks at whether anybody still waits


def _never() -> bool:
    return False


class CoercionLog:
    """The log of a run. While it lasts, each table has a file of its own beside the one that they are put together in.

    Raises WritingError, from the beginning on, where these cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parts: dict[str, Path] = {}
        self._left_out: dict[str, Counter[bytes]] = {}  # digests of lines, by table
        self._partial = path.with_name(f"{path.name}.partial")
        self._kept_bytes: int | None = None  # of the whole: what is of committed tables; None before the first COMMIT
        with writing(FLAG, path):
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._whole = self._partial.open("wb", buffering=0)  # what cannot be written is not tried again at the end

    def begin_table(self, table: str) -> None:
        """The table is loaded from its start, perhaps not for the first time."""
        part = self._parts.setdefault(table, self.path.with_name(f"{self.path.name}.{len(self._parts)}.partial"))
        with writing(FLAG, self.path):
            part.unlink(missing_ok=True)
        self._left_out[table] = Counter()

    def write(self, table: str, coercions: Iterable[Coercion]) -> None:
        """Append the samples of these coercions, which hold every value when the log is on."""
        if lines := list(_lines(table, coercions)):
            with writing(FLAG, self.path), self._parts[table].open("ab") as part:
                part.writelines(lines)

    def leave_out(self, table: str, coercions: Iterable[Coercion]) -> None:
        """Take back what was written: the rows of these samples did not arrive.

        Equal lines are one another's equal, so that it is enough to know how many of each have to go.
        """
        self._left_out[table].update(map(_digest, _lines(table, coercions)))

    def complete(self, tables: Iterable[str], is_stopped: Callable[[], bool] = _never) -> None:
        """Append the parts of these tables, which are about to be committed, to the whole, and flush it to the disk.

        What was appended for a COMMIT that did not come about is overwritten. Raises WritingError; StoppedError, when
        ``is_stopped``.
        """
        with writing(FLAG, self.path):
            self._whole.seek(self._kept_bytes or 0)
            self._whole.truncate()
            for table in tables:
                self._append(table, is_stopped)
            os.fsync(self._whole.fileno())

    def _append(self, table: str, is_stopped: Callable[[], bool]) -> None:
        part = self._parts.get(table)
        if part is None or not part.exists():  # nothing of it was coerced
            return
        with part.open("rb") as lines:
            kept = _kept(lines, self._left_out[table])
            while some := list(islice(kept, LINES_AT_ONCE)):
                if is_stopped():
                    raise StoppedError
                rest = memoryview(b"".join(some))
                while rest:
                    rest = rest[self._whole.write(rest) :]
        part.unlink()

    def keep(self) -> None:
        """What was completed is committed."""
        self._kept_bytes = self._whole.tell()

    def close(self) -> None:
        """The run is over: the file gets its name, if anything was committed; all else is taken away."""
        for leftover in self._parts.values():
            leftover.unlink(missing_ok=True)
        with self._whole, writing(FLAG, self.path):
            if self._kept_bytes is None:
                self._partial.unlink(missing_ok=True)
            else:
                self._whole.truncate(self._kept_bytes)
                self._partial.replace(self.path)


def _lines(table: str, coercions: Iterable[Coercion]) -> Iterator[bytes]:
    """One line of JSON for each sample."""
    for coercion in coercions:
        for key, before, after in coercion.samples:
            yield orjson.dumps(
                {"table": table, "column": coercion.column, "rule": coercion.rule}
                | {"key": key, "before": before, "after": after},
                option=orjson.OPT_APPEND_NEWLINE,
            )


def _kept(lines: Iterable[bytes], left_out: Counter[bytes]) -> Iterator[bytes]:
    if not left_out:
        yield from lines
        return
    for line in lines:
        digest = _digest(line)
        if left_out[digest] > 0:
            left_out[digest] -= 1
        else:
            yield line


def _digest(line: bytes) -> bytes:
    return blake2b(line, digest_size=16).digest()
