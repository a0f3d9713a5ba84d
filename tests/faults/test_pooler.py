"""A pooler that shares out sessions gives one lock to two owners: it is refused; one that does not is no harm."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from etl.shell.embedded import EmbeddedServer, start_server, stop_server
from tests.fix_command import EtlCommand

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer, a package of Debian's, is not there")
Pooled = Callable[[str], str]


@pytest.fixture(scope="module")
def open_server() -> Iterator[EmbeddedServer]:
    """A server whose socket a process of another user may reach."""
    folder = Path(tempfile.mkdtemp(prefix="etl-pooled-"))
    folder.chmod(0o755)
    server = start_server(folder / "pg")
    (folder / "pg").chmod(0o711)
    yield server
    stop_server(server.directory)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pooled(open_server: EmbeddedServer, tmp_path: Path) -> Iterator[Pooled]:
    """``pooled("transaction")`` is the DSN of a pgbouncer in that mode before the server."""
    running: list[subprocess.Popen[bytes]] = []
    folders: list[Path] = []

    def start(mode: str) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        folder = Path(tempfile.mkdtemp(prefix="etl-bouncer-"))
        folders.append(folder)
        folder.chmod(0o755)
        config = folder / "pgbouncer.ini"
        config.write_text(
            f"[databases]\npostgres = host={open_server.directory} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            f"auth_type = any\npool_mode = {mode}\nunix_socket_dir =\n"
        )
        as_other = ["-u", pwd.getpwuid(65534).pw_name] if os.geteuid() == 0 else []
        running.append(subprocess.Popen([str(PGBOUNCER), *as_other, str(config)], stderr=subprocess.DEVNULL))
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"postgresql://postgres@127.0.0.1:{port}/postgres"
            time.sleep(0.05)
        pytest.fail("pgbouncer did not start")

    yield start
    for process in running:
        process.terminate()
        process.wait(10)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_pooler_in_transaction_mode_is_refused(pooled: Pooled, etl: EtlCommand, sqlite_path: Path) -> None:
    """One line that says what to connect to instead; and no setting of ours is left on a stranger's connection."""
    dsn = pooled("transaction")
    done = etl("migrate", sqlite_path, dsn)
    assert done.status == 1
    assert "a pooler in transaction mode shares out the connections" in done.errors[0]
    assert "session mode" in done.hints[0]

    async def search_path() -> str:
        connection = await asyncpg.connect(dsn, statement_cache_size=0)
        try:
            async with connection.transaction():
                return str(await connection.fetchval("show search_path"))
        finally:
            await connection.close()

    assert asyncio.run(search_path()) == '"$user", public'


def test_a_pooler_in_session_mode_works(pooled: Pooled, etl: EtlCommand, sqlite_path: Path) -> None:
    """Each of our connections has a server process of its own: everything holds."""
    done = etl("migrate", sqlite_path, pooled("session"), "--mode", "replace")
    assert done.status == 0, done.err
    assert "verdict: equal" in done.out
