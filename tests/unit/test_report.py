"""The report says the same to people and to programs: what moved, what was coerced, what differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etl.errors import EtlError, ExitStatus
from etl.model import (
    Affinity,
    Coercion,
    ColumnPlan,
    Difference,
    LoadedTable,
    PgType,
    Plan,
    SkippedObject,
    SourceColumn,
    SourceTable,
    StorageClass,
    TablePlan,
    Verdict,
    VerifiedTable,
)
from etl.report import Report, Sequence, document, verdict, write_json
from etl.shell.closing import render

TABLE_KEYS = {
    "name",
    "target_name",
    "source_rows",
    "loaded_rows",
    "rejected_rows",
    "coerced",
    "bytes",
    "seconds",
    "source_checksum",
    "target_checksum",
    "verdict",
}
REPORT_KEYS = {
    "format",
    "verdict",
    "source",
    "target",
    "tables",
    "schema",
    "sequences",
    "phases",
    "differences",
}


def plan_of(*names: str, untranslated: tuple[SkippedObject, ...] = ()) -> Plan:
    """A plan of tables with one bigint column each."""
    column = SourceColumn("id", "INTEGER", Affinity.INTEGER)
    return Plan(
        "public",
        tuple(
            TablePlan(SourceTable(name, (column,)), name, (ColumnPlan(column, "id", PgType("bigint")),))
            for name in names
        ),
        untranslated,
    )


def loaded(name: str, rows: int = 1204, coercions: tuple[Coercion, ...] = ()) -> LoadedTable:
    return LoadedTable(name, rows, 5 << 20, 4 << 20, 0.5, coercions)


def verified(name: str, rows: int = 1204, found: Verdict = Verdict.EQUAL, **more: object) -> VerifiedTable:
    target_rows = more.pop("target_rows", rows)
    return VerifiedTable(
        name, name, rows, target_rows, "0123456789abcdef" * 2, "0123456789abcdef" * 2, found, 0.25, **more
    )  # type: ignore[arg-type]


def report_of(**changes: object) -> Report:
    """A migration of two tables that went well."""
    values: dict[str, object] = {
        "command": "migrate",
        "source": "app.db",
        "target": "postgresql://ada@h/app",
        "plan": plan_of("orders", "events"),
        "status": ExitStatus.DONE,
        "loaded": (loaded("orders"), loaded("events", 10)),
        "verified": (verified("orders"), verified("events", 10)),
        "phases": {"load": 0.6, "verify": 0.3, "total": 1.0},
    }
    return Report(**{**values, **changes})  # type: ignore[arg-type]


def test_the_closing_table_has_the_columns_that_users_know() -> None:
    """Table, rows, bytes, time, rows/s, coerced, rejected, checksum, verdict, and a total."""
    lines = render(report_of()).splitlines()
    assert lines[0].split() == [
        "table",
        "rows",
        "bytes",
        "time",
        "rows/s",
        "coerced",
        "rejected",
        "checksum",
        "verdict",
    ]
    assert lines[2].split() == ["orders", "1,204", "5.00", "MB", "0.75", "s", "2.41k", "0", "0", "01234567", "equal"]
    total = next(line for line in lines if line.startswith("total"))
    assert total.split()[1] == "1,214"
    assert total.split()[-1] == "equal"
    assert "wall time 1.00 s" in render(report_of())


def test_the_closing_table_is_aligned() -> None:
    """Every verdict stands under its heading, whatever the figures."""
    lines = render(report_of(loaded=(loaded("orders", 12_345_678), loaded("events", 1)))).splitlines()
    start = lines[0].index("verdict")
    assert {line[start : start + 5] for line in lines[2:4]} == {"equal"}


def test_the_last_line_is_the_verdict() -> None:
    """Who reads one line reads this one."""
    assert render(report_of()).splitlines()[-1] == "verdict: equal: 2 tables, 1,214 rows, every value compared"


def test_coercions_are_listed_by_rule_with_one_sample() -> None:
    """What was changed on the way is named, counted and shown; a wide table must still fit on a screen."""
    samples = (("rowid=4", "'2024-01-01'", "2024-01-01 00:00:00"), ("rowid=9", "'2024-01-02'", "2024-01-02 00:00:00"))
    coercion = Coercion("at", "date-to-timestamp", 7, samples)
    report = report_of(loaded=(loaded("orders", coercions=(coercion,)), loaded("events", 10)))
    text = render(report)
    assert "rowid=9" not in text
    assert "rowid=9: '2024-01-02' → 2024-01-02 00:00:00" in render(report, sample_count=None)
    line = next(line for line in text.splitlines() if "date-to-timestamp" in line)
    assert "orders.at" in line
    assert "7" in line
    assert "rowid=4: '2024-01-01' → 2024-01-01 00:00:00" in line


def test_only_what_needs_somebody_is_listed_as_untranslated() -> None:
    """A shadow table is in the JSON report and not in anybody's way."""
    view = SkippedObject("view", "v_open", "create view …", "views are not translated yet")
    shadow = SkippedObject("table", "fts_data", "", "shadow table", needs_attention=False)
    report = report_of(plan=plan_of("orders", untranslated=(view, shadow)), status=ExitStatus.UNTRANSLATED)
    text = render(report)
    assert "view v_open: views are not translated yet" in text
    assert "fts_data" not in text
    assert text.splitlines()[-1].endswith("1 schema object left for you (listed above)")
    assert [thing["name"] for thing in document(report)["schema"]["untranslated"]] == ["v_open", "fts_data"]


