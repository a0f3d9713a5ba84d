"""Cases that random schemas have found (tests/property/test_behaviour.py), one by one."""

from __future__ import annotations

from tests.fix_command import EtlCommand
from tests.fix_server import rows_of
from tests.fix_source import MakeSource


def test_a_key_that_does_not_stand_first_is_no_damage(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """SQLite 3.40 calls every such row of a WITHOUT ROWID table a NULL in a NOT NULL column."""
    source = make_source("create table t (a int, u int not null, k int primary key) without rowid;", {"t": [(3, 1, 5)]})
    done = etl("migrate", source, database_dsn)
    assert (done.status, done.errors) == (0, [])
    assert rows_of(database_dsn, "select a, u, k from t") == [(3, 1, 5)]


def test_a_null_where_none_may_be_is_named_by_its_row(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """It comes from a schema that was edited in place: the file is sound, the value has no place in the target."""
    source = make_source(
        "create table t (id integer primary key, v int); insert into t values (7, null); pragma writable_schema = on;"
        "update sqlite_schema set sql = 'create table t (id integer primary key, v int not null)';"
    )
    done = etl("migrate", source, database_dsn)
    assert done.status == 1
    assert "t.v (id=7): NULL in a column that is NOT NULL" in done.errors[0]
