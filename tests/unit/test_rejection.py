"""Rows that cannot be held are set aside whole, and the others go on."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from etl.errors import UsageError
from etl.load.rejects import RejectFolder
from etl.model import (
    Affinity,
    ColumnPlan,
    PgType,
    SourceColumn,
    SourcePage,
    SourceTable,
    SplitColumn,
    TablePlan,
)
from etl.transform.rows.rejection import coerce_or_reject


def table_of(*types: PgType) -> TablePlan:
    columns = tuple(ColumnPlan(SourceColumn(f"c{i}", "", Affinity.BLOB), f"c{i}", kind) for i, kind in enumerate(types))
    return TablePlan(SourceTable("t", tuple(column.source for column in columns)), "t", columns)


def split(*cells: object) -> SplitColumn:
    def only(kind: type) -> list[object]:
        return [cell if type(cell) is kind else None for cell in cells]

    texts = [cell.encode("utf-8", "surrogateescape") if isinstance(cell, str) else None for cell in cells]
    return SplitColumn(
        pa.array(only(int), pa.int64()),
        pa.array(only(float), pa.float64()),
        pa.array(texts, pa.binary()).view(pa.string()),
        pa.array(only(bytes), pa.binary()),
    )


def page_of(*columns: SplitColumn) -> SourcePage:
    rows = len(columns[0].integers)
    return SourcePage(3, rows, columns, ("rowid",), (pa.array(range(100, 100 + rows)),), 0)


TABLE = table_of(PgType("bigint"), PgType("numeric", 10, 2), PgType("text"))
PAGE = page_of(
    split(1, "x", 3, "4", b"\xff"),
    split(1.5, 2.5, "12,50", 1.005, None),
    split("a", b"\x00\x01", "c", "bad \udcff", 7),
)


def test_only_rows_without_a_refused_value_are_loaded() -> None:
    """Of a page with three bad rows the two good ones remain, in order."""
    kept = coerce_or_reject(PAGE, TABLE, 1000)
    assert kept.row_count == kept.batch.num_rows == 1
    assert kept.batch.column(0).to_pylist() == [1]
    assert [row.ordinal for row in kept.rejected] == [1001, 1002, 1003, 1004]


def test_a_rejected_row_is_whole_and_says_why() -> None:
    """Key, column, reason, hint, and every value with its storage class."""
    row = coerce_or_reject(PAGE, TABLE, 0).rejected[1]
    assert (row.key, row.column) == ("rowid=102", "c1")
    assert "'12,50' is not numeric(10,2)" in row.reason
    assert row.values == {"c0": ("integer", "3"), "c1": ("text", "12,50"), "c2": ("text", "c")}
    assert coerce_or_reject(PAGE, TABLE, 0).rejected[0].values["c2"] == ("blob", "0001")
    assert coerce_or_reject(PAGE, TABLE, 0).rejected[2].values["c2"] == ("text/hex", b"bad \xff".hex())


def test_what_is_coerced_in_a_rejected_row_is_not_counted() -> None:
    """The report's counts are of loaded rows."""
    page = page_of(split("1", "2"), split(1.0, "no"), split("a", "b"))
    coerced = {(c.column, c.rule): c.count for c in coerce_or_reject(page, TABLE, 0).coercions}
    assert coerced == {("c0", "text-to-integer"): 1}


def test_a_clean_page_passes_untouched() -> None:
    """Nothing is rejected where nothing is refused."""
    page = page_of(split(1, 2), split(1.0, 2.0), split("a", "b"))
    assert coerce_or_reject(page, TABLE, 0).rejected == ()


def test_reject_files_get_their_names_only_when_they_are_kept(tmp_path: Path) -> None:
    """A run that fails leaves neither file nor folder."""
    folder = RejectFolder(tmp_path / "rejects")
    rows = coerce_or_reject(PAGE, TABLE, 0).rejected
    file = folder.file_of("odd/name")
    file.write(rows)
    folder.close()
    assert not (tmp_path / "rejects").exists()
    file.write(rows)
    folder.complete(["odd/name"])
    folder.keep(["odd/name"])
    folder.close()
    (path,) = (tmp_path / "rejects").iterdir()
    assert path.name == "odd%2Fname.jsonl"
    documents = [json.loads(line) for line in path.read_text().splitlines()]
    assert [document["table"] for document in documents] == ["odd/name"] * 4
    assert documents[1]["values"]["c1"] == {"class": "text", "value": "12,50"}


def test_rejected_rows_of_an_earlier_run_are_never_overwritten(tmp_path: Path) -> None:
    """They may be the only list of what is missing in the target."""
    (tmp_path / "t.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match="earlier run") as raised:
        RejectFolder(tmp_path)
    assert "--from-rejects" in str(raised.value.hint)
