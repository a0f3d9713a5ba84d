"""The source with the schema that the move expects: the database itself, or a copy that was brought there.

Pending migrations of the application run on a copy, made by SQLite's backup from one moment of the source, never on
the source. The copy can be read by its owner alone from its first byte, and is deleted when the move ends.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from etl.errors import EtlError
from etl.move.move_plan import MovePlan, SchemaVersionPlan
from etl.move.placeholders import fill_command
from etl.move.programs import run_program
from etl.move.state_folder import StateFolder
from etl.move.step_outcome import StepError
from etl.phases.enquiry import open_source, quoted
from etl.threads import StoppedError, in_stoppable_thread, in_thread

NAME = "upgraded.db"
PAGES_A_STEP = 2_048


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The version that the source's schema has. ``problem`` is why no move can begin from it."""

    versions: tuple[str, ...]
    pending: bool = False
    problem: str | None = None


class SourceCopy:
    """Where the rows are read from; the copy is made when it is first asked for."""

    def __init__(self, plan: MovePlan, database: Path, state: StateFolder) -> None:
        self._plan = plan
        self._database = database
        self._state = state
        self._ready: Path | None = None

    @property
    def path(self) -> Path:
        """Where the copy is, or would be."""
        return self._state.path / NAME

    async def ready(self, values: Mapping[str, str], environment: Mapping[str, str]) -> Path:
        """The database to read; raises StepError when its schema is not the one expected and cannot become it."""
        if self._ready is None:
            self._ready = await self._find(values, environment)
        return self._ready

    async def _find(self, values: Mapping[str, str], environment: Mapping[str, str]) -> Path:
        wanted = self._plan.schema_version
        state = None if wanted is None else await in_thread(read_schema, self._database, wanted)
        if state is not None and state.problem is not None:
            raise StepError(f"{self._database}: {state.problem}", "correct [preflight] schema_version in the plan")
        if wanted is None or wanted.upgrade is None or state is None or not state.pending:
            return self._database
        self._state.make()
        self.discard()
        await copy_database(self._database, self.path)
        command = fill_command(wanted.upgrade, {**values, "database": str(self.path)})
        ended = await run_program(command, self._plan.folder, environment)
        if ended.status != 0:
            raise StepError(
                f"the source's pending migrations {ended.why}: {wanted.upgrade[0]}",
                "they ran on a copy, and the source is as it was; what the command printed stands above",
                lines=ended.output,
            )
        after = await in_thread(read_schema, self.path, wanted)
        if after.pending or after.problem:
            raise StepError(
                f"the source's migrations ended well, and its schema is still not at {wanted.expect}",
                "check [preflight] schema_version: does upgrade work on {database}?",
                lines=ended.output,
            )
        return self.path

    def discard(self) -> None:
        """Delete the copy and what SQLite left beside it."""
        self._ready = None
        for suffix in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                os.unlink(f"{self.path}{suffix}")


def read_schema(database: Path, wanted: SchemaVersionPlan) -> SchemaState:
    """Compare the versions that the source has with the one that is expected."""
    table, column = (quoted(name) for name in (wanted.table, wanted.column))
    try:
        with open_source(database) as connection:
            found = [row[0] for row in connection.execute(f"select {column} from {table} order by {column}")]
    except EtlError as error:
        if "no such" not in error.message:
            raise
        return SchemaState((), problem=f"{wanted.table}.{wanted.column} cannot be read: {error.message}")
    versions = tuple(str(version) for version in found)
    if wanted.expect in versions:
        if versions[-1] != wanted.expect:
            return SchemaState(versions, problem=f"its schema is at {versions[-1]}, newer than {wanted.expect}")
        return SchemaState(versions)
    at = versions[-1] if versions else "no version"
    if wanted.upgrade is None:
        return SchemaState(versions, problem=f"its schema is at {at}, and {wanted.expect} is expected")
    return SchemaState(versions, pending=True)


async def copy_database(database: Path, copy: Path) -> None:
    """Copy a database as it is at one moment; a cancelled copy ends soon."""
    await in_stoppable_thread(_copy, database, copy)


def _copy(database: Path, copy: Path, stopped: Callable[[], bool]) -> None:
    def check(_status: int, _remaining: int, _total: int) -> None:
        if stopped():
            raise StoppedError

    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with open_source(database) as source, contextlib.closing(sqlite3.connect(copy)) as target:
            source.backup(target, pages=PAGES_A_STEP, progress=check)
    except OSError as error:
        raise StepError(f"{copy}: cannot be written: {error.strerror}", "make room in the state folder") from error
