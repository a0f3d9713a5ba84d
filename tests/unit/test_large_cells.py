"""Large cells go into the COPY stream as views, and the stream is the same."""

from __future__ import annotations

import pyarrow as pa
import pytest

from etl.load import large_cells
from etl.load.encode import TableEncoder
from etl.model import Affinity, ColumnPlan, PgType, SourceColumn, SourceTable, TablePlan, TargetPage

BLOB, TEXT, DOCUMENT = b"\x00\xff" * 20, "äöü" * 9, '{"a": [1, 2]}'


def page_of(batch: pa.RecordBatch) -> TargetPage:
    return TargetPage(0, batch.num_rows, batch, (), "1", "3", 0)


def test_the_stream_is_the_one_that_the_encoder_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its size, a value must not depend on the way it took."""
    types = {"id": "bigint", "data": "bytea", "name": "text", "doc": "jsonb", "more": "json"}
    columns = tuple(
        ColumnPlan(SourceColumn(name, "", Affinity.BLOB), name, PgType(kind)) for name, kind in types.items()
    )
    encoder = TableEncoder(TablePlan(SourceTable("t", tuple(column.source for column in columns)), "t", columns))
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([1, None, 3], pa.int64()),
            pa.array([BLOB, None, b""], pa.binary()),
            pa.array([None, TEXT, ""], pa.string()),
            pa.array([DOCUMENT, None, "[]"], pa.string()),
            pa.array([DOCUMENT, "1", None], pa.string()),
        ],
        names=list(types),
    )
    for page in (page_of(batch), page_of(batch.slice(1))):
        plain = encoder.encode_page(page)
        monkeypatch.setattr(large_cells, "ROW_BYTES", 1)
        spliced = encoder.encode_page(page)
        monkeypatch.undo()
        assert len(spliced.chunks) > len(plain.chunks)
        assert b"".join(spliced.chunks) == b"".join(plain.chunks)
