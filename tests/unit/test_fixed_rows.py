"""Rows of fixed width, written as records: the same bytes as the encoder's, type by type."""

import math
import struct

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from etl.load import encode
from etl.load.encode import TableEncoder
from etl.load.fixed_rows import FIELDS, fixed_rows
from etl.model import Affinity, ColumnPlan, PgType, SourceColumn, SourceTable, TablePlan, TargetPage

NAN_WITH_PAYLOAD = struct.unpack("<d", bytes.fromhex("010000000000f87f"))[0]
VALUES: dict[str, tuple[str, pa.DataType, list[object]]] = {
    "int16": ("smallint", pa.int16(), [0, -1, 32767, -32768]),
    "int32": ("integer", pa.int32(), [0, -1, 2**31 - 1, -(2**31)]),
    "int64": ("bigint", pa.int64(), [0, -1, 2**63 - 1, -(2**63)]),
    "float": ("real", pa.float32(), [0.0, -0.0, 1.5, math.inf]),
    "double": ("double precision", pa.float64(), [-0.0, 5e-324, -math.inf, NAN_WITH_PAYLOAD]),
    "date32[day]": ("date", pa.date32(), [0, 10_957, -2_440_588, 2_921_939]),
    "time64[us]": ("time", pa.time64("us"), [0, 1, 86_399_999_999, 86_400_000_000]),
    "timestamp[us]": ("timestamp", pa.timestamp("us"), [0, 946_684_800_000_000, -62_135_596_800_000_000, 1]),
    "timestamp[us, tz=UTC]": ("timestamptz", pa.timestamp("us", "UTC"), [-1, 2**53, 253_402_300_799_999_999, 0]),
    "fixed_size_binary[16]": ("uuid", pa.binary(16), [bytes(16), bytes(range(16)), b"\xff" * 16, b"\0" * 15 + b"\1"]),
}


def array_of(kind: str) -> pa.Array:
    _, arrow_type, values = VALUES[kind]
    if kind.startswith(("date", "time")):
        return pa.array(values, pa.int32() if kind == "date32[day]" else pa.int64()).view(arrow_type)
    return pa.array(values, arrow_type)


def page_of(batch: pa.RecordBatch) -> TargetPage:
    return TargetPage(0, batch.num_rows, batch, (), "1", "4", 0)


def table_of(kinds: list[str]) -> TablePlan:
    sources = [SourceColumn(f"c{place}", "", Affinity.BLOB) for place in range(len(kinds))]
    columns = tuple(
        ColumnPlan(source, source.name, PgType(VALUES[kind][0])) for source, kind in zip(sources, kinds, strict=True)
    )
    return TablePlan(SourceTable("t", tuple(sources)), "t", columns)


@pytest.mark.parametrize("kinds", [*([kind] for kind in FIELDS), list(FIELDS)], ids=[*FIELDS, "all"])
def test_the_stream_is_the_one_that_the_encoder_writes(kinds: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every type alone and all together, on pages of several lengths."""
    table = table_of(kinds)
    whole = pa.RecordBatch.from_arrays([array_of(kind) for kind in kinds], names=[f"c{i}" for i in range(len(kinds))])
    encoder = TableEncoder(table)
    # a larger page after a smaller one, a smaller one after it, and one that begins in the middle of its arrays
    for batch in (whole.slice(0, 2), whole, whole.slice(0, 1), whole.slice(1, 2)):
        monkeypatch.undo()
        ours = b"".join(encoder.encode_page(page_of(batch)).chunks)
        monkeypatch.setattr(encode, "fixed_rows", lambda _: None)
        assert ours == b"".join(TableEncoder(table).encode_page(page_of(batch)).chunks)


@pytest.mark.parametrize("share", [1, 20, 60, 1000], ids=lambda share: f"one-in-{share}")
def test_nulls_are_as_the_encoder_writes_them(share: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """First and last row, neighbours, several in a row: whatever is cut out, and whoever does it."""
    kinds = list(FIELDS)
    table = table_of(kinds)
    random = np.random.default_rng(share)
    arrays = []
    for kind in kinds:
        repeated = array_of(kind).take(pa.array(np.arange(3000) % 4))
        nulls = random.random(3000) < 1 / share / len(kinds)
        nulls[[0, 1, -1]] = share > 1
        arrays.append(pc.if_else(pa.array(nulls), pa.scalar(None, repeated.type), repeated))
    batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in table.columns])
    ours = b"".join(TableEncoder(table).encode_page(page_of(batch)).chunks)
    monkeypatch.setattr(encode, "fixed_rows", lambda _: None)
    assert ours == b"".join(TableEncoder(table).encode_page(page_of(batch)).chunks)


def test_pages_with_many_nulls_go_the_other_way() -> None:
    """To cut them out one by one would cost more than the encoder does."""
    rows = fixed_rows(pa.schema([("c0", pa.int64())]))
    assert rows is not None
    for nulls, taken in ((0, True), (5, True), (6, False), (100, False)):
        batch = pa.RecordBatch.from_arrays([pa.array([None] * nulls + [1] * (100 - nulls))], names=["c0"])
        assert rows.takes(batch) is taken
