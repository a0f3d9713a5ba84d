"""Every check runs, says passed, failed or skipped with its time, and leaves nothing running."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.fix_command import Done
from tests.fix_move import Application

SERVER = """#!{python}
import http.server, os, sys
open("service.pid", "w").write(str(os.getpid()))
print("listening", flush=True)
if "--die" in sys.argv:
    sys.exit("cannot listen")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def validate(application: Application, *checks: str) -> Done:
    """Run these checks alone."""
    text = application.plan.read_text()
    head, tail = text.partition("[[validate]]")[0], text.partition("[rollback]")[2]
    sections = "".join(f'[[validate]]\nname = "check {number}"\n{check}\n' for number, check in enumerate(checks, 1))
    application.plan.write_text(f"{head}{sections}[rollback]{tail}")
    server = application.folder / "server"
    server.write_text(SERVER.format(python=sys.executable))
    server.chmod(0o755)
    return application.move("--only", "validate")


def is_running(folder: Path) -> bool:
    pid = int((folder / "service.pid").read_text())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True


def test_all_checks_run_and_the_status_follows(application: Application) -> None:
    """One failure hides no other, and what is well is said too."""
    done = validate(
        application,
        'command = "true"',
        'command = "ls /no/such/file"',
        'sql = "select 3"\nat_least = 4',
        'sql = "select 3"\nat_least = 3\nat_most = 3',
        'sql = "select nonsense"',
        'sql = "select \'x\'"\nequals = "x"',
        'sql = "select 1"\nskip_if_source_empty = "nothing_of_that_name"',
        'sql = "select false"',
    )
    assert done.status == 1
    for line in (
        "✓ check 1  passed",
        "✗ check 2  failed",
        "is 3, expected at least 4",
        "✓ check 4  passed",
        'column "nonsense" does not exist',
        "✓ check 6  passed",
        "- check 7  skipped",
        "the source holds no nothing_of_that_name",
        "is False",
        "3 passed, 4 failed, 1 skipped",
    ):
        assert line in done.out, line
    assert any(line.strip().startswith("| ") and "/no/such/file" in line for line in done.out.splitlines())
    assert "4 of 8 checks failed: check 2, check 3, check 5, check 8" in done.errors[0]


def test_a_check_by_sql_changes_nothing(application: Application) -> None:
    """It runs in a transaction that can only read."""
    done = validate(application, 'sql = "create table t (a int)"')
    assert done.status == 1
    assert "read-only transaction" in done.out


def test_a_command_that_hangs_is_ended_with_what_it_started(application: Application) -> None:
    """Within its time, its children too."""
    program = application.folder / "hang"
    program.write_text("#!/bin/sh\nsleep 60 &\necho $! > service.pid\nwait\n")
    program.chmod(0o755)
    started = time.monotonic()
    done = validate(application, 'command = "./hang"\ntimeout_s = 0.5')
    assert time.monotonic() - started < 10
    assert done.status == 1
    assert "was still running after" in done.out
    assert not is_running(application.folder)


def test_a_service_is_started_asked_and_stopped(application: Application, port: int) -> None:
    """It has the time that it needs to come up, and is gone afterwards."""
    done = validate(application, f'http = "http://127.0.0.1:{port}/health"\nstart = "./server {port}"')
    assert done.status == 0, done.out
    assert f"http://127.0.0.1:{port}/health: 200" in done.out
    assert not is_running(application.folder)


def test_a_service_that_answers_otherwise_fails(application: Application, port: int) -> None:
    """With what it answered and what it printed; and it is stopped all the same."""
    done = validate(application, f'http = "http://127.0.0.1:{port}/x"\nstart = "./server {port}"\ntimeout_s = 1')
    assert done.status == 1
    assert f"http://127.0.0.1:{port}/x: 503, expected 200" in done.out
    assert "    | listening" in done.out
    assert not is_running(application.folder)


def test_a_service_that_dies_is_told_at_once(application: Application, port: int) -> None:
    """Nobody waits half a minute for a process that has ended."""
    started = time.monotonic()
    check = f'http = "http://127.0.0.1:{port}/health"\nstart = "./server {port} --die"\ntimeout_s = 60'
    done = validate(application, check)
    assert time.monotonic() - started < 20
    assert done.status == 1
    assert "./server ended with status 1 before" in done.out
    assert "    | cannot listen" in done.out


def test_somebody_elses_service_is_not_taken_for_ours(application: Application, port: int) -> None:
    """The old one still answers at that address: that the new one works is not proven."""
    with closing(socket.create_server(("127.0.0.1", port))) as server:
        import threading

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.recv(1000)
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        done = validate(application, f'http = "http://127.0.0.1:{port}/health"\nstart = "./server {port}"')
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert done.status == 1
    assert "answers before the service was started: it is somebody else's" in done.out


def test_a_program_that_prints_the_target_shows_no_password(application: Application) -> None:
    """What a command of the plan prints is shown when it fails, but for the password of the target."""
    application.change_plan('database = "postgresql', 'database = "${MOVE_DSN}" #')
    done = application.etl(
        "move",
        application.plan,
        "--only",
        "documents",
        env={"MOVE_DSN": "postgresql://ada:geheimnis@127.0.0.1:9/x"},
    )
    assert done.status == 0, done.out + done.err
    program = application.folder / "program"
    program.write_text('#!/bin/sh\necho "cannot reach $DATABASE_URL $1"; exit 3\n')
    again = application.etl(
        "move",
        application.plan,
        "--only",
        "documents",
        env={"MOVE_DSN": "postgresql://ada:geheimnis@127.0.0.1:9/x"},
    )
    assert again.status == 1
    assert "cannot reach postgresql://ada:***@127.0.0.1:9/x documents" in again.out
    assert "geheimnis" not in again.out + again.err
