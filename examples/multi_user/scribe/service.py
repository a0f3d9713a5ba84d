"""The service: /health, GET /sessions?person=…, POST /sessions. One at a time: a lock on its PID file says so."""

from __future__ import annotations

import fcntl
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from scribe.store import Store


def serve(store: Store, port: int, pid_file: Path) -> None:
    """Answer until the process is ended."""
    with pid_file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(f"scribe: another one runs, it holds {pid_file}") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        print(f"scribe: http://127.0.0.1:{port}, schema {store.version()}", flush=True)
        ThreadingHTTPServer(("127.0.0.1", port), handler_of(store)).serve_forever()


def handler_of(store: Store) -> type[BaseHTTPRequestHandler]:
    """The handler of a store's requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = parse_qs(parts.query)
            if parts.path == "/health":
                self._answer(200, {"schema": store.version()})
            elif parts.path == "/sessions":
                limit = int(asked.get("limit", ["100"])[0])
                self._answer(200, store.sessions(asked.get("person", [None])[0], limit))
            else:
                self._answer(404, {"error": "no such page"})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            key = store.add_session(body["title"], body.get("person", ""), int(body.get("uid", 0)))
            self._answer(201, {"id": key})

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the base class
            """Quiet."""

        def _answer(self, status: int, content: object) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler
