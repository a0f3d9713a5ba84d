"""The real command line as a process of its own."""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Done:
    """What a process left behind."""

    status: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error:")]

    @property
    def hints(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("hint:")]


@dataclass(frozen=True)
class PreparedProcess:
    """`tests/prepared.py` at work: half a second of imports is paid once, not by every command that a test runs."""

    requests: socket.socket
    environment: Mapping[str, str]  # that of every command which it becomes

    def run(self, folder: Path, arguments: list[str], timeout: float, constants: Mapping[str, float]) -> Done:
        """Run one command to its end, and to the end of its output, as subprocess.run does."""
        pipes = [os.pipe() for _ in range(3)]
        request = json.dumps({"folder": str(folder), "arguments": arguments, "constants": dict(constants)}).encode()
        socket.send_fds(self.requests, [request], [write for _, write in pipes])
        for _, write in pipes:
            os.close(write)
        out, err, told = read_all([read for read, _ in pipes], timeout)
        numbers = [int(line) for line in told.split()]  # the pid, and the status when it has ended
        if len(numbers) < 2:
            for pid in numbers:
                os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(arguments, timeout)
        return Done(numbers[1], text_of(out), text_of(err))


def text_of(output: bytes) -> str:
    """As `text=True` of subprocess reads it: an end of a line is an end of a line."""
    return output.decode().replace("\r\n", "\n").replace("\r", "\n")


def read_all(descriptors: list[int], timeout: float) -> list[bytes]:
    """What comes from each of them to its end, or until the time is over."""
    deadline = time.monotonic() + timeout
    taken = {descriptor: bytearray() for descriptor in descriptors}
    with selectors.DefaultSelector() as selector:
        for descriptor in descriptors:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for ready, _ in selector.select(left):
                piece = os.read(ready.fd, 1 << 16)
                taken[ready.fd] += piece
                if not piece:
                    selector.unregister(ready.fd)
    for descriptor in descriptors:
        os.close(descriptor)
    return [bytes(taken[descriptor]) for descriptor in descriptors]


@dataclass(frozen=True)
class EtlCommand:
    """``etl(*arguments) -> Done``, in an empty folder and without the settings of the caller's environment."""

    folder: Path
    prepared: PreparedProcess

    def __call__(self, *arguments: object, env: Mapping[str, str] | None = None, timeout: float = 120) -> Done:
        """A fork of the prepared process; one from the very start, where the environment is another."""
        if self.environment(env) == self.prepared.environment:
            return self.prepared.run(self.folder, list(map(str, arguments)), timeout, {})
        return self.afresh(*arguments, env=env, timeout=timeout)

    def impatient(self, constants: Mapping[str, float], *arguments: object, timeout: float = 120) -> Done:
        """As ``etl(…)`` with less patience: {"etl.load.connect.ATTEMPTS": 2}, for waits that prove nothing more.

        The values take the place of the program's own in this process alone; a constant that it has not ends it.
        """
        return self.prepared.run(self.folder, list(map(str, arguments)), timeout, constants)

    def afresh(self, *arguments: object, env: Mapping[str, str] | None = None, timeout: float = 120) -> Done:
        """A process from the very start: imports, hash seed and all."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def limited(self, file_bytes: int, *arguments: object) -> Done:
        """As ``etl(…)``; no file that it writes may become larger, as on a disk without room."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

        done = subprocess.run(
            self.command(*arguments, "--progress", "none"),
            cwd=self.folder,
            env=self.environment({"PYTHONDONTWRITEBYTECODE": "1"}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            preexec_fn=limit,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    @staticmethod
    def command(*arguments: object) -> list[str]:
        """The command line, for tests that start the process themselves."""
        return [sys.executable, "-m", "etl", *map(str, arguments)]

    @staticmethod
    def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment without ETL_*, PG*, DATABASE_URL and what pytest tells of the test that runs."""
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ETL_", "PG", "PYTEST_")) and name != "DATABASE_URL"
        }
        return {**own, "PYTHONPATH": str(ROOT), **(more or {})}


@pytest.fixture(scope="session")
def prepared() -> Iterator[PreparedProcess]:
    """One a session, started for the first test that runs a command."""
    environment = EtlCommand.environment()
    ours, theirs = socket.socketpair()
    with theirs:
        program = [sys.executable, str(ROOT / "tests" / "prepared.py"), str(theirs.fileno())]
        process = subprocess.Popen(
            program,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # nothing comes here, but Python opens its streams as it finds them
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
    with process, ours:
        yield PreparedProcess(ours, environment)


@pytest.fixture
def etl(tmp_path_factory: pytest.TempPathFactory, prepared: PreparedProcess) -> EtlCommand:
    """The command line: ``done = etl("migrate", source, dsn)``."""
    return EtlCommand(tmp_path_factory.mktemp("cwd"), prepared)
