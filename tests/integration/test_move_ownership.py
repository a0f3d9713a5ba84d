"""Rows get their owner: only those that `where` names, in one transaction, and what is half owned is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.fix_move import Application
from tests.fix_server import execute, rows_of, run_apart

UPDATE = """
[[backfill]]
table = "device"
where = "owner is null and name <> 'spared'"
set = { owner = "{person}", uid = "{uid}" }
"""
TABLE = "create table device (id int, name text, owner text, uid integer)"


def only_backfill(application: Application, backfill: str) -> None:
    """The plan with this backfill and no other."""
    text = application.plan.read_text()
    head, tail = text.partition("[[backfill]]")[0], text.partition("[split_config]")[2]
    application.plan.write_text(f"{head}{backfill}\n[split_config]{tail}")


def test_only_the_named_rows_change(application: Application, database_dsn: str) -> None:
    """Counts before and after; incomplete rows are reported; a second time nothing changes."""
    rows = (
        "insert into device values (1, 'a', null, null), (2, 'spared', null, null), (3, 'b', 'eve', null),"
        " (4, 'c', 'x', 5)"
    )
    run_apart(execute(database_dsn, TABLE, rows))
    only_backfill(application, UPDATE)
    done = application.move("--only", "backfill")
    assert done.status == 0, done.out + done.err
    assert "device: 1 row got their owner; 1 row with an owner in part only" in done.out
    expected = [(1, "ada", 1000), (2, None, None), (3, "eve", None), (4, "x", 5)]
    assert rows_of(database_dsn, "select id, owner, uid from device order by id") == expected
    again = application.move("--only", "backfill")
    assert "device: no row is without an owner" in again.out
    assert rows_of(database_dsn, "select id, owner, uid from device order by id") == expected


def test_an_update_that_changes_nothing_touches_no_row(application: Application, database_dsn: str) -> None:
    """Where `where` still names a row, its value is compared first: no second version of it is written."""
    run_apart(execute(database_dsn, TABLE, "insert into device values (1, 'a', null, null)"))
    only_backfill(application, UPDATE.replace("owner is null and name <> 'spared'", "name = 'a'"))
    assert application.move("--only", "backfill").status == 0
    version = rows_of(database_dsn, "select xmin::text from device")
    again = application.move("--only", "backfill")
    assert "0 rows got their owner; where still names 1" in again.out
    assert rows_of(database_dsn, "select xmin::text from device") == version


def test_all_backfills_or_none(application: Application, database_dsn: str) -> None:
    """The second fails, and the first has not happened."""
    run_apart(execute(database_dsn, TABLE, "insert into device values (1, 'a', null, null)"))
    only_backfill(application, UPDATE + UPDATE.replace("owner is null", "no_such_column is null"))
    done = application.move("--only", "backfill")
    assert done.status == 1
    assert 'column "no_such_column" does not exist' in done.errors[0]
    assert rows_of(database_dsn, "select owner from device") == [(None,)]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('table = "device"', 'table = "devices"', "[[backfill]] devices: public of the target has no such table"),
        ("{ owner =", "{ ownr =", "[[backfill]] device.ownr: the target's table has no such column"),
        ('uid = "{uid}"', 'uid = "{person}"', 'invalid input syntax for type integer: "ada"'),
    ],
)
def test_what_does_not_fit_is_named(application: Application, database_dsn: str, old: str, new: str, says: str) -> None:
    """A misspelt table or column is an error, never a backfill of nothing."""
    run_apart(execute(database_dsn, TABLE, "insert into device values (1, 'a', null, null)"))
    only_backfill(application, UPDATE.replace(old, new))
    done = application.move("--only", "backfill")
    assert done.status == 1
    assert says in done.errors[0]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("(4, 'd', 'eve', null)", "session.uid: 1 row has none, and where does not name them"),
        ("(4, 'd', null, 5)", "session.uid: 1 row has an owner already"),
    ],
)
def test_a_transfer_fills_just_what_where_names(
    application: Application, database_dsn: str, row: str, says: str
) -> None:
    """An owner without a uid would get somebody's uid; told before a row has moved."""
    with closing(sqlite3.connect(application.database)) as connection:
        connection.execute(f"insert into session values {row}")
        connection.commit()
    done = application.move()
    assert done.status == 1
    assert says in done.errors[0]
    assert rows_of(database_dsn, "select count(*) from session") == [(0,)]
    assert rows_of(database_dsn, "select * from settings") == [("language", "en")]
