"""Cells put together out of pieces: exact whatever lies under a NULL, and flat in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from etl.verify import pieces
from etl.verify.pieces import interleaved

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
    assert interleaved([left, right]).to_pylist() == expected
    assert interleaved([left.slice(0, 0), right.slice(0, 0)]).to_pylist() == []


def test_what_is_remembered_of_many_tables_stays_small() -> None:
    """A database of hundreds of wide tables has as many sizes of batches; keeping them all took 150 MB."""
    column = pa.array([b""] * 3_100, pa.binary())
    tracemalloc.start()
    try:
        for length in range(3_000, 3_064):
            interleaved([column.slice(0, length)] * 200)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 32 << 20
