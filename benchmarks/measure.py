"""Runs one program and tells what it cost: wall time, CPU of the client and of the server, memory.

Invariant: every run is a process of its own, so that no rival inherits another's heap, caches or imports.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_SAMPLE_S = 0.02
_SAMPLES_PER_TREE_WALK = 10  # looking for new children costs more than reading one counter
_SETTLE_S = 0.2
_QUIET_WINDOW_S = 1.0
_QUIET_CPU_S = 0.1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run cost. Memory in bytes, times in seconds."""

    exit_status: int
    wall_s: float
    client_cpu_s: float  # user and system, the process and its waited-for descendants
    server_cpu_s: float | None  # the postmaster's whole tree; None for a server that we did not start
    foreign_cpu_s: float  # what the rest of the machine used meanwhile: a disturbed run is not a measurement
    tree_rss: int  # peak of the sum over the process tree; shared pages count once for each process
    largest_rss: int  # peak of the largest single process
    output: str  # stdout and stderr, one after the other


def run_measured(
    command: Sequence[str],
    *,
    log: Path,
    server_process_id: int | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 3600.0,
) -> Usage:
    """Runs the command to its end; a run that takes longer than ``timeout_s`` is killed and counts as failed."""
    server_before = _server_cpu_s(server_process_id)
    machine_before = _machine_cpu_s()
    with log.open("wb") as stream:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env={**os.environ, **(environment or {})}
        )
        sampler = _MemorySampler(process.pid)
        killer = threading.Timer(timeout_s, process.kill)
        killer.start()
        try:
            with sampler:
                _, status, used = os.wait4(process.pid, 0)
        finally:
            killer.cancel()
        wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    time.sleep(_SETTLE_S)  # the postmaster has yet to wait for the backends that just ended
    client_cpu_s = used.ru_utime + used.ru_stime
    server_after = _server_cpu_s(server_process_id)
    machine_cpu_s = _machine_cpu_s() - machine_before
    server_cpu_s = None if server_before is None or server_after is None else server_after - server_before
    return Usage(
        exit_status=process.returncode,
        wall_s=wall_s,
        client_cpu_s=client_cpu_s,
        server_cpu_s=server_cpu_s,
        foreign_cpu_s=max(0.0, machine_cpu_s - client_cpu_s - (server_cpu_s or 0.0)),
        tree_rss=max(sampler.peak_bytes, sampler.largest_bytes),
        largest_rss=sampler.largest_bytes,
        output=log.read_text(errors="replace"),
    )


def wait_until_quiet(timeout_s: float) -> bool:
    """Waits until the machine does nothing else for a moment; False when it did not within ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while True:
        before = _machine_cpu_s()
        time.sleep(_QUIET_WINDOW_S)
        if _machine_cpu_s() - before <= _QUIET_CPU_S:
            return True
        if time.monotonic() >= deadline:
            return False


def _server_cpu_s(process_id: int | None) -> float | None:
    """CPU of a postmaster, its living backends and the ones that it has already waited for."""
    if process_id is None:
        return None
    postmaster = psutil.Process(process_id)
    own = postmaster.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in postmaster.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return float(total)


def _machine_cpu_s() -> float:
    """All CPU used on this machine since it started; time stolen by its host counts as used."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


class _MemorySampler:
    """Watches a process tree from a thread; ``peak_bytes`` is the largest sum of resident sets seen.

    ``largest_bytes`` is the highest of the single processes' own high-water marks. (Not ``ru_maxrss``: that one starts
    at the size of whoever forked the process, which is us.)
    """

    def __init__(self, process_id: int) -> None:
        self.peak_bytes = 0
        self.largest_bytes = 0
        self._process = psutil.Process(process_id)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _MemorySampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        tree = [self._process.pid]
        walks = 0
        while not self._done.wait(_SAMPLE_S):
            if walks % _SAMPLES_PER_TREE_WALK == 0:
                tree = self._tree()
            walks += 1
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident_bytes, tree)))
            self.largest_bytes = max(self.largest_bytes, *map(_high_water_bytes, tree))

    def _tree(self) -> list[int]:
        try:
            return [self._process.pid, *(child.pid for child in self._process.children(recursive=True))]
        except psutil.NoSuchProcess:
            return [self._process.pid]


def _resident_bytes(process_id: int) -> int:
    try:
        return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0  # it has ended


def _high_water_bytes(process_id: int) -> int:
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0
    _, found, rest = status.partition("VmHWM:")
    return int(rest.split()[0]) * 1024 if found else 0  # a zombie has none
