"""Runs the commands of a plan: without a shell, in a session of their own, their output kept for who wants to know.

Invariant: a program that was started here is not left running, however the step ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from etl.move.step_outcome import StepError
from etl.redaction import redact

TAIL_BYTES = 4_000
TERMINATE_S = 4.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended; ``status`` is negative for a signal, None when it took too long and was ended."""

    status: int | None
    output: tuple[str, ...]  # the last lines of what it printed
    seconds: float

    @property
    def why(self) -> str:
        if self.status is None:
            return f"was still running after {self.seconds:.0f} s and was ended"
        if self.status < 0:
            return f"was ended by signal {-self.status}"
        return f"ended with status {self.status}"


class Service:
    """A program that runs on."""

    def __init__(self, process: asyncio.subprocess.Process, output: IO[bytes], dsn: str) -> None:
        self._process = process
        self._output = output
        self._dsn = dsn  # of which no password may be shown, whatever the program prints

    @property
    def status(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    def tail(self) -> tuple[str, ...]:
        """The last lines that it printed."""
        size = os.fstat(self._output.fileno()).st_size
        text = os.pread(self._output.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES)).decode("utf-8", "replace")
        lines = redact(text, [self._dsn]).splitlines()
        return tuple(lines[1:] if size > TAIL_BYTES else lines)

    async def wait(self) -> int:
        return await self._process.wait()


async def run_program(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float | None = None
) -> Ended:
    """Run a program to its end. Raises StepError when there is no such program."""
    started = time.monotonic()
    async with running(arguments, folder, environment) as service:
        status: int | None
        try:
            status = await asyncio.wait_for(service.wait(), timeout_s)
        except TimeoutError:
            status = None
        return Ended(status, service.tail(), time.monotonic() - started)


@contextlib.asynccontextmanager
async def running(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Service]:
    """The program while the block lasts; then it is asked to end, and made to after four seconds."""
    program = find_program(arguments[0], folder, environment)
    with tempfile.TemporaryFile() as output:
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *arguments[1:],
                cwd=folder,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us; and what it starts can be ended with it
            )
        except OSError as error:
            raise StepError(
                f"{arguments[0]}: cannot be started: {error.strerror}", "check the command in the plan"
            ) from error
        try:
            yield Service(process, output, environment.get("DATABASE_URL", ""))
        finally:
            await _end(process)


def find_program(name: str, folder: Path, environment: Mapping[str, str]) -> str:
    """The program's path: relative to ``folder`` with a slash in it, else by PATH; raises StepError."""
    if "/" in name:
        path = folder / Path(name).expanduser()
        if not path.is_file():
            raise StepError(f"{name}: no such program in {folder}", "check the command in the plan")
        return str(path)
    found = shutil.which(name, path=environment.get("PATH"))
    if found is None:
        raise StepError(f"{name}: no such program", "install it, correct PATH, or write its whole path into the plan")
    return found


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the program and all that it started in its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(process.wait())), TERMINATE_S)
        except TimeoutError:
            continue
        except asyncio.CancelledError:  # no time to be polite
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        return