def test_differences_show_key_column_and_both_values() -> None:
    """A difference can be looked up in both databases."""
    different = Difference("orders", "different", "id=7", "total", StorageClass.REAL, "1.005", "1.01", "1.00")
    missing = Difference("orders", "missing", "id=5")
    table = verified(
        "orders",
        found=Verdict.DIFFERENT,
        target_rows=1203,
        difference_counts={"missing": 1, "different": 30},
        differences=(missing, different),
    )
    report = report_of(verified=(table, verified("events", 10)), status=ExitStatus.DIFFERENT)
    text = render(report)
    assert "differences in orders: 1 missing, 30 different (source 1,204 rows, target 1,203)" in text
    assert "different  id=7  total: source real 1.005, expected 1.01, target 1.00" in text
    assert "… and 29 more" in text
    assert text.splitlines()[-1] == "verdict: DIFFERENT: 2 tables, 1,214 rows; nothing was published"
    assert document(report)["differences"][1]["storage"] == "real"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Verdict.EQUAL),
        ({"verified": ()}, Verdict.NOT_VERIFIED),
        ({"verified": (verified("orders"),)}, Verdict.NOT_VERIFIED),
        ({"verified": (verified("orders"), verified("events", 10, Verdict.DIFFERENT))}, Verdict.DIFFERENT),
        ({"differences": (Difference("orders", "object", "orders_pkey"),)}, Verdict.DIFFERENT),
        ({"status": ExitStatus.DIFFERENT}, Verdict.DIFFERENT),
        ({"status": ExitStatus.UNTRANSLATED}, Verdict.EQUAL),
        ({"plan": plan_of(), "loaded": (), "verified": (), "phases": {"load": 0.1}}, Verdict.NOT_VERIFIED),
        ({"plan": plan_of(), "loaded": (), "verified": (), "phases": {"verify": 0.1}}, Verdict.EQUAL),
    ],
)
def test_equal_is_said_only_when_everything_was_found_equal(changes: dict[str, object], expected: Verdict) -> None:
    """One table that was not verified, or one object that differs, and the word is not said."""
    assert verdict(report_of(**changes)) is expected


def test_the_json_report_has_its_contracted_keys() -> None:
    """Format 1: keys may come, none may go."""
    content = document(report_of(sequences=(Sequence("orders", "id", 1205),)))
    assert content["format"] == 1
    assert content.keys() >= REPORT_KEYS
    assert content["tables"][0].keys() >= TABLE_KEYS
    assert content["schema"].keys() >= {"indexes", "foreign_keys", "views", "untranslated"}
    assert content["sequences"] == [{"table": "orders", "column": "id", "next_value": 1205}]


def test_the_json_report_tells_what_a_later_verification_needs() -> None:
    """Types, zone and schema, and a hash that changes with any of them."""
    one, other = document(report_of())["plan"], document(report_of(plan=plan_of("orders")))["plan"]
    assert one["tables"] == {"orders": {"id": "bigint"}, "events": {"id": "bigint"}}
    assert one["timezone"] == "UTC"
    assert one["hash"] != other["hash"]


def test_the_json_report_holds_no_password(tmp_path: Path) -> None:
    """Even where the pipeline forgot to take it out."""
    path = tmp_path / "report.json"
    write_json(report_of(target="postgresql://ada:s3cret@h/app"), path)
    assert "s3cret" not in path.read_text()
    assert json.loads(path.read_text())["target"] == "postgresql://ada:***@h/app"


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """The old report stays whole, and the error says which file it was."""
    path = tmp_path / "report.json"
    path.mkdir()
    with pytest.raises(EtlError, match=r"report\.json: cannot be written") as caught:
        write_json(report_of(), path)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == [path]


def test_a_verification_alone_needs_no_load() -> None:
    """`etl verify` has no bytes and no coercions, and its rows are those of the source."""
    report = report_of(command="verify", loaded=())
    assert "equal: 2 tables, 1,214 rows" in render(report)
    assert document(report)["tables"][0]["loaded_rows"] == 1204
