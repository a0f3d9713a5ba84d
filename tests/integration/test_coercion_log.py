"""Every coerced value of a run in one file, and nothing of it when the run fails."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fix_command import EtlCommand
from tests.fix_source import MakeSource

SCRIPT = "create table t (id integer primary key, at datetime, flag boolean)"


def test_every_coerced_value_is_logged_with_before_and_after(
    make_source: MakeSource, database_dsn: str, etl: EtlCommand, tmp_path: Path
) -> None:
    """More than the five samples of the report, over several pages, each once."""
    rows = [(i, "2024-05-06" if i % 10 == 0 else "2024-05-06 07:08:09", "yes" if i == 77 else 1) for i in range(20_000)]
    log = tmp_path / "coercions.jsonl"
    done = etl("migrate", make_source(SCRIPT, {"t": rows}), database_dsn, "--coercion-log", log)
    assert done.status == 0, done.err
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    dates = [line for line in lines if line["rule"] == "date-to-timestamp"]
    assert [line["key"] for line in dates] == [f"id={i}" for i in range(0, 20_000, 10)]
    assert dates[0]["before"] == "'2024-05-06'"
    assert dates[0]["after"] == "2024-05-06 00:00:00"
    assert [line["key"] for line in lines if line["rule"] == "text-to-boolean"] == ["id=77"]
    assert [path.name for path in tmp_path.glob("coercions*")] == ["coercions.jsonl"]


def test_a_run_that_fails_leaves_no_log(
    make_source: MakeSource, database_dsn: str, etl: EtlCommand, tmp_path: Path
) -> None:
    """Half a log would be taken for a whole one."""
    rows = [(1, "2024-05-06", 1), (2, "2024-05-06", "maybe")]
    log = tmp_path / "coercions.jsonl"
    done = etl("migrate", make_source(SCRIPT, {"t": rows}), database_dsn, "--coercion-log", log)
    assert done.status == 1
    assert list(tmp_path.glob("coercions*")) == []
