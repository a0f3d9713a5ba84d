"""Each rule of coercion is broken in turn, as somebody might break it, and verification names the row and the column.

One table a rule; row 7 of each gets what the broken rule would make of it.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import struct
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from etl.errors import ExitStatus
from etl.model import SourcePage, TablePlan, TargetPage
from etl.options import Options
from etl.phases import loading
from etl.pipeline import migrate
from etl.progress import SilentProgress
from etl.report import Report
from tests.fix_server import rows_of
from tests.fix_source import MakeSource
from tests.integration.test_verify_sabotaged_load import KEY, with_cell

ROWS = 12
DAY, HOUR, MICROSECOND = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
BERLIN = {"timezone": "Europe/Berlin"}
EARLIEST, LATEST = ({**BERLIN, "ambiguous": which} for which in ("earliest", "latest"))


class Broken(NamedTuple):
    """A column whose values need the rule, and what a broken rule makes of the value of row 7."""

    declared: str
    cast: str | None
    value: Callable[[int], Any]
    change: Callable[[Any], Any]
    flags: Mapping[str, Any] = {}


def single(value: float) -> float:
    """Cut to four bytes."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


RULES: dict[str, Broken] = {
    "real-to-integer": Broken("", "bigint", lambda n: float(n), lambda v: v + 1),
    "text-to-integer": Broken("text", "bigint", lambda n: f" {n}0 ", lambda v: v // 10),
    "integer-rounded": Broken("", "double precision", lambda n: 2**53 + 4 * n + 1, lambda v: v + 2),
    "text-to-real": Broken("text", "double precision", lambda n: f"{n}.1", single),
    "rounded": Broken("real", "numeric(10,2)", lambda n: n + 0.005, lambda v: v - Decimal("0.01")),
    "text-to-numeric": Broken("text", "numeric(10,2)", lambda n: f"{n}.50", lambda v: -v),
    "text-to-boolean": Broken("text", "boolean", lambda n: "off", lambda v: True),
    "real-to-boolean": Broken("", "boolean", lambda n: 0.0, lambda v: True),
    "boolean-words": Broken("text", "boolean:J/N", lambda n: "N", lambda v: True),
    "timestamp-to-date": Broken("text", "date", lambda n: f"2024-03-{n:02d} 00:00:00", lambda v: v - DAY),
    "date-to-timestamp": Broken("text", "timestamp", lambda n: f"2024-03-{n:02d}", lambda v: v + 12 * HOUR),
    "offset-applied": Broken("text", "timestamp", lambda n: "2024-03-01T12:00:00+02:00", lambda v: v + 2 * HOUR),
    "naive-as-utc": Broken("text", "timestamptz", lambda n: "2024-03-01 12:00", lambda v: v - HOUR),
    "naive-in-zone": Broken("text", "timestamptz", lambda n: "2024-07-01 12:00", lambda v: v + HOUR, BERLIN),
    "ambiguous-earliest": Broken("text", "timestamptz", lambda n: "2024-10-27 02:30", lambda v: v + HOUR, EARLIEST),
    "ambiguous-latest": Broken("text", "timestamptz", lambda n: "2024-10-27 02:30", lambda v: v - HOUR, LATEST),
    "hour-24": Broken("text", "timestamp", lambda n: "2024-03-01 24:00:00", lambda v: v - DAY),
    "epoch-s": Broken("integer", "timestamp:epoch-s", lambda n: 1_700_000_000 + n, lambda v: v + HOUR),
    "epoch-ms": Broken(
        "integer", "timestamp:epoch-ms", lambda n: 1_700_000_000_123 + n, lambda v: v.replace(microsecond=0)
    ),
    "epoch-us": Broken("integer", "timestamp:epoch-us", lambda n: 17 * 10**14 + n, lambda v: v - MICROSECOND),
    "epoch-ns": Broken("integer", "timestamp:epoch-ns", lambda n: 17 * 10**17 + n * 1000, lambda v: v + MICROSECOND),
    "epoch-ticks": Broken("integer", "timestamp:epoch-ticks", lambda n: 6384 * 10**14 + n * 10, lambda v: v - 2 * DAY),
    "epoch-webkit": Broken("integer", "timestamp:epoch-webkit", lambda n: 13344 * 10**12 + n, lambda v: v + DAY),
    "epoch-2001": Broken("integer", "timestamp:epoch-2001", lambda n: 7 * 10**8 + n, lambda v: v.replace(year=1992)),
    "julian": Broken("real", "timestamp:julian", lambda n: 2_460_000.5 + n, lambda v: v + 12 * HOUR),
    "epoch-zero": Broken("integer", "timestamp:epoch-s", lambda n: 0, lambda v: None),
    "zero-date-null": Broken(
        "text", "timestamp", lambda n: "0000-00-00", lambda v: datetime(1970, 1, 1), {"zero_dates": "null"}
    ),
    "format": Broken("text", "date:%d.%m.%Y", lambda n: f"{n}.3.2024", lambda v: v.replace(month=v.day, day=v.month)),
    "seconds": Broken("integer", "time:seconds", lambda n: n * 60, lambda v: v.replace(hour=1)),
    "epoch": Broken(
        "text", "interval:epoch", lambda n: f"1970-01-01 01:00:{n % 50 + 10}", lambda v: v.replace("7", "8")
    ),
    "us": Broken("integer", "interval:us", lambda n: n, lambda v: v.replace("7", "8")),
    "number-to-text": Broken("", "text", lambda n: n * 1e20, lambda v: f"{float(v):e}"),
    "blob-to-text": Broken("", "text", lambda n: f"Zoë {n}".encode(), lambda v: v.encode().decode("latin1")),
    "nul-stripped": Broken("text", "text", lambda n: f"ab\0cd{n}", lambda v: "ab", {"nul": "strip"}),
    "decoded-latin1": Broken("text", "text", lambda n: b"Zo\xeb", lambda v: "Zo\ufffd", {"encoding": "latin1"}),
    "truncated": Broken("text", "varchar(4)", lambda n: "abcdef", lambda v: v[:3], {"truncate": True}),
    "empty-null": Broken("text", "bigint", lambda n: "", lambda v: 0, {"empty_as_null": True}),
    "json-duplicate-keys": Broken("json", None, lambda n: '{"a": 1, "a": 2}', lambda v: '{"a": 1}'),
    "number-to-json": Broken("", "jsonb", lambda n: n * 1.5, lambda v: f'"{v}"'),
    "uuid-spelling": Broken(
        "text", "uuid", lambda n: f"{{A0000000-0000-4000-8000-{n:012d}}}", lambda v: v[:-1] + b"\1"
    ),
    "blob-to-uuid": Broken("blob", "uuid", lambda n: bytes([n]) * 15 + b"\1", lambda v: v[::-1]),
    "text-to-bytes": Broken("text", "bytea", lambda n: f"ab\0cd{n}", lambda v: v[:2]),
    "json-to-array": Broken("text", "integer[]", lambda n: f"[1, {n}]", lambda v: v.replace("7", "8")),
}
ELSEWHERE = {"owner-backfilled"}  # of `etl move` alone: test_owner_on_the_way.py
FLAGS = list({repr(broken.flags): broken.flags for broken in RULES.values()}.values())


def table_of(rule: str) -> str:
    return "t_" + rule.replace("-", "_")


def run(make_source: MakeSource, dsn: str, flags: Mapping[str, Any]) -> tuple[list[str], Report]:
    """Move one table for each rule that needs these flags; returns the rules too."""
    chosen = {rule: broken for rule, broken in RULES.items() if broken.flags == flags}
    columns = {table_of(rule): broken for rule, broken in chosen.items()}
    script = ";".join(f"create table {name} (id integer primary key, v {b.declared})" for name, b in columns.items())
    rows = {name: [(n, broken.value(n)) for n in range(1, ROWS + 1)] for name, broken in columns.items()}
    source = make_source(script, rows)
    if "decoded-latin1" in chosen:  # Python binds no text that is not UTF-8
        with closing(sqlite3.connect(source)) as connection:
            connection.execute("update t_decoded_latin1 set v = cast(v as text)")
            connection.commit()
    casts = tuple(f"{name}.v={broken.cast}" for name, broken in columns.items() if broken.cast)
    return list(chosen), asyncio.run(migrate(Options(source, dsn, casts=casts, **flags), SilentProgress()))


def test_every_rule_is_broken_here() -> None:
    """A rule that the code names has its sabotage; so a new one cannot be forgotten."""
    folder = Path(loading.__file__).parents[1] / "transform" / "rows"
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    named = {rule for text in texts for rule in re.findall(r"\"([a-z]+(?:-[a-z0-9]+)+)\"", text)}
    assert named - ELSEWHERE - set(RULES) == set()


@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: " ".join(map(str, flags.values())) or "no flags")
def test_unbroken_rules_are_believed(flags: Mapping[str, Any], make_source: MakeSource, database_dsn: str) -> None:
    """Each value of each table has gone by the rule of its table, and nothing is objected to."""
    chosen, report = run(make_source, database_dsn, flags)
    assert [difference for table in report.verified for difference in table.differences] == []
    assert report.status is ExitStatus.DONE
    told = (*report.loaded, *report.verified)
    counted = {(table.name, one.rule): one.count for table in told for one in table.coercions}
    assert {rule: counted.get((table_of(rule), rule)) for rule in chosen} == dict.fromkeys(chosen, ROWS)


@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: " ".join(map(str, flags.values())) or "no flags")
def test_a_broken_rule_is_found_in_its_table_row_and_column(
    flags: Mapping[str, Any], make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wrong value among twelve, in every table: each is named, nothing else is, and nothing is published."""
    coerce = loading.coerce_page
    by_table = {table_of(rule): broken.change for rule, broken in RULES.items()}

    def sabotage(page: SourcePage, table: TablePlan, *rest: Any) -> TargetPage:
        return with_cell(coerce(page, table, *rest), "v", by_table[table.source.name])

    monkeypatch.setattr(loading, "coerce_page", sabotage)
    chosen, report = run(make_source, database_dsn, flags)
    assert report.status is ExitStatus.DIFFERENT
    found = {table.name: [(one.kind, one.key, one.column) for one in table.differences] for table in report.verified}
    assert found == {table_of(rule): [("different", f"id={KEY}", "v")] for rule in chosen}
    assert rows_of(database_dsn, "select count(*) from pg_tables where schemaname = 'public'") == [(0,)]
