"""A run with --per-table that ends in the middle: what was committed stays, and what is said of it is kept and true."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import execute, rows_of, run_apart
from tests.fix_source import MakeSource

SCRIPT = """
create table author (id integer primary key, born datetime, flag boolean);
create table book (id integer primary key, author_id integer references author (id), at datetime, flag boolean, n real);
"""
TARGET = (
    "create table author (id bigint primary key, born timestamp, flag boolean)",
    "create table book (id bigint primary key, author_id bigint references author, at timestamp, flag boolean,"
    " n float8)",
)
DAY = "2024-05-06"  # coerced in a DATETIME column
AUTHORS = [(1, DAY, 1), (2, DAY, "maybe"), (3, DAY, 0)]
STAYS = "committed before, and there to stay: author; all else is as before"


class PerTable:
    """``etl migrate --per-table`` with reject files and a coercion log, and what lies beside it afterwards."""

    def __init__(self, etl: EtlCommand, folder: Path) -> None:
        self.etl, self._rejects, self._log = etl, folder / "rejects", folder / "log.jsonl"
        self.flags = ("--per-table", "--on-error", "reject", "--rejects", self._rejects, "--coercion-log", self._log)

    def beside(self) -> tuple[dict[str, list[Any]], list[Any]]:
        """The keys in each reject file, and (table, key) of each line of the log."""
        rejects = {file.name: [line["key"] for line in lines(file)] for file in self._rejects.iterdir()}
        return rejects, [(line["table"], line["key"]) for line in lines(self._log)]


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def per_table(etl: EtlCommand, tmp_path: Path) -> PerTable:
    return PerTable(etl, tmp_path)


def assert_authors_stay(per_table: PerTable, dsn: str) -> None:
    """They, and what is said of them; nothing of the books."""
    assert rows_of(dsn, "select id from author order by id") == [(1,), (3,)]
    assert rows_of(dsn, "select count(*) from book") == [(0,)]
    assert per_table.beside() == ({"author.jsonl": ["id=2"]}, [("author", "id=1"), ("author", "id=3")])


def test_a_failure_names_the_tables_that_stay_and_keeps_their_files(
    per_table: PerTable, make_source: MakeSource, database_dsn: str
) -> None:
    """Their rejected rows are nowhere else. The next run keeps them, as the hint says."""
    run_apart(execute(database_dsn, *TARGET))
    books = [(n, 1, DAY, "maybe", 1.0) for n in range(3_000)]  # more rejected rows than there is room for
    source = make_source(SCRIPT, {"author": AUTHORS, "book": books})
    done = per_table.etl.limited(100_000, "migrate", source, database_dsn, *per_table.flags)
    assert done.status == 1, done.err
    assert "book.jsonl: cannot be written" in done.errors[0]
    assert done.errors[0].endswith(STAYS)
    assert "--keep author" in done.hints[0]
    assert_authors_stay(per_table, database_dsn)
    again = per_table.etl("migrate", source, database_dsn, *per_table.flags, "--rejects", "others", "--keep", "author",
                          "--coercion-log", "other.jsonl")  # fmt: skip
    assert again.status == 3, again.err


def test_a_difference_names_the_tables_that_stay_and_keeps_their_files(
    per_table: PerTable, make_source: MakeSource, database_dsn: str
) -> None:
    """ "Nothing was published" would not be true."""
    run_apart(execute(database_dsn, *TARGET, "alter table book drop column n",
                      "alter table book add column n float8 generated always as (0.5) stored"))  # fmt: skip
    source = make_source(SCRIPT, {"author": AUTHORS, "book": [(1, 1, DAY, 1, 1.0)]})
    done = per_table.etl("migrate", source, database_dsn, *per_table.flags, "--report", "r.json")
    assert done.status == 4, done.err
    assert json.loads((per_table.etl.folder / "r.json").read_text())["committed"] == ["author"]
    assert done.out.splitlines()[-1].endswith("; author committed before")
    assert "nothing was published" not in done.err
    assert "committed before, and there to stay: author" in done.errors[0]
    assert_authors_stay(per_table, database_dsn)


def test_an_interruption_names_the_tables_that_stay_and_keeps_their_files(
    per_table: PerTable, make_source: MakeSource, database_dsn: str
) -> None:
    """Ctrl-C while the second table is on its way."""
    run_apart(execute(database_dsn, *TARGET))
    books = [(n, 1, f"{DAY} 07:08:09", 1, 1.0) for n in range(200_000)]
    source = make_source(SCRIPT, {"author": AUTHORS, "book": books})
    command = per_table.etl.command("migrate", source, database_dsn, *per_table.flags, "--progress", "json")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          env=per_table.etl.environment(), cwd=per_table.etl.folder) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if '"table_advanced"' in line and '"book"' in line:
                break
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == f"interrupted: {STAYS}"
    assert_authors_stay(per_table, database_dsn)


def test_a_refused_value_is_told_with_what_stays(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """Also in the word that comes before the survey of the whole source."""
    run_apart(execute(database_dsn, *TARGET))
    source = make_source(SCRIPT, {"author": AUTHORS[:1], "book": [(1, 1, "never", 1, 1.0)]})
    done = etl("migrate", source, database_dsn, "--per-table")
    assert done.status == 1
    assert "the target is as before" not in done.err
    assert f"{STAYS}; every table is now read to its end" in done.err
    assert done.errors[0].endswith(STAYS)
    assert "--keep author" in done.hints[0]
