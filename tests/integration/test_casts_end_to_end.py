"""What a cast of the command line makes of a value, from SQLite's file to the text that the server writes back."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.fix_command import EtlCommand

# cast → (value in SQLite, the text that psql would show, the rule in the report)
HELD: dict[str, list[tuple[Any, str | None, str | None]]] = {
    "inet": [("192.168.0.1", "192.168.0.1", None), ("2001:DB8::1/64", "2001:db8::1/64", None)],
    "cidr": [("10.0.0.0/8", "10.0.0.0/8", None), ("10.1.2.3", "10.1.2.3/32", None)],
    "macaddr": [("08-00-2B-01-02-03", "08:00:2b:01:02:03", None)],
    "macaddr8": [("08002b0102030405", "08:00:2b:01:02:03:04:05", None)],
    "money": [(1234.5, "$1,234.50", None), (1.005, "$1.01", "rounded"), ("-0.10", "-$0.10", "text-to-numeric")],
    "timetz": [("10:00+02", "10:00:00+02", None), ("10:00", "10:00:00+00", "naive-as-utc")],
    "interval": [("P1DT-2H", "1 day -02:00:00", None), ("36:00:00", "36:00:00", None)],
    "interval:epoch": [("1970-01-01 01:00:00", "01:00:00", "epoch"), ("1969-12-31 23:59:59", "-00:00:01", "epoch")],
    "interval:us": [(90_000_000_000, "25:00:00", "us"), (-1, "-00:00:00.000001", "us")],
    "interval:seconds": [(1.5, "00:00:01.5", "seconds")],
    "bit(3)": [("101", "101", None)],
    "varbit": [("", "", None), ("0110", "0110", None)],
    "integer[]": [("[1, null, -3]", "{1,NULL,-3}", "json-to-array"), ("[]", "{}", "json-to-array")],
    "text[]": [('["a b", "\\u00e9", 7]', '{"a b",é,7}', "json-to-array")],
    "numeric(10,2)[]": [("[1.005]", "{1.01}", "json-to-array")],
    "real[]": [("[16777217.0000000001]", "{1.6777218e+07}", "json-to-array")],
    "timestamptz[]": [('["2024-02-29T10:00Z"]', '{"2024-02-29 10:00:00+00"}', "json-to-array")],
    "int4range": [("(1,5]", "[2,6)", None), ("empty", "empty", None)],
    "daterange": [("(,2024-02-29]", "(,2024-03-01)", None)],
    "numrange": [("(1.50,2.5)", "(1.50,2.5)", None)],
    "tstzrange": [('["2024-01-01 10:00Z",)', '["2024-01-01 10:00:00+00",)', None)],
    "real": [
        (0.1, "0.1", "rounded"),
        ("16777217.0000000001", "1.6777218e+07", "text-to-real"),
        (2**24 + 1, "1.6777216e+07", "rounded"),
        ("0.1", "0.1", "text-to-real"),
    ],
    "numeric": [(1.5, "1.5", None), ("1.50", "1.50", "text-to-numeric"), (1e22, "10000000000000000000000", None)],
    "char(4)": [("ab", "ab  ", None), (12, "12  ", "number-to-text")],
    "smallint": [(" 12 ", "12", "text-to-integer"), (-3.0, "-3", "real-to-integer")],
    "integer": [(2**31 - 1, "2147483647", None)],
    "boolean:J/N": [("j", "t", "boolean-words"), ("N", "f", "boolean-words")],
    "date:%d.%m.%Y": [("29.2.2024", "2024-02-29", "format")],
    "date:%Y%m%d": [(20240229, "2024-02-29", "format")],
    "time:seconds": [(86_399, "23:59:59", "seconds"), ("0.5", "00:00:00.5", "seconds")],
    "timestamp:%d/%m/%y %H:%M": [("29/02/24 13:05", "2024-02-29 13:05:00", "format")],
    "timestamptz:epoch-s": [(1_700_000_000, "2023-11-14 22:13:20+00", "epoch-s"),
                            (0, "1970-01-01 00:00:00+00", "epoch-zero")],
    "timestamptz:epoch-ms": [(1_700_000_000_123, "2023-11-14 22:13:20.123+00", "epoch-ms")],
    "timestamptz:epoch-us": [(1_700_000_000_123_456, "2023-11-14 22:13:20.123456+00", "epoch-us")],
    "timestamptz:epoch-ns": [(1_700_000_000_123_456_789, "2023-11-14 22:13:20.123457+00", "epoch-ns")],
    "timestamptz:epoch-ticks": [(638_447_616_000_000_000, "2024-02-29 00:00:00+00", "epoch-ticks")],
    "timestamptz:epoch-webkit": [(13_353_638_400_000_001, "2024-02-29 00:00:00.000001+00", "epoch-webkit")],
    "timestamptz:epoch-2001": [(721_692_800.25, "2023-11-14 22:13:20.25+00", "epoch-2001")],
    "timestamp:julian": [(2_460_369.5, "2024-02-29 00:00:00", "julian"), (0, "1970-01-01 00:00:00", "epoch-zero")],
    "date:julian": [(2_460_369.5, "2024-02-29", "julian"), (0.0, "1970-01-01", "epoch-zero")],
    "json": [('{"b": 1,"a":2, "a":3}', '{"b": 1,"a":2, "a":3}', None), (5, "5", "number-to-json")],
    "jsonb": [('{"b":1,"a":2,"a":3}', '{"a": 3, "b": 1}', "json-duplicate-keys")],
    "uuid": [(b"\x00" * 16, "00000000-0000-0000-0000-000000000000", "blob-to-uuid")],
    "bytea": [("é", "\\xc3a9", "text-to-bytes")],
    "text": [(5.0, "5.0", "number-to-text"), (b"ab", "ab", "blob-to-text"), (1e16, "1e+16", "number-to-text")],
}  # fmt: skip


async def _texts(dsn: str, columns: list[str]) -> dict[str, list[str | None]]:
    connection = await asyncpg.connect(dsn, server_settings={"TimeZone": "UTC", "lc_monetary": "C"})
    try:
        found: dict[str, list[str | None]] = {}
        for column in columns:
            rows = await connection.fetch(
                f"select format('%s', v) as v, v is null as gone from \"{column}\" order by id"
            )
            found[column] = [None if row["gone"] else row["v"] for row in rows]
        return found
    finally:
        await connection.close()


def create(path: Path, columns: dict[str, list[Any]]) -> Path:
    """A table for each column, so that none of them decides how another one is copied."""
    with closing(sqlite3.connect(path)) as connection:
        for name, values in columns.items():
            connection.execute(f'create table "{name}" (id integer primary key, v)')
            connection.executemany(f'insert into "{name}" (v) values (?)', [(value,) for value in values])
        connection.commit()
    return path


def test_every_cast_holds_what_it_says_and_passes_verification(
    etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """All types and readings in one run: values as the server writes them, rules as the report counts them."""
    names = {f"t{number}": cast for number, cast in enumerate(HELD)}
    columns = {name: [value for value, _, _ in HELD[cast]] for name, cast in names.items()}
    path = create(tmp_path / "s.db", columns)
    casts = [part for name, cast in names.items() for part in ("--cast", f"{name}.v={cast}")]
    done = etl("migrate", path, database_dsn, "--report", tmp_path / "r.json", *casts)
    assert (done.status, done.errors) == (0, []), done.err
    report = {table["name"]: table for table in json.loads((tmp_path / "r.json").read_text())["tables"]}
    held = asyncio.run(_texts(database_dsn, list(names)))
    for name, cast in names.items():
        assert held[name] == [text for _, text, _ in HELD[cast]], cast
        rules = [rule for _, _, rule in HELD[cast] if rule is not None]
        assert report[name]["coerced"] == {rule: rules.count(rule) for rule in set(rules)}, cast
        assert report[name]["source_checksum"] == report[name]["target_checksum"], cast


XML = ["<a x='1'>é</a>", "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>", "text &amp; more", ""]


def test_xml_is_read_as_the_characters_that_it_is(etl: EtlCommand, database_dsn: str, tmp_path: Path) -> None:
    """Binary COPY would obey the encoding of the declaration, and make Ã© of é."""
    path = create(tmp_path / "s.db", {"x": XML})
    done = etl("migrate", path, database_dsn, "--cast", "x.v=xml")
    if "not supported" in done.err or "unsupported XML" in done.err:
        pytest.skip("this server was built without XML")
    assert done.status == 0, done.err
    assert asyncio.run(_texts(database_dsn, ["x"]))["x"] == [
        text.replace("<?xml version='1.0' encoding='ISO-8859-1'?>", "") for text in XML
    ]
