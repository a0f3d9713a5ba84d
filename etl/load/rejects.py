"""The reject files of a run: one JSON object a row, one file a table.

Invariant: a file bears its final name only when its table is committed; until then it ends in ``.partial``, and a run
that fails takes it away. Its rows stand in the order of the source, whoever has refused them. It is whole and on the
disk before the COMMIT; after it it only gets its name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from etl.errors import UsageError, writing
from etl.model import RejectedRow

FLAG = "--rejects"


class RejectFolder:
    """The folder of ``--rejects``; holds a file for every table that has rejected rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, RejectFile] = {}
        earlier = sorted(folder.glob("*.jsonl")) if folder.exists() else []
        if earlier:
            raise UsageError(
                f"{folder}: holds rejected rows of an earlier run ({earlier[0].name})",
                "load them with --from-rejects, or choose another folder with --rejects",
            )

    def file_of(self, table: str) -> RejectFile:
        """The file of a source table; what a run that was killed has left of it is taken away."""
        if table not in self._files:
            self._files[table] = RejectFile(self.folder / f"{quote(table, safe=' ')}.jsonl", table)
            self._files[table].begin_again()
        return self._files[table]

    def complete(self, tables: Iterable[str]) -> None:
        """All rows of these tables were written, which are about to be committed. Raises WritingError."""
        for table in tables:
            self.file_of(table).complete()

    def keep(self, tables: Iterable[str]) -> None:
        """These tables are committed: their files get their final names."""
        for table in tables:
            self.file_of(table).keep()

    def close(self) -> None:
        """The run is over: take away what is not kept; the folder too when nothing else is in it."""
        for file in self._files.values():
            file.begin_again()
        with contextlib.suppress(OSError):
            self.folder.rmdir()


class RejectFile:
    """The rejected rows of one table."""

    def __init__(self, path: Path, table: str) -> None:
        self.path = path
        self.table = table
        self.ordinals: list[int] = []
        self._partial = path.with_name(path.name + ".partial")
        self._ordered = path.with_name(path.name + ".ordered.partial")

    def begin_again(self) -> None:
        """The table is loaded from its start once more, or not at all."""
        self.ordinals.clear()
        with writing(FLAG, self.path):
            self._partial.unlink(missing_ok=True)
            self._ordered.unlink(missing_ok=True)

    def write(self, rows: Iterable[RejectedRow]) -> None:
        """Append the rows; nothing is created while there are none. Raises WritingError."""
        lines = []
        for row in rows:
            self.ordinals.append(row.ordinal)
            lines.append(orjson.dumps(document_of(self.table, row)) + b"\n")
        if lines:
            with writing(FLAG, self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self._partial.open("ab") as file:
                    file.writelines(lines)

    def complete(self) -> None:
        """Put the rows in order, and flush them to the disk. Raises WritingError."""
        if any(later < earlier for earlier, later in pairwise(self.ordinals)):
            with contextlib.suppress(OSError):  # no room for a second file: the first one stays, which has every row
                self._order()
        if self.ordinals:
            with writing(FLAG, self.path), self._partial.open("rb") as file:
                os.fsync(file.fileno())

    def keep(self) -> None:
        """Give it its final name, where it holds anything."""
        if self.ordinals:
            with writing(FLAG, self.path):
                self._partial.rename(self.path)

    def _order(self) -> None:
        """Copy the lines in the order of their rows; what is held of each is its place in the file."""
        try:
            with self._partial.open("rb") as lines, self._ordered.open("wb") as ordered:
                starts = [0, *accumulate(map(len, lines))]
                for place in sorted(range(len(self.ordinals)), key=self.ordinals.__getitem__):
                    lines.seek(starts[place])
                    ordered.write(lines.readline())
            self._ordered.replace(self._partial)
        finally:
            self._ordered.unlink(missing_ok=True)


def document_of(table: str, row: RejectedRow) -> dict[str, Any]:
    """One line of the file (docs/rejects.md)."""
    return {
        "table": table,
        "key": row.key,
        "column": row.column,
        "reason": row.reason,
        "hint": row.hint,
        "values": {name: {"class": storage, "value": text} for name, (storage, text) in row.values.items()},
    }
