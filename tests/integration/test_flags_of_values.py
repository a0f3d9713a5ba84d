"""What is refused without a flag names it, and with it arrives by its rule: the whole way, from flag to report."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fix_command import EtlCommand
from tests.verifying import connected

# declared type, cast, values, flags, error and hint without the flags, held with them, rules
Case = tuple[str, str | None, list[Any], tuple[str, ...], tuple[str, str], list[str | None], dict[str, int]]
CASES: dict[str, Case] = {
    "empty as NULL": (
        "int", None, ["", "5", 6], ("--empty-as-null",), ("'' is not bigint", "--empty-as-null"),
        [None, "5", "6"], {"empty-null": 1},
    ),
    "empty as NULL, not text": (
        "", "date", ["", "2024-02-29"], ("--empty-as-null",), ("'' is not date", "--empty-as-null"),
        [None, "2024-02-29"], {"empty-null": 1},
    ),
    "zero dates": (
        "datetime", None, ["0000-00-00", "0000-00-00 00:00:00", "2024-02-29 10:00"], ("--zero-dates", "null"),
        ("'0000-00-00' is not timestamp", "--zero-dates null"), [None, None, "2024-02-29 10:00:00"],
        {"zero-date-null": 2},
    ),
    "NUL": (
        "text", None, ["a\0b", "c"], ("--nul", "strip"), ("'a\\x00b' holds a NUL character", "--nul strip"),
        ["ab", "c"],
        {"nul-stripped": 1},
    ),
    "latin1": (
        "text", None, [b"\xe9t\xe9", b"ok"], ("--encoding", "latin1"), ("is not valid UTF-8", "--encoding latin1"),
        ["été", "ok"], {"decoded-latin1": 1},
    ),
    "truncate": (
        "text", "varchar(3)", ["abcd", "äöü", "äöüß"], ("--truncate",),
        ("'abcd' has 4 characters", "--truncate"), ["abc", "äöü", "äöü"], {"truncated": 2},
    ),
    "ambiguous, earliest": (
        "text", "timestamptz", ["2024-10-27 02:30", "2024-03-31 02:30", "2024-07-01 12:00"],
        ("--ambiguous", "earliest"), ("exists twice", "--ambiguous earliest"),
        ["2024-10-27 00:30:00+00", "2024-03-31 00:30:00+00", "2024-07-01 10:00:00+00"],
        {"ambiguous-earliest": 2, "naive-in-zone": 1},
    ),
    "ambiguous, latest": (
        "text", "timestamptz", ["2024-10-27 02:30", "2024-03-31 02:30"], ("--ambiguous", "latest"),
        ("exists twice", "--ambiguous earliest"), ["2024-10-27 01:30:00+00", "2024-03-31 01:30:00+00"],
        {"ambiguous-latest": 2},
    ),
}  # fmt: skip


def create(path: Path, declared: str, values: list[Any]) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"create table t (id integer primary key, v {declared})")
        text = declared == "text"
        for value in values:
            connection.execute(f"insert into t (v) values ({'cast(? as text)' if text else '?'})", (value,))
        connection.commit()
    return path


def held(dsn: str) -> list[str | None]:
    async def fetch() -> list[str | None]:
        async with connected(dsn) as connection:
            await connection.execute("set timezone = 'UTC'")
            return [row[0] for row in await connection.fetch("select v::text from t order by id")]

    return asyncio.run(fetch())


@pytest.mark.parametrize("name", CASES)
def test_a_flag_solves_what_is_refused_without_it(
    name: str, etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """The hint can be pasted; verification reads by the same flag, and objects without it."""
    declared, cast, values, flags, (reason, hint), expected, rules = CASES[name]
    path = create(tmp_path / "s.db", declared, values)
    always = [*(("--cast", f"t.v={cast}") if cast else ()), "--timezone", "Europe/Berlin"]
    refused = etl("migrate", path, database_dsn, *always)
    assert refused.status == 1
    assert reason in refused.errors[0], refused.err
    assert hint in refused.hints[0]
    done = etl("migrate", path, database_dsn, *always, *flags, "--report", tmp_path / "r.json")
    assert done.status == 0, done.err
    assert held(database_dsn) == expected
    (table,) = json.loads((tmp_path / "r.json").read_text())["tables"]
    assert table["coerced"] == rules
    assert etl("verify", path, database_dsn, *always, *flags).status == 0
    assert etl("verify", path, database_dsn, *always).status == 4


@pytest.mark.parametrize(
    ("zone", "declared", "value", "type_", "text", "rule"),
    [
        ("UTC", "timestamptz", "2024-07-01 12:00", "timestamptz", "2024-07-01 12:00:00+00", "naive-as-utc"),
        ("Europe/Berlin", "timestamptz", "2024-07-01 12:00", "timestamptz", "2024-07-01 10:00:00+00", "naive-in-zone"),
        ("Asia/Tokyo", "datetime", 1_709_164_800, "timestamp", "2024-02-29 09:00:00", "epoch-s"),
        ("Asia/Tokyo", "date", 1_709_132_400, "date", "2024-02-29", "epoch-s"),
        ("UTC", "datetime", "2024-02-29 24:00:00", "timestamp", "2024-03-01 00:00:00", "hour-24"),
        ("UTC", "date", "2024-02-29 00:00:00", "date", "2024-02-29", "timestamp-to-date"),
        ("UTC", "datetime", "2024-02-29 12:00:00.1234565", "timestamp", "2024-02-29 12:00:00.123456", "rounded"),
        ("UTC", "datetime", "2024-02-29 12:00:00.123457500", "timestamp", "2024-02-29 12:00:00.123458", "rounded"),
    ],
)  # fmt: skip
def test_a_zone_moves_what_its_rule_says(
    etl: EtlCommand, database_dsn: str, tmp_path: Path, zone: str, declared: str, value: Any, type_: str, text: str,
    rule: str,
) -> None:  # fmt: skip
    """The column keeps the declared type, and the report the name of what was done."""
    path = create(tmp_path / "s.db", declared, [value])
    done = etl("migrate", path, database_dsn, "--timezone", zone, "--report", tmp_path / "r.json")
    assert done.status == 0, done.err
    assert held(database_dsn) == [text]
    (table,) = json.loads((tmp_path / "r.json").read_text())["tables"]
    assert table["coerced"] == {rule: 1}


# declared type, cast, value, what the error says, what solves it
REFUSED: list[tuple[str, str | None, Any, str, str]] = [
    ("int", None, 1.5, "1.5 is not bigint", "--cast 't.v=double precision'"),
    ("int", None, "12,5", "'12,5' is not bigint", "--cast t.v=text"),
    ("", "smallint", 40_000, "40000 is out of range for smallint", "--cast t.v=bigint"),
    ("", "bigint", "99999999999999999999", "is out of range for bigint", "--cast t.v=numeric"),
    ("", "numeric(4,2)", 100, "100 is out of range for numeric(4,2)", "--cast t.v=numeric"),
    ("boolean", None, 2, "2 is not boolean", "--cast t.v=bigint"),
    ("boolean", None, "ja", "'ja' is not boolean", "--cast t.v=boolean:J/N"),
    ("date", None, "2024-02-29 10:00", "has a time, which date cannot hold", "--cast t.v=timestamp"),
    ("date", None, "2023-02-29", "'2023-02-29' is not date", "--cast t.v=text"),
    ("date", None, "29.02.2024", "'29.02.2024' is not date", "--cast t.v=date:%d.%m.%Y"),
    ("date", None, 20_240_229, "20240229 is not date", "--cast t.v=date:%Y%m%d"),
    ("datetime", None, 20_240_229_130_500, "20240229130500 is not timestamp", "--cast t.v=timestamp:%Y%m%d%H%M%S"),
    ("datetime", None, 638_447_616_000_000_000, "is not timestamp", "--cast t.v=timestamp:epoch-ticks"),
    ("datetime", None, 13_353_638_400_000_001, "is not timestamp", "--cast t.v=timestamp:epoch-webkit"),
    ("datetime", None, "2024-02-29T10", "is not timestamp", "--cast t.v=text"),
    ("datetime", None, "0000-01-01", "is not timestamp", "--cast t.v=text"),
    ("datetime", None, "2016-12-31 23:59:60", "is not timestamp", "--cast t.v=text"),
    ("datetime", None, "2024-02-29 24:00:01", "is not timestamp", "--cast t.v=text"),
    ("time", None, 3600, "3600 is not time", "--cast t.v=time:seconds"),
    ("json", None, "{", "'{' is not valid JSON", "--cast t.v=text"),
    ("json", None, '"\\u0000"', "holds \\u0000, which jsonb cannot", "--cast t.v=text"),
    ("json", None, "[NaN]", "is not valid JSON", "--cast t.v=text"),
    ("uuid", None, "xyz", "'xyz' is not uuid", "--cast t.v=text"),
    ("uuid", None, b"abc", "is not uuid", "--cast t.v=bytea"),
    ("blob", None, 5, "5 is not bytea", "--cast t.v=bigint"),
    ("text", None, b"\xff", "is not valid UTF-8", "--cast t.v=bytea"),
    ("", "interval", 5, "5 is not interval", "interval:us"),
    ("", "integer[]", "[1.5]", "holds 1.5, which is not integer", "--cast t.v=jsonb"),
    ("", "int4range", "[1,2147483647]", "is out of range for int4range", "--cast t.v=text"),
]


def test_every_refusal_says_what_and_what_solves_it(etl: EtlCommand, database_dsn: str, tmp_path: Path) -> None:
    """All in one run: a refusal finishes the survey, so that one failure lists every column with a problem."""
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path)) as connection:
        for place, (declared, _, value, _, _) in enumerate(REFUSED):
            connection.execute(f"create table t{place} (id integer primary key, v {declared})")
            connection.execute(
                f"insert into t{place} (v) values ({'cast(? as text)' if declared == 'text' else '?'})", (value,)
            )
        connection.commit()
    casts = [part for place, (_, cast, *_) in enumerate(REFUSED) if cast for part in ("--cast", f"t{place}.v={cast}")]
    done = etl("migrate", path, database_dsn, *casts)
    assert done.status == 1
    assert "Traceback" not in done.err
    lines = done.err.splitlines()
    told: dict[int, list[str]] = {
        place: [line + lines[number + 1] for number, line in enumerate(lines) if line.startswith(f"  t{place}.v: ")]
        for place in range(len(REFUSED))
    }
    wrong = {
        (reason, hint): told[place]
        for place, (_, _, _, reason, hint) in enumerate(REFUSED)
        if len(told[place]) != 1
        or reason not in told[place][0]
        or hint.replace("t.v", f"t{place}.v") not in told[place][0]
    }
    assert wrong == {}


@pytest.mark.parametrize(("amounts", "surveyed"), [([0.1 + 0.2, 1.25], False), ([0.1 + 0.2, 1.005], True)])
def test_noise_of_a_double_costs_no_second_reading(
    etl: EtlCommand, database_dsn: str, tmp_path: Path, amounts: list[float], surveyed: bool
) -> None:
    """Sums of cents are everywhere; only a decimal that is really lost makes the type doubtful."""
    path = create(tmp_path / "s.db", "decimal(5,2)", amounts)
    done = etl("migrate", path, database_dsn)
    assert done.status == 0, done.err
    assert ("t.v becomes numeric" in done.err) is surveyed
    assert held(database_dsn) == [repr(amount) if surveyed else f"{amount:.2f}" for amount in amounts]
