"""The guardian: a process of its own that holds the run's snapshot while its parent reads.

Why a process: POSIX locks belong to the process, and the parent links two SQLite libraries (Python's and ADBC's), so
when one of them closes a file the locks of the other are gone. This process links one library and opens the source
with it alone.

It is started by file path and imports nothing but the standard library. The conversation, one JSON object a line:

    parent                       guardian
                            →    {"pinned": {...}}      writers are kept out, a reader holds the snapshot
    release                 →    {"released": {...}}    writers may go on; the snapshot stays
    check                   →    {"check": "ok"}        the result of pragma quick_check
    pause, resume                                       no answer; a check stands still meanwhile
    finish, or end of input →    {"finished": {...}}    the fingerprint at the end; then exit

Any failure is {"error": text, "kind": kind} and exit status 1. When the input ends in the middle of a check, the check
ends too: the parent is on its way out, or dead.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import sqlite3
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

MOST_FINDINGS = 2**31 - 1
INTERRUPTED_EVERY_S = 0.05
STEPS_A_LOOK = 10_000  # of SQLite's machine: so often a check looks whether it is to stand still


def main(path: str, busy_timeout_s: float) -> int:
    try:
        guard(path, busy_timeout_s)
    except sqlite3.Error as error:
        say(error=str(error), kind=getattr(error, "sqlite_errorname", type(error).__name__))
        return 1
    return 0


def guard(path: str, busy_timeout_s: float) -> None:
    # Opened before the locks are taken and never closed: closing any descriptor of the file would drop them all.
    file = os.open(path, os.O_RDONLY)
    before = fingerprint(file, path)
    control, lock_error = take_write_lock(path, busy_timeout_s)
    reader = connect(path, "ro", busy_timeout_s)
    reader.execute("begin")
    reader.execute("select count(*) from sqlite_schema").fetchone()  # a deferred BEGIN pins nothing before a read
    journal_mode = reader.execute("pragma journal_mode").fetchone()[0]
    say(
        pinned={
            "journal_mode": journal_mode,
            "write_lock": control is not None,
            "lock_error": lock_error,
            "fingerprint": before,
        }
    )
    for command in commands(reader):
        if command == "release":
            wal_bytes = fingerprint(file, path)["wal"]["size"]  # while writers are still kept out
            # The control goes first: the last connection to close would checkpoint and rewrite the main file.
            if control is not None:
                control.rollback()
                control.close()
                control = None
            say(released={"fingerprint": fingerprint(file, path), "wal_bytes": wal_bytes})
        elif command == "check":
            say(check=quick_check(reader))
        elif command == "finish":
            break
    if control is not None:
        control.rollback()
        control.close()
    reader.rollback()
    reader.close()
    say(finished={"fingerprint": fingerprint(file, path)})


def commands(reader: sqlite3.Connection) -> Iterator[str]:
    """What the parent says, until it says nothing more: then whatever the reader is at ends too."""
    heard: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    is_over = threading.Event()
    may_go = threading.Event()
    may_go.set()

    def stand_still() -> None:
        may_go.wait()

    reader.set_progress_handler(stand_still, STEPS_A_LOOK)

    def listen() -> None:
        said = b""
        while data := os.read(sys.stdin.fileno(), 1 << 12):  # not by sys.stdin, which the interpreter locks at its end
            *lines, said = (said + data).split(b"\n")
            for command in (line.decode().strip() for line in lines):
                if command == "pause":
                    may_go.clear()
                elif command == "resume":
                    may_go.set()
                else:
                    heard.put(command)
        heard.put(None)
        may_go.set()
        while not is_over.wait(INTERRUPTED_EVERY_S):  # again and again: what is about to begin hears nothing of it
            reader.interrupt()

    threading.Thread(target=listen, daemon=True).start()
    yield from iter(heard.get, None)
    is_over.set()


def quick_check(reader: sqlite3.Connection) -> str:
    """SQLite's own check of the file; the application's collations, which nobody here has, order by bytes meanwhile.

    The check looks at pages and records, not at the order of keys.
    """
    missing: set[str] = set()
    while True:
        try:
            return first_damage(reader)
        except sqlite3.OperationalError as error:
            found = re.fullmatch(r"no such collation sequence: (.+)", str(error))
            if found is None or found[1] in missing:
                raise
            missing.add(found[1])
            reader.create_collation(found[1], lambda one, other: (one > other) - (one < other))


def first_damage(reader: sqlite3.Connection) -> str:
    """The first finding that is damage, or "ok".

    A NULL in a NOT NULL column is none: the load refuses it and names its row. And SQLite 3.40 sees one in every row of
    a WITHOUT ROWID table whose key does not stand first.
    """
    for (finding,) in reader.execute(f"pragma quick_check({MOST_FINDINGS})"):
        if not str(finding).startswith("NULL value in "):
            return str(finding)
    return "ok"


def take_write_lock(path: str, busy_timeout_s: float) -> tuple[sqlite3.Connection | None, str | None]:
    """Keep writers out; (None, reason) where this process may not write the file, and so cannot lock it."""
    if not os.access(path, os.W_OK):
        return None, "the file is not writable"
    control = connect(path, "rw", busy_timeout_s)
    try:
        control.execute("begin immediate")
    except sqlite3.OperationalError as error:
        control.close()
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            raise
        return None, str(error)
    return control, None


def connect(path: str, mode: str, busy_timeout_s: float) -> sqlite3.Connection:
    uri = f"file:{quote(path)}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=busy_timeout_s, isolation_level=None)


def fingerprint(file: int, path: str) -> dict[str, Any]:
    """What changes when anybody writes: size, time, change counter, and the WAL's size and salts.

    The WAL may be opened and closed at will: SQLite's locks lie on the main file and the -shm file.
    """
    status = os.fstat(file)
    header = os.pread(file, 100, 0)
    wal: dict[str, Any] = {"size": 0, "salt": ""}
    with contextlib.suppress(OSError), open(path + "-wal", "rb") as wal_file:
        wal_header = wal_file.read(32)
        wal = {"size": os.fstat(wal_file.fileno()).st_size, "salt": wal_header[16:24].hex()}
    return {
        "inode": status.st_ino,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "change_counter": int.from_bytes(header[24:28], "big"),
        "wal": wal,
    }


def say(**message: Any) -> None:
    try:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    except OSError:  # nobody hears it, nor what the interpreter would say of it when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
