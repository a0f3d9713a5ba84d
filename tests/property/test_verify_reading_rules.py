"""Under every reading the vector rules of verification say what its specification says, cell by cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.model import Reading, StorageClass
from etl.verify.cells import Cells
from etl.verify.values.equivalents import expected_payload
from etl.verify.values.expected import FixedField, expected_field
from etl.verify.values.null_cells import reads_as_null
from etl.verify.values.number_moments import EPOCHS
from tests.verifying import pg_type

ARROW = {
    StorageClass.INTEGER: pa.int64(),
    StorageClass.REAL: pa.float64(),
    StorageClass.TEXT: pa.binary(),
    StorageClass.BLOB: pa.binary(),
}
MOMENTS = ["date", "timestamp", "timestamptz", "timestamp(0)", "timestamp(3)", "timestamptz(5)"]
KINDS = st.one_of(
    st.tuples(st.sampled_from(MOMENTS), st.sampled_from([None, *EPOCHS, "%d.%m.%Y", "%Y%m%d%H%M%S", "%F %T%z"])),
    st.tuples(st.sampled_from(["time", "time(0)", "time(4)"]), st.sampled_from([None, "seconds", "%H.%M", "%T.%f"])),
    st.tuples(st.just("boolean"), st.sampled_from([None, "J/N", "1/0", "X/"])),
    st.tuples(st.sampled_from(["text", "varchar(3)", "char(3)", "bigint", "real", "jsonb", "bytea"]), st.none()),
)
FLAGS = {
    "timezone": st.sampled_from(["UTC", "UTC", "Europe/Berlin", "America/St_Johns"]),
    "ambiguous": st.sampled_from([None, "earliest", "latest"]),
    "zero_dates_as_null": st.booleans(),
    "empty_as_null": st.booleans(),
    "strip_nul": st.booleans(),
    "encoding": st.sampled_from([None, "latin1"]),
    "truncate": st.booleans(),
}
EDGES = [0, 1, 86_399, 86_400, 1_711_846_800, 1_700_000_000_123, 638_447_616_000_000_005, 2_460_000, 20_240_229, 2**53]
INTEGERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(-(10**13), 10**13), st.sampled_from(EDGES),
    st.integers(0, 10**8).map(lambda day: day * 86_400),
)  # fmt: skip
REALS = st.one_of(
    st.floats(allow_nan=False), st.integers(-(10**16), 10**16).map(lambda n: n / 10**6),
    st.integers(-(10**15), 10**15).map(lambda n: n / 10**3), st.integers(0, 864 * 10**9).map(lambda n: n / 10**7),
    st.integers(0, 10**8).map(lambda n: n / 4), st.sampled_from([0.0, -0.0, 2.0**52, 1.5e-6, 2.5e-6]),
)  # fmt: skip
MOMENT_TEXTS = st.one_of(
    st.datetimes().map(str),
    st.datetimes().map(lambda moment: moment.isoformat() + "5"),
    st.datetimes().map(lambda moment: f"{moment:%d.%m.%Y}"),
    st.datetimes().map(lambda moment: f"{moment.isoformat(' ', timespec='seconds')}+02:00"),
    st.times().map(str),
    st.dates().map(lambda day: f"{day} 00:00:00"),
)
ODD_TEXTS = [
    "", "0", "0.0", " -0 ", "0000-00-00", "0000-00-00 00:00:00.0", "2024-03-31 02:30", "2024-10-27 02:30:00.5",
    "J", "n", "1", "a\0b", "äöü", "äöüß", "abcd",
]  # fmt: skip
TEXTS = st.one_of(MOMENT_TEXTS, INTEGERS.map(str), REALS.map(str), st.sampled_from(ODD_TEXTS), st.text(max_size=5)).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)
VALUES: dict[StorageClass, st.SearchStrategy[Any]] = {
    StorageClass.INTEGER: INTEGERS,
    StorageClass.REAL: REALS,
    StorageClass.TEXT: st.one_of(TEXTS, TEXTS, st.binary(max_size=5)),
    StorageClass.BLOB: st.binary(max_size=5),
}


@st.composite
def columns(draw: st.DrawFn) -> tuple[str, Reading, list[tuple[StorageClass, Any]]]:
    kind, how = draw(KINDS)
    reading = Reading(how=how, **{name: draw(values) for name, values in FLAGS.items()})
    classes = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=2))
    cell = st.sampled_from(classes).flatmap(lambda storage: st.tuples(st.just(storage), VALUES[storage]))
    return kind, reading, draw(st.lists(st.one_of(cell, st.just((StorageClass.NULL, None))), min_size=1, max_size=15))


def payloads_of(kind: str, reading: Reading, cells: list[tuple[StorageClass, Any]]) -> list[bytes | int]:
    """What the vector rules make of the column: payloads, -1 for NULL, -2 where there is no equivalent."""
    arrays = tuple(
        (storage, pa.array([value if one is storage else None for one, value in cells], kept))
        for storage, kept in ARROW.items()
    )
    field = expected_field(Cells(len(cells), arrays), pg_type(kind), reading)
    if isinstance(field, FixedField):
        width = field.values.dtype.itemsize
        data = np.ascontiguousarray(field.values).tobytes()
        payloads: list[Any] = [data[at : at + width] for at in range(0, len(data), width)]
        lengths = [width] * len(cells) if field.lengths is None else field.lengths.tolist()
    else:
        payloads, lengths = field.payloads.to_pylist(), field.lengths.tolist()
    return [payload if length >= 0 else length for payload, length in zip(payloads, lengths, strict=True)]


@given(columns())
@settings(max_examples=1500, deadline=None)
def test_vector_rules_agree_with_the_specification_under_every_reading(
    column: tuple[str, Reading, list[tuple[StorageClass, Any]]],
) -> None:
    """Same payload, NULL or none; a text that its type cannot hold may stay as it is, for it is never met."""
    name, reading, cells = column
    kind = pg_type(name)
    for (storage, value), actual in zip(cells, payloads_of(name, reading, cells), strict=True):
        if reads_as_null(storage, value, kind, reading):
            assert actual == -1
            continue
        payload = expected_payload(storage, value, kind, reading)
        if payload is not None:
            assert actual == payload
        elif kind.name in ("text", "varchar"):
            assert actual in (-2, value, str(value).encode())
        else:
            assert actual == -2
