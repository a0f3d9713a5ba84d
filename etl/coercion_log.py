"""Every coerced value of a run in one file: ``--coercion-log FILE.jsonl``.

Invariant: the file appears when the run has published, complete and once per value that arrived; a table that is loaded
again from its start is logged again from its start, and what belongs to a row that was set aside later is left out.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import orjson

from etl.model import Coercion


class CoercionLog:
    """The log of a run; while it lasts, each table has a file of its own beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parts: dict[str, Path] = {}
        self._left_out: dict[str, Counter[bytes]] = {}  # digests of lines, by table

    def begin_table(self, table: str) -> None:
        """The table is loaded from its start, perhaps not for the first time."""
        part = self._parts.setdefault(table, self.path.with_name(f"{self.path.name}.{len(self._parts)}.partial"))
        part.unlink(missing_ok=True)
        self._left_out[table] = Counter()

    def write(self, table: str, coercions: Iterable[Coercion]) -> None:
        """Append the samples of these coercions, which hold every value when the log is on."""
        if lines := list(_lines(table, coercions)):
            with self._parts[table].open("ab") as part:
                part.writelines(lines)

    def leave_out(self, table: str, coercions: Iterable[Coercion]) -> None:
        """Take back what was written: the rows of these samples did not arrive.

        Equal lines are one another's equal, so that it is enough to know how many of each have to go.
        """
        self._left_out[table].update(map(_digest, _lines(table, coercions)))

    def keep(self) -> None:
        """Put the tables' parts together."""
        with self.path.open("wb") as whole:
            for table, part in self._parts.items():
                with contextlib.suppress(FileNotFoundError), part.open("rb") as lines:
                    whole.writelines(_kept(lines, self._left_out[table]))

    def discard(self) -> None:
        """Take the parts away."""
        for part in self._parts.values():
            part.unlink(missing_ok=True)


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
