"""Random tables, values, casts and flags, the whole way: the two readings of the table of values never disagree.

The load and the verification share no rule. Whatever the load made of a value, verification has to find it equal; what
the load refuses is refused by name, and never by the server.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from etl.errors import EtlError, ExitStatus, PlanError, UsageError
from etl.options import Options
from etl.phases.comparison import verify
from etl.pipeline import migrate
from etl.progress import SilentProgress
from etl.report import Report
from tests.fix_source import build_source

DECLARED = [
    "", "any", "integer", "bigint", "smallint", "tinyint", "bool", "boolean", "date", "datetime", "timestamp",
    "timestamptz", "time", "decimal(6,2)", "numeric(10,0)", "decimal", "money", "real", "double", "float", "char(3)",
    "varchar(5)", "text", "clob", "string", "json", "jsonb", "uuid", "blob", "varbinary", "flurb", "point",
]  # fmt: skip
CASTS = [
    "smallint", "integer", "bigint", "real", "double precision", "numeric", "numeric(6,2)", "numeric(50,3)", "money",
    "boolean", "boolean:J/N", "date", "date:%d.%m.%Y", "date:%Y%m%d", "date:epoch-s", "date:julian", "timestamp",
    "timestamp(0)", "timestamp(3)", "timestamp:epoch-ms", "timestamp:julian", "timestamp:%d.%m.%Y %H:%M",
    "timestamptz", "timestamptz(2)", "timestamptz(6)", "timestamptz:epoch-s", "timestamptz:epoch-us",
    "timestamptz:epoch-ns", "timestamptz:epoch-ticks", "timestamptz:epoch-webkit", "timestamptz:epoch-2001",
    "time", "time(0)", "time(3)",
    "time:seconds", "time:%H.%M", "timetz", "timetz(1)", "interval", "interval(2)", "interval(6)", "interval:us",
    "interval:seconds", "interval:epoch", "text", "varchar(5)", "char(3)", "json", "jsonb", "jsonb:sqlite",
    "uuid", "bytea",
    "inet", "cidr", "macaddr",
    "macaddr8", "bit(3)", "bit", "bit(6)", "varbit", "varbit(4)", "integer[]", "bigint[]", "text[]", "numeric[]",
    "numeric(6,2)[]", "real[]", "double precision[]", "boolean[]", "date[]", "timestamp[]", "timestamptz[]",
    "uuid[]", "char(3)[]",
    "varchar(5)[]", "timestamp(3)[]", "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange",
]  # fmt: skip
NUMBERS: list[Any] = [
    0, 1, -1, 12, 2**15, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63), 20240229, 1_700_000_000, 1_700_000_000_123,
    638_447_616_000_000_000, 13_353_638_400_000_001, 86_399, 86_400, 2_460_369, 0.0, -0.0, 1.0, 1.5, -2.675, 1.005,
    0.1, 0.1 + 0.2, 5e-324, 1e-45, 1.7976931348623157e308, 3.5e38, 1e15, 1e16, 1e22, 2_460_369.5, 1_700_000_000.25,
    16777217.0, float("inf"), float("-inf"), 999.995, 9999.995,
]  # fmt: skip
TEXTS = [
    "", " ", "0", "1", " 12 ", "-0", "+5", ".5", "5.", "1e5", "1E-7", "0x10", "007", "12.50", "12,50", "-0.0",
    "999.995", "16777217.0000000001", "0.1", "1e400", "1e-400", "99999999999999999999", "1.005", "Infinity", "NaN",
    "t", "F", "yes", "J", "n", "N", "abc", "abcdef", "ab ", "é", "e\u0301", "😀", "１２", "a\0b", "\0", "\ufffd",
    "2024-02-29", "2023-02-29", "1969-12-31", "0001-01-01", "0000-00-00", "9999-12-31T23:59:59.999999Z", "12024-01-01",
    "2024-02-29 24:00:00", "2024-02-29 12:00", "2024-02-29T12:00:00.1234565", "2024-02-29 12:00:00.9999995",
    "2024-02-29 12:00 UTC", "2024-02-29 12:00+14:00", "2024-02-29 12:00:00-0330", "2016-12-31 23:59:60",
    "2024-03-31 02:30", "2024-10-27 02:30", "29.02.2024", "29.2.2024 13:05", "12:00", "23:59:59.9999995", "24:00:00",
    "10:00+02", "10:00:00.55Z", "13.05", "P1Y2M3DT4H5M6.5S", "-P1D", "PT36H", "P1W", "-01:30", "36:00:00.125",
    "192.168.0.1", "10.0.0.0/8", "10.1.2.3/8", "2001:DB8::1/64", "::ffff:1.2.3.4", "08:00:2b:01:02:03",
    "08002B0102030405", "101", "0110", "[1, null, -3]", "[]", "[1.5, 2.0]", "[true, 0]", '["a", "b c", null]',
    '["2024-02-29"]', "[1e5, 1.10]", '["6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff"]', "[[1]]",
    "[16777217.0000000001, 0.1, 5]", "[1,5)", "(1,2)", "(1,5]", "empty", "(,)", "[5,1]", "[1.50,2.5)",
    "[2024-01-01,2024-02-29]", '["2024-01-01 10:00","2024-01-02 00:00:00+02")', "[1,2147483647]", "(,2147483647]",
    "[2024-01-01,)", "{}", '{"a": 1, "a": 2.50}', '{"b":[1,"x\\u00e9"]}', '"\\u0000"', '"\\ud800"', "[1e400]", "null",
    "true", "6F1C2A9E0B1D4C3E9F00AABBCCDDEEFF", "{6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff}",
    "urn:uuid:6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff", "<a>x</a>", "1700000000", " 2460369.5 ",
]  # fmt: skip
BLOBS = [b"", b"ab", b"\xff", b"a\0", bytes(range(16)), b"\x1b\x131", b"{}", b"\x0c", b"\xcc\x02\x17a\x131"]
INTEGERS = [value for value in NUMBERS if isinstance(value, int)]
REALS = [value for value in NUMBERS if isinstance(value, float)]
ANYTHING = [None, *NUMBERS, *TEXTS, *BLOBS]


@dataclass(frozen=True)
class Column:
    declared: str
    cast: str | None
    values: tuple[Any, ...]


@st.composite
def columns(draw: st.DrawFn) -> Column:
    """A few values, or all of some class, or of all classes."""
    pool = draw(st.sampled_from([NUMBERS, INTEGERS, REALS, TEXTS, ANYTHING]))
    many = draw(st.booleans())
    return Column(
        draw(st.sampled_from(DECLARED)),
        draw(st.none() | st.sampled_from(CASTS)),
        tuple(pool) if many else tuple(draw(st.lists(st.sampled_from(pool), max_size=12))),
    )


FLAGS = st.fixed_dictionaries(
    {
        "timezone": st.sampled_from(["UTC", "UTC", "Europe/Berlin", "America/New_York"]),
        "ambiguous": st.sampled_from([None, "earliest", "latest"]),
        "zero_dates": st.sampled_from(["refuse", "null"]),
        "empty_as_null": st.booleans(),
        "nul": st.sampled_from(["refuse", "strip"]),
        "truncate": st.booleans(),
        "integers": st.sampled_from(["bigint", "fit"]),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(table=st.lists(columns(), min_size=1, max_size=4), flags=FLAGS)
def test_what_the_load_makes_of_a_value_verification_finds_equal(
    server_dsn: str, table: list[Column], flags: dict[str, Any]
) -> None:
    """Refused values are rejected, all others arrive; the server itself never has to object."""
    with asyncio.Runner() as runner:
        runner.run(check(server_dsn, table, flags))


async def check(dsn: str, table: list[Column], flags: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = create(Path(folder) / "s.db", table)
        casts = tuple(f"t{place}.v={column.cast}" for place, column in enumerate(table) if column.cast)
        options = Options(
            path, dsn, "migrated", casts=casts, on_error="reject", rejects=Path(folder) / "rejects", jobs=1, **flags
        )
        try:
            report = await migrate(options, SilentProgress())
            event(report.status.name)
            assert report.status in (ExitStatus.DONE, ExitStatus.REJECTED), differences(report)
            if report.status is ExitStatus.DONE:
                again = await verify(options, SilentProgress())
                assert again.status is ExitStatus.DONE, differences(again)
        except (PlanError, UsageError) as error:
            event(f"not planned: {type(error).__name__}")
        except EtlError as error:
            raise AssertionError(f"{error.message}: {casts} {table} {flags}") from error
        finally:
            await drop_schema(dsn)


def differences(report: Report) -> list[Any]:
    return [*report.differences, *(difference for one in report.verified for difference in one.differences)]


def create(path: Path, table: list[Column]) -> Path:
    """A table a column, so that one type does not decide how another one travels."""
    script = "".join(f"create table t{place} (v {column.declared});" for place, column in enumerate(table))
    rows = {f"t{place}": [(value,) for value in column.values] for place, column in enumerate(table)}
    return build_source(path, script, rows)


async def drop_schema(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("drop schema if exists migrated cascade")
    finally:
        await connection.close()
