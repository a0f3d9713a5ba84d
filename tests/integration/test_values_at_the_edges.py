"""The edges of every storage class into every type: written by hand, loaded, verified, and read back from the server.

What a type does not list here it has to refuse; a column that is read plain and one that is split have to agree.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fix_command import EtlCommand, PreparedProcess
from tests.verifying import connected

Held = dict[str, tuple[str, str | None]]

EDGES: dict[str, Any] = {
    # INTEGER
    "-2^63": -(2**63), "2^63-1": 2**63 - 1, "2^53-1": 2**53 - 1, "2^53": 2**53, "2^53+1": 2**53 + 1,
    "-2^53-1": -(2**53) - 1, "0": 0, "1": 1, "12": 12,
    # REAL
    "-0.0": -0.0, "1.0": 1.0, "5e-324": 5e-324, "max": 1.7976931348623157e308, "0.1+0.2": 0.1 + 0.2, "1e15": 1e15,
    "1e16": 1e16, "1e17": 1e17, "1.005": 1.005, "2.675": 2.675, "inf": float("inf"),
    # TEXT
    "''": "", "' 12 '": " 12 ", "'1e5'": "1e5", "'0x10'": "0x10", "full-width": "１２", "emoji": "😀",
    "combining": "e\u0301", "U+FFFD": "\ufffd", "NUL first": "\0a", "NUL inside": "a\0b", "NUL last": "a\0",
    "clock": "23:59:59.9999995", "1969": "1969-12-31", "0001": "0001-01-01", "9999": "9999-12-31T23:59:59.999999Z",
    "leap second": "2016-12-31T23:59:60", "leap day": "2024-02-29", "no leap day": "2023-02-29",
    "+14": "2024-02-29 12:00+14:00", "-14": "2024-02-29 12:00-14:00", "deep": "[" * 1000 + "]" * 1000,
    "40 digits": '{"n": 1234567890123456789012345678901234567890}', "lone surrogate": '"\\ud800"', "'t'": "t",
    # BLOB
    "x'ff'": b"\xff", "x'6162'": b"ab", "16 bytes": bytes(range(16)),
}  # fmt: skip
BAD_TEXT = "byte ff"  # TEXT that is not UTF-8: written by SQL, for Python does not let it through
NAMES = [*EDGES, BAD_TEXT]

INTEGERS = {"-2^63", "2^63-1", "2^53-1", "2^53", "2^53+1", "-2^53-1", "0", "1", "12"}
SMALL: Held = {
    "0": ("0", None), "1": ("1", None), "12": ("12", None), "-0.0": ("0", "real-to-integer"),
    "1.0": ("1", "real-to-integer"), "' 12 '": ("12", "text-to-integer"),
}  # fmt: skip
REALS: Held = {
    "-0.0": ("-0", None), "1.0": ("1", None), "5e-324": ("5e-324", None), "max": ("1.7976931348623157e+308", None),
    "0.1+0.2": ("0.30000000000000004", None), "1e15": ("1e+15", None), "1e16": ("1e+16", None),
    "1e17": ("1e+17", None), "1.005": ("1.005", None), "2.675": ("2.675", None), "inf": ("Infinity", None),
}  # fmt: skip
NUMBERS_AS_TEXT: Held = {
    "-2^63": ("-9223372036854775808", "number-to-text"), "2^63-1": ("9223372036854775807", "number-to-text"),
    "2^53-1": ("9007199254740991", "number-to-text"), "2^53": ("9007199254740992", "number-to-text"),
    "2^53+1": ("9007199254740993", "number-to-text"), "-2^53-1": ("-9007199254740993", "number-to-text"),
    "0": ("0", "number-to-text"), "1": ("1", "number-to-text"), "12": ("12", "number-to-text"),
    "-0.0": ("-0.0", "number-to-text"), "1.0": ("1.0", "number-to-text"), "5e-324": ("5e-324", "number-to-text"),
    "max": ("1.7976931348623157e+308", "number-to-text"), "0.1+0.2": ("0.30000000000000004", "number-to-text"),
    "1e15": ("1000000000000000.0", "number-to-text"), "1e16": ("1e+16", "number-to-text"),
    "1e17": ("1e+17", "number-to-text"), "1.005": ("1.005", "number-to-text"), "2.675": ("2.675", "number-to-text"),
    "inf": ("inf", "number-to-text"),
}  # fmt: skip
TEXTS: Held = {name: (value, None) for name, value in EDGES.items() if isinstance(value, str) and "\0" not in value}
JSON_NUMBERS: Held = {name: (text, "number-to-json") for name, (text, _) in NUMBERS_AS_TEXT.items() if name != "inf"}
DOCUMENTS: Held = {"'1e5'": ("1e5", None), "' 12 '": (" 12 ", None), "deep": (EDGES["deep"], None),
                   "40 digits": (EDGES["40 digits"], None), "lone surrogate": ('"\\ud800"', None)}  # fmt: skip
MAX_DIGITS = "17976931348623157" + "0" * 292

# type → edge → (text that the server writes, rule); what is not listed is refused
HELD: dict[str, Held] = {
    "bigint": SMALL
    | {name: (str(EDGES[name]), None) for name in INTEGERS}
    | {"1e15": ("1000000000000000", "real-to-integer")},
    "integer": SMALL,
    "smallint": SMALL,
    "double precision": REALS
    | {
        "-2^63": ("-9.223372036854776e+18", None), "2^63-1": ("9.223372036854776e+18", "integer-rounded"),
        "2^53-1": ("9.007199254740991e+15", None), "2^53": ("9.007199254740992e+15", None),
        "2^53+1": ("9.007199254740992e+15", "integer-rounded"),
        "-2^53-1": ("-9.007199254740992e+15", "integer-rounded"),
        "0": ("0", None), "1": ("1", None), "12": ("12", None), "' 12 '": ("12", "text-to-real"),
        "'1e5'": ("100000", "text-to-real"),
    },
    "real": {
        "-2^63": ("-9.223372e+18", None), "2^63-1": ("9.223372e+18", "rounded"),
        "2^53-1": ("9.007199e+15", "rounded"), "2^53": ("9.007199e+15", None), "2^53+1": ("9.007199e+15", "rounded"),
        "-2^53-1": ("-9.007199e+15", "rounded"), "0": ("0", None), "1": ("1", None), "12": ("12", None),
        "-0.0": ("-0", None), "1.0": ("1", None), "0.1+0.2": ("0.3", "rounded"), "1e15": ("1e+15", "rounded"),
        "1e16": ("1e+16", "rounded"), "1e17": ("1e+17", "rounded"), "1.005": ("1.005", "rounded"),
        "2.675": ("2.675", "rounded"), "inf": ("Infinity", None), "' 12 '": ("12", "text-to-real"),
        "'1e5'": ("100000", "text-to-real"),
    },
    "numeric": {name: (str(EDGES[name]), None) for name in INTEGERS}
    | {
        "-0.0": ("0", None), "1.0": ("1", None), "5e-324": ("0." + "0" * 323 + "5", None),
        "max": (MAX_DIGITS, None), "0.1+0.2": ("0.30000000000000004", None), "1e15": ("1" + "0" * 15, None),
        "1e16": ("1" + "0" * 16, None), "1e17": ("1" + "0" * 17, None), "1.005": ("1.005", None),
        "2.675": ("2.675", None), "inf": ("Infinity", None), "' 12 '": ("12", "text-to-numeric"),
    },
    "numeric(10,2)": {
        "0": ("0.00", None), "1": ("1.00", None), "12": ("12.00", None), "-0.0": ("0.00", None),
        "1.0": ("1.00", None), "5e-324": ("0.00", "rounded"), "0.1+0.2": ("0.30", "rounded"),
        "1.005": ("1.01", "rounded"), "2.675": ("2.68", "rounded"), "' 12 '": ("12.00", "text-to-numeric"),
    },
    "boolean": {"0": ("f", None), "1": ("t", None), "-0.0": ("f", "real-to-boolean"),
                "1.0": ("t", "real-to-boolean"), "'t'": ("t", "text-to-boolean")},
    "date": {"1969": ("1969-12-31", None), "0001": ("0001-01-01", None), "leap day": ("2024-02-29", None)},
    "timestamp": {
        "1969": ("1969-12-31 00:00:00", "date-to-timestamp"), "0001": ("0001-01-01 00:00:00", "date-to-timestamp"),
        "leap day": ("2024-02-29 00:00:00", "date-to-timestamp"),
        "9999": ("9999-12-31 23:59:59.999999", "offset-applied"), "+14": ("2024-02-28 22:00:00", "offset-applied"),
        "-14": ("2024-03-01 02:00:00", "offset-applied"),
    },
    "timestamp(3)": {
        "1969": ("1969-12-31 00:00:00", "date-to-timestamp"), "0001": ("0001-01-01 00:00:00", "date-to-timestamp"),
        "leap day": ("2024-02-29 00:00:00", "date-to-timestamp"),
        "9999": ("10000-01-01 00:00:00", "rounded"), "+14": ("2024-02-28 22:00:00", "offset-applied"),
        "-14": ("2024-03-01 02:00:00", "offset-applied"),
    },
    "timestamptz": {
        "1969": ("1969-12-31 00:00:00+00", "date-to-timestamp"),
        "0001": ("0001-01-01 00:00:00+00", "date-to-timestamp"),
        "leap day": ("2024-02-29 00:00:00+00", "date-to-timestamp"),
        "9999": ("9999-12-31 23:59:59.999999+00", None), "+14": ("2024-02-28 22:00:00+00", None),
        "-14": ("2024-03-01 02:00:00+00", None),
    },
    "time": {},  # 23:59:59.9999995 would be 24:00
    "text": TEXTS | NUMBERS_AS_TEXT | {"x'6162'": ("ab", "blob-to-text")},
    "varchar(3)": {name: TEXTS[name] for name in ("''", "'1e5'", "full-width", "emoji", "combining", "U+FFFD", "'t'")}
    | {name: NUMBERS_AS_TEXT[name] for name in ("0", "1", "12", "1.0", "inf")}
    | {"x'6162'": ("ab", "blob-to-text")},
    "char(3)": {
        "''": ("   ", None), "'1e5'": ("1e5", None), "full-width": ("１２ ", None), "emoji": ("😀  ", None),
        "combining": ("e\u0301 ", None), "U+FFFD": ("\ufffd  ", None), "'t'": ("t  ", None),
        "0": ("0  ", "number-to-text"), "1": ("1  ", "number-to-text"), "12": ("12 ", "number-to-text"),
        "1.0": ("1.0", "number-to-text"), "inf": ("inf", "number-to-text"), "x'6162'": ("ab ", "blob-to-text"),
    },
    "json": DOCUMENTS | JSON_NUMBERS,
    "jsonb": {
        "'1e5'": ("100000", None), "' 12 '": ("12", None), "deep": (EDGES["deep"], None),
        "40 digits": (EDGES["40 digits"], None),
    }
    | JSON_NUMBERS
    | {
        "5e-324": ("0." + "0" * 323 + "5", "number-to-json"), "max": (MAX_DIGITS, "number-to-json"),
        "1e16": ("1" + "0" * 16, "number-to-json"), "1e17": ("1" + "0" * 17, "number-to-json"),
        "-0.0": ("0.0", "number-to-json"),
    },
    "uuid": {"16 bytes": ("00010203-0405-0607-0809-0a0b0c0d0e0f", "blob-to-uuid")},
    "bytea": {name: ("\\x" + EDGES[name].encode().hex(), "text-to-bytes")
              for name, value in EDGES.items() if isinstance(value, str)}
    | {BAD_TEXT: ("\\xff", "text-to-bytes"), "x'ff'": ("\\xff", None), "x'6162'": ("\\x6162", None),
       "16 bytes": ("\\x000102030405060708090a0b0c0d0e0f", None)},
    "interval": {"clock": ("24:00:00", "rounded")},  # a length, which has no midnight
    "inet": {},
    "integer[]": {},
}  # fmt: skip


# suffix of the table → declared type and classes of its column
READINGS: dict[str, tuple[str, tuple[type, ...]]] = {
    "": ("", (int, float, str, bytes)),  # split
    "_i": ("integer", (int,)),
    "_r": ("real", (float,)),
    "_t": ("text", (str,)),
}


def create(path: Path) -> Path:
    """Tables for each type: one whose column holds everything, and one of each class, with its affinity."""
    with closing(sqlite3.connect(path)) as connection:
        for place in range(len(HELD)):
            for suffix, (declared, wanted) in READINGS.items():
                table = f"t{place}{suffix}"
                connection.execute(f"create table {table} (id integer primary key, name text, v {declared})")
                rows = [(NAMES.index(name), name, value) for name, value in EDGES.items() if type(value) in wanted]
                connection.executemany(f"insert into {table} values (?, ?, ?)", rows)
                if str in wanted:
                    connection.execute(f"insert into {table} values ({len(EDGES)}, '{BAD_TEXT}', cast(x'ff' as text))")
        connection.commit()
    return path


Outcome = tuple[str | None, str | None]  # text and rule; (None, None) for a value that was rejected


@pytest.fixture(scope="module")
def outcomes(
    server_dsn: str, tmp_path_factory: pytest.TempPathFactory, prepared: PreparedProcess
) -> dict[str, dict[str, Outcome]]:
    """Table → edge → outcome, of one migration of all tables."""
    folder = tmp_path_factory.mktemp("edges")
    path, log, rejects = create(folder / "s.db"), folder / "log.jsonl", folder / "rejects"
    casts = [part for place, name in enumerate(HELD) for part in ("--cast", f"t{place}*.v={name}")]
    files = ("--rejects", rejects, "--coercion-log", log)
    asyncio.run(execute(server_dsn, "create schema edges"))
    done = EtlCommand(folder, prepared)(
        "migrate", path, server_dsn, "--target-schema", "edges", "--on-error", "reject", *files, *casts
    )
    try:
        assert done.status == 3, done.err
        found = asyncio.run(_read(server_dsn))
    finally:
        asyncio.run(execute(server_dsn, "drop schema edges cascade"))
    rules = {(line["table"], line["key"]): line["rule"] for line in lines_of(log)}
    held: dict[str, dict[str, Outcome]] = {
        table: {name: (text, rules.get((table, f"id={NAMES.index(name)}"))) for name, text in rows.items()}
        for table, rows in found.items()
    }
    for file in rejects.glob("*.jsonl"):
        for line in lines_of(file):
            held[line["table"]][line["values"]["name"]["value"]] = (None, None)
    return held


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def execute(dsn: str, statement: str) -> None:
    async with connected(dsn) as connection:
        await connection.execute(statement)


async def _read(dsn: str) -> dict[str, dict[str, str]]:
    async with connected(dsn) as connection:
        await connection.execute("set timezone = 'UTC'; set datestyle = 'ISO'; set search_path = edges")
        tables = await connection.fetch("select tablename from pg_tables where schemaname = 'edges'")
        return {
            table: {
                row["name"]: row["v"] for row in await connection.fetch(f"select name, format('%s', v) v from {table}")
            }
            for (table,) in tables
        }


@pytest.mark.parametrize("suffix", READINGS)
@pytest.mark.parametrize("name", HELD)
def test_every_edge_is_held_or_refused_as_the_table_of_values_says(
    name: str, suffix: str, outcomes: dict[str, dict[str, Outcome]]
) -> None:
    """Same outcome, same value, same rule, whichever way the column was read."""
    _, wanted = READINGS[suffix]
    edges = [edge for edge, value in EDGES.items() if type(value) in wanted] + [BAD_TEXT] * (str in wanted)
    expected: dict[str, Outcome] = {edge: HELD[name].get(edge, (None, None)) for edge in edges}
    if suffix == "_r":  # SQLite itself keeps no -0.0 in a column of REAL affinity
        text, rule = HELD[name].get("-0.0", (None, None))
        expected["-0.0"] = (None, None) if text is None else (text.replace("-0", "0"), rule)
        if name in ("varchar(3)", "char(3)"):
            expected["-0.0"] = ("0.0", "number-to-text")
    assert outcomes[f"t{list(HELD).index(name)}{suffix}"] == expected
