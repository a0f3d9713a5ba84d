"""Everything that can go wrong and that a user can act on: one class per kind, each with its exit status.

Invariant: a message reads ``where (which row): what failed``; the hint is the next command or flag. No message ever
holds a password.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl.model import Problem, Refusal


class ExitStatus(IntEnum):
    """The contract with scripts (README, table of exit statuses)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REJECTED = 3
    DIFFERENT = 4
    UNTRANSLATED = 5
    INTERRUPTED = 130
    TERMINATED = 143


class EtlError(Exception):
    """The root: one line for the user, a hint, an exit status."""

    status = ExitStatus.FAILED

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(EtlError):
    """The command line makes no sense."""

    status = ExitStatus.USAGE


class SourceError(EtlError):
    """The SQLite file cannot be read: missing, a directory, not a database, encrypted, damaged, locked."""


class SnapshotError(SourceError):
    """One snapshot for all readers could not be had, or was lost."""


class TargetError(EtlError):
    """PostgreSQL cannot be reached, refuses us, or refused a statement; ``sqlstate`` is its code, where it gave one.

    ``position`` is the place of the row at fault among all rows of the load, from 0, where the server named its line.
    """

    sqlstate: str | None = None
    position: int | None = None


class TargetLostError(TargetError):
    """The server went away or is not there: what was being done may be tried again."""


class UnknownOutcomeError(TargetError):
    """A COMMIT was sent, and nobody can say whether it took effect."""


class TargetOccupiedError(TargetError):
    """Tables that the run would create exist already."""


class PlanError(EtlError):
    """Something of the source has no translation, and it is known before a row moves."""


class RefusedError(EtlError):
    """Something of the source that the target cannot hold: never loaded as something else.

    ``refusals`` are the first ones, ``count`` is how many there are; ``problems`` are those of the whole source, once
    it was read to its end.
    """

    def __init__(self, refusals: Sequence[Refusal], count: int | None = None) -> None:
        first = refusals[0]
        column = f".{first.column}" if first.column else ""
        super().__init__(f"{first.table}{column} ({first.key}): {first.reason}", first.hint)
        self.refusals = tuple(refusals)
        self.count = len(refusals) if count is None else count
        self.problems: tuple[Problem, ...] = ()


class RefusedValueError(RefusedError):
    """Values that the target type cannot hold."""


class RefusedRowsError(RefusedError):
    """Rows that the server, or a constraint of the target, does not take although every value of them is allowed."""


class OrphansError(RefusedRowsError):
    """Rows of the source whose foreign key has no parent."""


class DifferenceError(EtlError):
    """Verification found that the target does not hold what the source held; nothing was published."""

    status = ExitStatus.DIFFERENT


class WritingError(EtlError):
    """A file that the run was asked to write cannot be written: no room, no permission, a folder that went away."""


NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


@contextlib.contextmanager
def writing(flag: str, path: Path, status: ExitStatus = ExitStatus.FAILED) -> Iterator[None]:
    """Around what writes the file that ``flag`` names: raises WritingError for what the operating system refuses."""
    try:
        yield
    except OSError as error:
        ways = "free room there, or" if error.errno in NO_ROOM else ""
        place = "on another disk" if error.errno in NO_ROOM else "in an existing, writable folder"
        failed = WritingError(
            f"{flag} {path}: cannot be written: {error.strerror or error}", f"{ways} give {flag} a path {place}".strip()
        )
        failed.status = status
        raise failed from error


def without_room(error: OSError) -> WritingError | None:
    """What nobody has claimed and there was no room for: only temporary files are written without a word of theirs."""
    if error.errno not in NO_ROOM:
        return None
    import tempfile  # not cheap, for those who only ask for help

    return WritingError(
        f"temporary files in {tempfile.gettempdir()}: cannot be written: {error.strerror}",
        "free room there, or let TMPDIR name a folder on another disk",
    )


class InterruptedRunError(EtlError):
    """SIGINT or SIGTERM; the message says what has become of the target."""

    status = ExitStatus.INTERRUPTED
