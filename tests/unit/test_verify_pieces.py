"""Cells put together out of pieces: exact whatever lies under a NULL, and flat in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from etl.verify import pieces
from etl.verify.pieces import interleaved
from etl.verify.row_join import RowJoin
from etl.verify.values.expected import Field, FixedField, VaryingField

CELLS: list[bytes | None] = [b"a", None, b"", b"xyz", None]


def over_hidden_bytes(cells: list[bytes | None], skipped: int) -> pa.Array:
    """The cells behind some others, with bytes under every NULL."""
    held = pa.array([cell if cell is not None else b"hidden" for cell in cells], pa.binary())
    valid = pa.py_buffer(np.packbits([cell is not None for cell in cells], bitorder="little"))
    return pa.Array.from_buffers(pa.binary(), len(cells), [valid, *held.buffers()[1:]]).slice(skipped)


@pytest.mark.parametrize("pooled", [pieces.POOLED_BYTES, 0])
def test_what_lies_under_a_null_or_before_a_slice_gets_into_no_cell(
    monkeypatch: pytest.MonkeyPatch, pooled: int
) -> None:
    """Arrow promises neither empty slots nor arrays that begin at 0; one byte too many is a false difference."""
    monkeypatch.setattr(pieces, "POOLED_BYTES", pooled)
    left, right = over_hidden_bytes(CELLS, 1), over_hidden_bytes([b"skipped", b"skipped", *CELLS[:4]], 2)
    expected = [(one or b"") + (other or b"") for one, other in zip(CELLS[1:], CELLS[:4], strict=True)]
    assert interleaved([left, right], 4).to_pylist() == expected
    assert interleaved([left.slice(0, 0), right.slice(0, 0)], 0).to_pylist() == []


def fields_of(kinds: str, rows: int) -> tuple[list[Field], list[bytes]]:
    """Fields by letter (v: varying; digit: of so many bytes, + with some absent), and the rows that they make."""
    random = np.random.default_rng(7)
    fields: list[Field] = []
    joined = [b""] * rows
    for kind in kinds.split():
        width = 0 if kind == "v" else int(kind[0])
        lengths = np.full(rows, width, np.int32) if width else random.integers(0, 5, rows).astype(np.int32)
        if not kind.isdigit():
            absent = random.integers(0, 4, rows) == 0
            lengths[absent] = random.choice((-1, -2), int(absent.sum()))
        cells = [random.bytes(max(length, 0)) if kind == "v" else random.bytes(width) for length in lengths.tolist()]
        for row, (cell, length) in enumerate(zip(cells, lengths.tolist(), strict=True)):
            joined[row] += int(length).to_bytes(4, "big", signed=True) + cell[: max(length, 0)]
        if kind == "v":
            fields.append(VaryingField(pa.array(cells, pa.binary()), lengths))
        else:
            values = np.frombuffer(b"".join(cells), f"V{width}")
            fields.append(FixedField(values, None if kind.isdigit() else lengths))
    return fields, joined


@pytest.mark.parametrize("pooled", [pieces.POOLED_BYTES, 0])
@pytest.mark.parametrize(
    "kinds", ["8+", "4 8+ 2", "8+ 8+ 8+", "4+ v 8+ 4 v", "v 2+", "v v", "1+ 8 4+ 2+ 8 v 8 4+", "4 8"]
)
@pytest.mark.parametrize("rows", [0, 1, 2, 3_000])
def test_fields_are_joined_to_rows_whatever_is_absent(
    monkeypatch: pytest.MonkeyPatch, pooled: int, kinds: str, rows: int
) -> None:
    """What stands behind a NULL closes up, however many stand in one row."""
    monkeypatch.setattr(pieces, "POOLED_BYTES", pooled)
    fields, expected = fields_of(kinds, rows)
    join = RowJoin(rows)
    for field in fields:
        join.add_field(field)
    assert join.rows().to_pylist() == expected


def test_what_is_remembered_of_many_tables_stays_small() -> None:
    """A database of hundreds of wide tables has as many sizes of batches; keeping them all took 150 MB."""
    column = pa.array([b""] * 3_100, pa.binary())
    tracemalloc.start()
    try:
        for length in range(3_000, 3_064):
            interleaved([column.slice(0, length)] * 200, length)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 32 << 20
