"""Every coerced value of a run in one file: ``--coercion-log FILE.jsonl``.

Invariant: the file appears when the run has published, complete and once per value; a table that is loaded again from
its start is logged again from its start.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path

import orjson

from etl.model import Coercion


class CoercionLog:
    """The log of a run; while it lasts, each table has a file of its own beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parts: dict[str, Path] = {}

    def begin_table(self, table: str) -> None:
        """The table is loaded from its start, perhaps not for the first time."""
        part = self._parts.setdefault(table, self.path.with_name(f"{self.path.name}.{len(self._parts)}.partial"))
        part.unlink(missing_ok=True)

    def write(self, table: str, coercions: Iterable[Coercion]) -> None:
        """Append the samples of these coercions, which hold every value when the log is on."""
        lines = [
            orjson.dumps(
                {"table": table, "column": coercion.column, "rule": coercion.rule}
                | {"key": key, "before": before, "after": after},
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for coercion in coercions
            for key, before, after in coercion.samples
        ]
        if lines:
            with self._parts[table].open("ab") as part:
                part.writelines(lines)

    def keep(self) -> None:
        """Put the tables' parts together."""
        with self.path.open("wb") as whole:
            for part in self._parts.values():
                with contextlib.suppress(FileNotFoundError), part.open("rb") as lines:
                    shutil.copyfileobj(lines, whole)

    def discard(self) -> None:
        """Take the parts away."""
        for part in self._parts.values():
            part.unlink(missing_ok=True)
