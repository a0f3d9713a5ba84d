"""JSON documents are sent unread on the first try: what the server refuses is named, what it drops is counted."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.fix_command import EtlCommand
from tests.fix_source import MakeSource

SCRIPT = "create table notes (id integer primary key, body JSON, word text)"
REPEATED = [
    (1, '{"a": 1, "a": 2}', "x"),
    (2, '{"a": {"b": 1}}', "x"),
    (3, None, "x"),
    (4, r'{"\u003a": 1, ":": 2}', "x"),
]
REFUSED = ["{'a': 1}", r'{"a": "\u0000"}', r'["\ud800"]', "", "[" * 100_000 + "]" * 100_000, "[1e400000]", b"[1]\xff"]


@pytest.mark.parametrize("flags", [(), ("--verify", "none")], ids=["verified", "not verified"])
def test_repeated_keys_are_counted_whoever_looked(
    make_source: MakeSource, database_dsn: str, etl: EtlCommand, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """The load counts them when nobody verifies, else the verification does; the report does not tell which."""
    rows = [*REPEATED, *((i, json.dumps({"n": i}), "x") for i in range(10, 20_000))]
    report = tmp_path / "report.json"
    done = etl("migrate", make_source(SCRIPT, {"notes": rows}), database_dsn, "--report", report, *flags)
    assert done.status == 0, done.err
    (table,) = json.loads(report.read_text())["tables"]
    assert table["coerced"] == {"json-duplicate-keys": 2}
    assert "notes.body  json-duplicate-keys  2  id=1: " in done.out


@pytest.mark.parametrize("document", REFUSED, ids=lambda document: repr(document)[:12])
def test_a_document_that_the_server_refuses_is_named_by_its_cell(
    make_source: MakeSource, database_dsn: str, etl: EtlCommand, document: str | bytes
) -> None:
    """A COPY of many pages tells a line; a user needs the row, the column and the way out."""
    good = [(i, json.dumps({"n": i}), "x") for i in range(20_000)]
    source = make_source(SCRIPT, {"notes": [*good, (77_777, document, "x")]})
    if isinstance(document, bytes):  # bytes in a TEXT cell, which is what bad UTF-8 is in SQLite
        with closing(sqlite3.connect(source)) as connection, connection:
            connection.execute("update notes set body = cast(body as text) where id = 77777")
    done = etl("migrate", source, database_dsn)
    assert done.status == 1
    assert done.errors
    assert done.errors[0].startswith("error: notes.body (id=77777): ")
    assert done.hints
    assert "Traceback" not in done.err


def test_a_refused_document_is_rejected_with_its_row_where_that_is_asked_for(
    make_source: MakeSource, database_dsn: str, etl: EtlCommand, tmp_path: Path
) -> None:
    """The server's refusal leads to the same file as our own."""
    rows = [(i, json.dumps({"n": i}), "x") for i in range(20_000)] + [(77_777, "{bad", "x")]
    report = tmp_path / "report.json"
    flags = ["--on-error", "reject", "--rejects", tmp_path / "rejects", "--report", report]
    done = etl("migrate", make_source(SCRIPT, {"notes": rows}), database_dsn, *flags)
    assert done.status == 3, done.err
    (line,) = (tmp_path / "rejects" / "notes.jsonl").read_text().splitlines()
    assert json.loads(line)["column"] == "body"
    (table,) = json.loads(report.read_text())["tables"]
    assert (table["source_rows"], table["loaded_rows"], table["rejected_rows"]) == (20_001, 20_000, 1)
