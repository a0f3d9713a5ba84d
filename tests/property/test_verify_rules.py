"""The vector rules of verification say what its specification says, for every storage class and target type."""

from __future__ import annotations

import struct
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.model import PgType, StorageClass
from etl.verify.cells import Cells
from etl.verify.documents.canonical import canonical_document, canonical_documents
from etl.verify.documents.document_tokens import canonical_document_by_token
from etl.verify.values.equivalents import expected_payload
from etl.verify.values.expected import FixedField, expected_field
from etl.verify.values.wire import date_of, days_since_2000, pack_numeric, unpack_numeric
from tests.verifying import pg_type

TYPES = [
    "smallint", "integer", "bigint", "real", "double precision", "numeric(10,2)", "numeric(38,12)", "numeric(5,0)",
    "numeric(20,20)", "numeric", "boolean", "date", "timestamp", "timestamptz", "time", "text", "varchar(3)", "char(4)",
    "json", "jsonb", "uuid", "bytea",
]  # fmt: skip
ARROW = {
    StorageClass.INTEGER: pa.int64(),
    StorageClass.REAL: pa.float64(),
    StorageClass.TEXT: pa.binary(),
    StorageClass.BLOB: pa.binary(),
}
CLASSES = {int: StorageClass.INTEGER, float: StorageClass.REAL}

INTEGERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-3, 3),
    st.sampled_from(
        [
            -(2**63),
            2**63 - 1,
            2**53,
            2**53 + 1,
            32767,
            -32768,
            2**31,
            -(2**31),
            10**15,
            1_700_000_000,
            1_700_000_000_123,
        ]
    ),
)
REALS = st.one_of(
    st.floats(allow_nan=False),
    st.integers(-(10**12), 10**12).map(lambda n: n / 100),
    st.integers(-(10**9), 10**9).map(lambda n: n / 1000),
    st.sampled_from(
        [
            0.0,
            -0.0,
            1.0,
            5e-324,
            1.7976931348623157e308,
            0.1 + 0.2,
            1.005,
            2.675,
            1e15,
            1e16,
            1e17,
            1e22,
            1e-7,
            2.0**53,
            0.5,
            99999999.995,
            3.5e38,
        ]
    ),
)
STAMPS = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat(" ")),
    st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z"),
    st.datetimes().map(lambda moment: moment.isoformat(" ", timespec="seconds") + "+05:30"),
    st.dates().map(str),
    st.times().map(str),
    st.from_regex(
        r"[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,10})?)?"
        r"( ?(Z|UTC|[+-][01][0-9](:?[0-7][0-9])?))?",
        fullmatch=True,
    ),
    st.sampled_from(
        [
            "2024-02-29",
            "2023-02-29",
            "0000-01-01",
            "0001-01-01",
            "9999-12-31T23:59:59.999999Z",
            "23:59:60",
            "24:00:00",
            "2024-01-01 24:00:00",
            "2024-01-01 24:00:01",
            "23:59:59.9999995",
            "1969-12-31",
            "2024-1-1",
            "2024-01-01T10",
            "2024-01-01 00:00:00.000",
        ]
    ),
)
TEXTS = st.one_of(
    STAMPS,
    st.text(max_size=8),
    st.uuids().map(str),
    st.uuids().map(lambda value: value.hex),
    st.uuids().map(lambda value: f"{{{str(value).upper()}}}"),
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12).map(str),
    st.sampled_from(
        [
            "t",
            "FALSE",
            "yes",
            "1",
            "",
            " 12 ",
            "1e5",
            "0x10",
            "１２",
            "+5",
            ".5",
            "5.",
            "é",
            "😀",
            "a\0",
            '{"a": [1.0, 2]}',
            "[1e2]",
            "null",
            "\ud800".encode("utf-8", "surrogatepass").decode("latin1"),
        ]
    ),
).map(lambda text: text.encode("utf-8", "surrogatepass"))
BLOBS = st.one_of(st.binary(max_size=20), st.binary(min_size=16, max_size=16))
VALUES: dict[StorageClass, st.SearchStrategy[Any]] = {
    StorageClass.INTEGER: INTEGERS,
    StorageClass.REAL: REALS,
    StorageClass.TEXT: TEXTS,
    StorageClass.BLOB: BLOBS,
}


def payloads_of(storage: StorageClass, values: list[Any], kind: PgType) -> list[bytes | int | None]:
    """What the vector rules make of a column: payloads, None for NULL, -2 where there is no equivalent."""
    field = expected_field(Cells(len(values), ((storage, pa.array(values, ARROW[storage])),)), kind)
    if isinstance(field, FixedField):
        width = field.values.dtype.itemsize
        data = np.ascontiguousarray(field.values).tobytes()
        payloads: list[Any] = [data[at : at + width] for at in range(0, len(data), width)]
        lengths = [width] * len(values) if field.lengths is None else field.lengths.tolist()
    else:
        payloads, lengths = field.payloads.to_pylist(), field.lengths.tolist()
    found: list[bytes | int | None] = []
    for payload, length in zip(payloads, lengths, strict=True):
        assert length < 0 or length == len(payload)
        found.append(payload if length >= 0 else None if length == -1 else -2)
    return found


