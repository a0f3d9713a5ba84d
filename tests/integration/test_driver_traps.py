"""The values that drivers and libraries get wrong (silently, most of them), moved by the real command."""

from __future__ import annotations

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import rows_of
from tests.fix_source import MakeSource


def test_the_ends_of_the_calendar_arrive(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """9999-12-31 and 0001-01-01 are neither infinity nor an overflow, whatever offset they have."""
    source = make_source(
        "create table t (id integer primary key, d date, ts timestamp, tz timestamptz);",
        {
            "t": [
                (1, "9999-12-31", "9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999Z"),
                (2, "0001-01-01", "0001-01-01 00:00:00", "0001-01-01T00:00:00+14:00"),
                (3, "1969-12-31", "1969-12-31 23:59:59.999999", "9999-12-31T23:59:59-14:00"),
            ]
        },
    )
    assert etl("migrate", source, database_dsn).status == 0
    assert rows_of(database_dsn, "select d::text, ts::text, tz::text from t order by id") == [
        ("9999-12-31", "9999-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999+00"),
        ("0001-01-01", "0001-01-01 00:00:00", "0001-12-31 10:00:00+00 BC"),
        ("1969-12-31", "1969-12-31 23:59:59.999999", "10000-01-01 13:59:59+00"),
    ]


def test_a_fraction_in_an_integer_column_is_never_cut(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """5.5 is refused by name and row, and is 5.5 where the column is numeric; 5.0 is 5."""
    source = make_source("create table t (id integer primary key, n int);", {"t": [(1, 5.0), (2, 5.5)]})
    refused = etl("migrate", source, database_dsn)
    assert refused.status == 1
    assert "t.n (id=2): 5.5 is not bigint" in refused.err
    assert etl("migrate", source, database_dsn, "--cast", "t.n=numeric").status == 0
    assert rows_of(database_dsn, "select n::text from t order by id") == [("5",), ("5.5",)]


def test_a_naive_time_is_read_in_the_zone_and_an_aware_one_by_its_offset(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """The same column holds both; the session's own time zone has no say."""
    source = make_source(
        "create table t (id integer primary key, tz timestamptz, ts timestamp);",
        {
            "t": [
                (1, "2024-07-01 12:00:00", "2024-07-01 12:00:00"),
                (2, "2024-07-01T12:00:00+05:45", "2024-07-01 12:00"),
            ]
        },
    )
    assert etl("migrate", source, database_dsn, env={"PGTZ": "Asia/Tokyo"}).status == 0
    held = "select tz::text, ts::text from t order by id"
    assert rows_of(database_dsn, held) == [
        ("2024-07-01 12:00:00+00", "2024-07-01 12:00:00"),
        ("2024-07-01 06:15:00+00", "2024-07-01 12:00:00"),
    ]
    assert etl("migrate", source, database_dsn, "--mode", "replace", "--timezone", "Europe/Berlin").status == 0
    assert rows_of(database_dsn, held) == [
        ("2024-07-01 10:00:00+00", "2024-07-01 12:00:00"),
        ("2024-07-01 06:15:00+00", "2024-07-01 12:00:00"),
    ]


def test_halves_of_a_cent_are_rounded_as_they_are_written(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """1.005 becomes 1.01 and 2.675 becomes 2.68, which a cast of the double does not."""
    source = make_source(
        "create table t (id integer primary key, a decimal(10,2));", {"t": [(1, 1.005), (2, 2.675), (3, -1.005)]}
    )
    assert etl("migrate", source, database_dsn, "--cast", "t.a=numeric(10,2)").status == 0
    assert rows_of(database_dsn, "select a::text from t order by id") == [("1.01",), ("2.68",), ("-1.01",)]


@pytest.mark.parametrize(
    ("declared", "value", "reason"),
    [
        ("boolean", 2, "2 is not boolean"),
        ("timestamp", "2024-01-01T10", "'2024-01-01T10' is not timestamp"),
        ("timestamp", "0000-01-01 00:00:00", "'0000-01-01 00:00:00' is not timestamp"),
        ("date", "now", "'now' is not date"),
        ("date", "01/02/2020", "'01/02/2020' is not date"),
        ("date", "2020-W01-1", "'2020-W01-1' is not date"),
        ("text", "a\0b", "holds a NUL character"),
        ("json", '{"a":NaN}', "is not valid JSON"),
    ],
)
def test_what_others_read_as_something_else_is_refused(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, declared: str, value: object, reason: str
) -> None:
    """Nothing arrives as another value: the run stops and says which row."""
    source = make_source(f"create table t (id integer primary key, c {declared});", {"t": [(1, None), (2, value)]})
    refused = etl("migrate", source, database_dsn)
    assert refused.status == 1
    assert "t.c (id=2): " in refused.err
    assert reason in refused.err
    assert rows_of(database_dsn, "select 1 from pg_tables where schemaname = 'public'") == []


def test_readings_and_flags_reach_every_value(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """One run with a cast of every kind and every flag: loaded, counted by rule, and verified equal."""
    first = (1, 1700000000123, "31.12.1999", "J", "2024-06-01 10:00", 2460310.5, "abcdef", "0000-00-00", "", "a\0b")
    second = (2, 0, "1.2.2024", "n", "2024-06-01 10:00:00+05:00", 2460310.75, "ab", "2024-02-29", 7, "c")
    source = make_source(
        "create table t (id integer primary key, ms integer, born text, paid text, at datetime, jd real,"
        " short varchar(3), z date, e integer, s text);",
        {"t": [first, second]},
    )
    done = etl(
        *("migrate", source, database_dsn, "--cast", "t.ms=timestamptz:epoch-ms", "--cast", "t.born=date:%d.%m.%Y"),
        *("--cast", "t.paid=boolean:J/N", "--cast", "t.at=timestamptz", "--cast", "t.jd=timestamp:julian"),
        *("--cast", "t.short=varchar(3)", "--timezone", "Europe/Berlin", "--zero-dates", "null", "--empty-as-null"),
        *("--truncate", "--nul", "strip", "--encoding", "latin1"),
    )
    assert done.status == 0, done.err
    held = "select ms::text, born::text, paid, at::text, jd::text, short, z::text, e, s from t order by id"
    assert rows_of(database_dsn, held) == [
        ("2023-11-14 22:13:20.123+00", "1999-12-31", True, "2024-06-01 08:00:00+00", "2024-01-01 01:00:00", "abc", None,
         None, "ab"),
        (None, "2024-02-01", False, "2024-06-01 05:00:00+00", "2024-01-01 07:00:00", "ab", "2024-02-29", 7, "c"),
    ]  # fmt: skip
    for rule in (
        "epoch-ms",
        "format",
        "boolean-words",
        "naive-in-zone",
        "julian",
        "truncated",
        "empty-null",
        "nul-stripped",
    ):
        assert rule in done.out
    assert "zero-date-null" in done.out
