"""Whether the application still runs: its lock, its process, its socket.

A PID file by itself proves nothing: programs that crash leave theirs behind, and numbers are given out again.
"""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONNECT_S = 2.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one look says."""

    alive: bool
    text: str


def look_at_lock(path: Path, process_pattern: str | None) -> Evidence:
    """Try the lock of a lock or PID file; where nobody holds one, ask for the process that it names."""
    if not path.exists():
        return Evidence(False, f"lock file {path}: not there")
    try:
        with path.open("rb") as file:
            held = _is_locked(file.fileno(), path)
            first_word = file.read(64).split()[:1]
    except OSError as error:
        return Evidence(True, f"lock file {path}: cannot be read: {error.strerror}")
    if held:
        return Evidence(True, f"lock file {path}: a running process holds its lock")
    pid = int(first_word[0]) if first_word and first_word[0].isdigit() else None
    if pid is None or not _is_alive(pid):
        return Evidence(False, f"lock file {path}: left over, nobody holds it")
    command = dict(list_processes()).get(pid)
    if command is not None and process_pattern is not None and not matches(command, process_pattern):
        return Evidence(False, f"lock file {path}: left over; process {pid} is another program ({_cut(command)})")
    shown = f" ({_cut(command)})" if command else ""
    return Evidence(True, f"lock file {path}: process {pid}{shown} is alive")


def look_for_process(pattern: str) -> Evidence:
    """A process, other than this one and those that started it, whose command line matches."""
    own = set(_ancestors())
    for pid, command in list_processes():
        if pid not in own and matches(command, pattern):
            return Evidence(True, f"process {pattern}: {pid} runs ({_cut(command)})")
    return Evidence(False, f"process {pattern}: none runs")


def look_at_socket(address: str, path: Path) -> Evidence:
    """Somebody who answers at ``host:port`` or, where the address is none, at the socket file ``path``."""
    host, colon, port = address.rpartition(":")
    with contextlib.ExitStack() as stack:
        try:
            if colon and port.isdigit() and "/" not in address:
                stack.enter_context(socket.create_connection((host.strip("[]"), int(port)), CONNECT_S))
            else:
                probe = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                probe.settimeout(CONNECT_S)
                probe.connect(str(path))
        except PermissionError as error:
            return Evidence(True, f"socket {address}: cannot be asked: {error.strerror}")
        except OSError:
            return Evidence(False, f"socket {address}: nobody answers")
    return Evidence(True, f"socket {address}: somebody answers")


def matches(command: tuple[str, ...], pattern: str) -> bool:
    """One argument, its last part as a path, or the whole command line, as a glob."""
    words = [*command, *(os.path.basename(word) for word in command), " ".join(command)]
    return any(fnmatch.fnmatchcase(word, pattern) for word in words)


def list_processes() -> Iterator[tuple[int, tuple[str, ...]]]:
    """Number and command line of every process that can be seen."""
    if Path("/proc/self/cmdline").exists():
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (entry / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                    yield int(entry.name), tuple(os.fsdecode(word) for word in words)
        return
    listed = subprocess.run(["ps", "-axo", "pid=,args="], capture_output=True, text=True, check=False)  # noqa: S607
    for line in listed.stdout.splitlines():
        number, _, arguments = line.strip().partition(" ")
        yield int(number), tuple(arguments.split())


def _is_locked(descriptor: int, path: Path) -> bool:
    """Whether another process holds a lock of either kind; what is taken to find out is given back at once."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except OSError:
        return True
    try:
        with path.open("rb") as file:  # a POSIX read lock, which an exclusive one of another process refuses
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_UN)
    except OSError:
        return True
    return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    try:  # a process that ended and was not yet waited for holds nothing any more
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


def _ancestors() -> Iterator[int]:
    """This process and those that started it: their command lines may well name what is looked for."""
    pid = os.getpid()
    while pid > 0:
        yield pid
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            yield os.getppid()
            return


def _cut(command: tuple[str, ...]) -> str:
    text = " ".join(command)
    return text if len(text) <= 60 else f"{text[:59]}…"