def agrees(actual: bytes | int | None, payload: bytes | None, value: Any, kind: PgType) -> bool:
    """-2 stands for no equivalent; a text that its type cannot hold may be expected as it is, for it is never met."""
    if payload is not None or value is None:
        return actual == payload
    written = value if isinstance(value, bytes) else repr(value).encode()
    return actual == -2 or (kind.name in ("text", "varchar") and actual == written)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("storage", list(VALUES), ids=str)
def test_vector_rules_agree_with_the_specification(storage: StorageClass, name: str) -> None:
    """Same payload, or none on both sides, cell by cell; nulls stay nulls."""
    kind = pg_type(name)

    @given(st.lists(st.one_of(VALUES[storage], st.none()), min_size=1, max_size=30))
    @settings(max_examples=60, deadline=None)
    def check(values: list[Any]) -> None:
        for value, actual in zip(values, payloads_of(storage, values, kind), strict=True):
            payload = None if value is None else expected_payload(storage, value, kind)
            assert agrees(actual, payload, value, kind)

    check()


@given(st.lists(st.one_of(*VALUES.values(), st.none()), min_size=1, max_size=30), st.sampled_from(TYPES))
@settings(max_examples=300, deadline=None)
def test_a_column_of_every_class_is_the_sum_of_its_classes(values: list[Any], name: str) -> None:
    """Split columns give each cell what its class alone would give."""
    kind = pg_type(name)
    classes = [
        StorageClass.INTEGER if isinstance(v, int) else StorageClass.REAL if isinstance(v, float) else StorageClass.TEXT
        for v in values
    ]
    arrays = tuple(
        (storage, pa.array([v if c is storage else None for v, c in zip(values, classes, strict=True)], ARROW[storage]))
        for storage in ARROW
    )
    field = expected_field(Cells(len(values), arrays), kind)
    for place, (value, storage) in enumerate(zip(values, classes, strict=True)):
        payload = None if value is None else expected_payload(storage, value, kind)
        if isinstance(field, FixedField):
            length = field.values.dtype.itemsize if field.lengths is None else int(field.lengths[place])
            actual = field.values[place : place + 1].tobytes() if length >= 0 else None
        else:
            length = int(field.lengths[place])
            actual = field.payloads[place].as_py() if length >= 0 else None
        assert agrees(-2 if length == -2 else actual, payload, value, kind)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None))
@settings(max_examples=300, deadline=None)
def test_a_packed_numeric_reads_back(value: Decimal) -> None:
    """numeric's digits, weight and scale are written as they are read."""
    if abs(value.adjusted()) > 2000:
        return
    assert Decimal(unpack_numeric(pack_numeric(value))) == value


@given(st.dates())
@settings(deadline=None)
def test_days_are_counted_as_python_counts_them(day: Any) -> None:
    """Our own calendar against another one."""
    days = days_since_2000(day.year, day.month, day.day)
    assert days == day.toordinal() - 730_120
    assert date_of(days) == (day.year, day.month, day.day)


@given(REALS, st.integers(0, 12))
@settings(max_examples=500, deadline=None)
def test_numeric_rounds_the_shortest_decimal_half_away_from_zero(value: float, scale: int) -> None:
    """1.005 becomes 1.01 at scale 2, whatever the double behind it is."""
    payload = expected_payload(StorageClass.REAL, value, PgType("numeric", precision=30, scale=scale))
    if abs(value) >= 1e17:
        return
    with localcontext(Context(prec=400)):
        wanted = Decimal(repr(value)).quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)
    assert payload == pack_numeric(wanted)
    assert struct.unpack_from(">h", payload or b"", 6)[0] == scale


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=4)),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=500, deadline=None)
def test_both_paths_to_a_canonical_document_agree(document: Any) -> None:
    """The fast path writes what the slow, exact one writes, spaces and escapes aside."""
    import json

    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False, indent=1)):
        try:
            given_text = text.encode()
        except UnicodeEncodeError:
            continue
        exact = canonical_document_by_token(given_text)
        assert canonical_document(given_text) == exact
        assert canonical_documents(pa.array([given_text], pa.binary())).to_pylist() == [exact]
        if exact is not None:
            assert canonical_document(exact) == exact
            assert same(orjson_or_json(exact), document)


def orjson_or_json(text: bytes) -> Any:
    import json

    return json.loads(text)


def same(left: Any, right: Any) -> bool:
    """Equal documents: numbers by value, true never 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, int | float) and isinstance(right, int | float):
        return Fraction(left) == Fraction(right) or float(left) == float(right)
    return type(left) is type(right) and left == right
