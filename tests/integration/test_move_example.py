"""The application of examples/multi_user is moved, served from PostgreSQL, written to, and rolled back."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import rows_of

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "multi_user"
OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def call(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with OPEN.open(urllib.request.Request(url, data), timeout=10) as answer:  # noqa: S310 - our own address
        return json.loads(answer.read())


class Scribe:
    """The application in a folder of its own, on a port that is free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        shutil.copytree(EXAMPLE, folder, symlinks=True)
        for name in ("config.yml", "move.toml"):
            path = folder / name
            path.write_text(path.read_text().replace("8765", str(self.port)))

    def environment(self, dsn: str = "") -> dict[str, str]:
        """The interpreter of the tests first, so that `#!/usr/bin/env python3` is it."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return EtlCommand.environment({"PATH": path, "SCRIBE_TARGET": dsn})

    def run(self, *arguments: object) -> str:
        return subprocess.run(
            ["./app", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(),
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    @contextmanager
    def serving(self, *command: str) -> Iterator[str]:
        """The address of the service while it runs."""
        with subprocess.Popen(command, cwd=self.folder, env=self.environment()) as process:
            url = f"http://127.0.0.1:{self.port}"
            try:
                deadline = time.monotonic() + 30
                while True:
                    try:
                        call(f"{url}/health")
                        break
                    except OSError:
                        assert process.poll() is None
                        assert time.monotonic() < deadline
                        time.sleep(0.05)
                yield url
            finally:
                process.terminate()


@pytest.fixture
def scribe(tmp_path: Path) -> Scribe:
    return Scribe(tmp_path / "scribe")


def test_the_generator_is_seeded(scribe: Scribe) -> None:
    """The same seed gives the same past, another one another; and the sizes are as asked."""
    sizes = {name: scribe.run("generate", "--db", f"{name}.db", "--rows", 3000, "--seed", seed)
             for name, seed in (("one", 5), ("same", 5), ("other", 6))}  # fmt: skip
    dumps = {
        name: subprocess.run(
            [sys.executable, "-c", DUMP, f"{name}.db"], cwd=scribe.folder, capture_output=True, check=True
        ).stdout
        for name in sizes
    }
    assert dumps["one"] == dumps["same"] != dumps["other"]
    assert 2_500 < int(sizes["one"].split()[0].replace(",", "")) < 3_500


DUMP = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
tables = [row[0] for row in connection.execute(
    "select name from sqlite_schema where type = 'table' and name <> 'schema_migrations' and sql not like '%virtual%'")]
for table in sorted(tables):
    print(table, connection.execute(f'select * from "{table}"').fetchall())
"""


def test_the_example_is_moved_used_and_rolled_back(scribe: Scribe, etl: EtlCommand, database_dsn: str) -> None:
    """200,000 rows: every session has its owner, the service goes on in PostgreSQL, and the way back leads back."""
    scribe.run("generate", "--db", "scribe.db", "--rows", 200_000)
    source = scribe.folder / "scribe.db"
    before = hashlib.sha256(source.read_bytes()).hexdigest()
    report = scribe.folder / "report.json"
    done = subprocess.run(
        etl.command("move", "move.toml", "--yes", "--report", report),
        cwd=scribe.folder,
        env=scribe.environment(database_dsn),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(report.read_text())
    assert sum(table["source_rows"] for table in told["transfer"]["tables"]) > 190_000
    assert told["transfer"]["verdict"] == "equal"
    assert {step["state"] for step in told["steps"]} == {"done"}

    uid = source.stat().st_uid
    assert rows_of(database_dsn, "select distinct owner_person, owner_uid from sessions") == [("ada", uid)]
    count = rows_of(database_dsn, "select count(*) from sessions")[0][0]
    highest = rows_of(database_dsn, "select max(id) from outbox")[0][0]
    with serving_as_installed(scribe, database_dsn) as url:
        assert call(f"{url}/health") == {"schema": "024_add_owner"}
        listed = call(f"{url}/sessions?person=ada&limit=1000000")
        assert len(listed) == count == 10_000
        assert call(f"{url}/sessions?person=eve") == []
        made = call(f"{url}/sessions", {"title": "a new one", "person": "eve", "uid": 7})
        assert call(f"{url}/sessions?person=eve")[0]["id"] == made["id"]
    # SQLite had given numbers beyond the rows that are left: none of them is given again
    assert rows_of(database_dsn, "select max(id) from outbox")[0][0] > highest + 4

    assert hashlib.sha256(source.read_bytes()).hexdigest() == before
    way_back = [line for line in told["way_back"] if "./app serve" in line]
    with scribe.serving(*shlex.split(way_back[0])) as url:
        assert call(f"{url}/health") == {"schema": "023_reminders"}
        assert len(call(f"{url}/sessions?limit=1000000")) == count
        assert hashlib.sha256(source.read_bytes()).hexdigest() == before
        call(f"{url}/sessions", {"title": "as before"})
    assert (scribe.folder / "installed" / "docs" / "faq" / "questions.md").is_file()


def serving_as_installed(scribe: Scribe, dsn: str) -> Any:
    files = [f"--config=installed/{name}.yml" for name in ("config", "secrets", "ada")]
    return scribe.serving("./app", "serve", *files, "--db", dsn)


def test_a_running_application_is_not_moved(scribe: Scribe, etl: EtlCommand, database_dsn: str) -> None:
    """Its lock, its process and its socket are all seen."""
    scribe.run("generate", "--db", "scribe.db", "--rows", 2000)
    with scribe.serving("./app", "serve", "--db", "scribe.db"):
        done = subprocess.run(
            etl.command("move", "move.toml", "--yes"),
            cwd=scribe.folder,
            env=scribe.environment(database_dsn),
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1
    assert "scribe.pid: a running process holds its lock" in done.stdout
    assert "✗ process */app serve*" in done.stdout
    assert f"✗ socket 127.0.0.1:{scribe.port}: somebody answers" in done.stdout
    assert "nothing has been changed" in done.stderr
