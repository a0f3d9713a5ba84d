"""Every difference of a run in one file: ``--differences FILE.jsonl``.

Invariant: the file appears when the verification is over, complete (empty when nothing differs); one JSON object a
line, with the keys of ``differences`` in the report.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from etl.errors import ExitStatus, writing
from etl.model import Difference
from etl.options import Options

FLAG = "--differences"


class DifferenceLog:
    """The log of a run; while it lasts, it is a file beside the one that it becomes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = path.with_name(f"{path.name}.partial")
        with writing(FLAG, path):
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._file = self._partial.open("wb")

    def write(self, differences: Iterable[Difference]) -> None:
        """Append these. Raises WritingError, which says by its status that there are differences."""
        lines = (orjson.dumps(difference_document(one), option=orjson.OPT_APPEND_NEWLINE) for one in differences)
        with writing(FLAG, self.path, ExitStatus.DIFFERENT):
            self._file.writelines(lines)

    def keep(self, differences: Iterable[Difference]) -> None:
        """All rows that differ have been written; these, of schema objects, are the last."""
        self.write(differences)
        with writing(FLAG, self.path, ExitStatus.DIFFERENT):  # what could not be flushed, are differences
            self._file.close()
            self._partial.replace(self.path)

    def discard(self) -> None:
        """Take away what is not complete; nothing, where it was kept."""
        with contextlib.suppress(OSError):  # it tries to write what it still holds
            self._file.close()
        self._partial.unlink(missing_ok=True)


@contextmanager
def logged(options: Options) -> Iterator[DifferenceLog | None]:
    """The log that ``--differences`` asks for; what was not kept when the block is left is gone."""
    if options.differences is None:
        yield None
        return
    log = DifferenceLog(options.differences)
    try:
        yield log
    finally:
        log.discard()


def difference_document(difference: Difference) -> dict[str, Any]:
    """A difference as plain values."""
    return {
        "table": difference.table,
        "kind": difference.kind,
        "key": difference.key,
        "column": difference.column,
        "storage": str(difference.storage) if difference.storage is not None else None,
        "source_value": difference.source_value,
        "expected": difference.expected,
        "actual": difference.actual,
    }
