"""Whole columns by vector rules agree with the specification cell by cell: outcome, value, rule and count."""

from __future__ import annotations

import json
import struct
from collections import Counter
from dataclasses import dataclass
from functools import cache, partial

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.errors import RefusedValueError
from etl.model import (
    PLAIN_READING,
    Affinity,
    ColumnPlan,
    PgType,
    PlainColumn,
    Reading,
    SourceColumn,
    SourcePage,
    SourceTable,
    SourceValues,
    SplitColumn,
    StorageClass,
    TablePlan,
)
from etl.transform.rows import columns
from etl.transform.rows.columns import REFUSAL_COUNT, coerce_page, target_arrow_type
from etl.transform.rows.values import Converted, Refused, convert_value

TARGETS = [
    *map(PgType, ("smallint", "integer", "bigint", "real", "double precision", "boolean", "date", "timestamp")),
    *map(PgType, ("timestamptz", "time", "text", "json", "jsonb", "uuid", "bytea", "numeric", "char", "citext")),
    *(PgType(name, length=n) for name, n in (("timestamp", 3), ("timestamptz", 0), ("time", 2), ("timestamp", 6))),
    *map(PgType, ("interval", "timetz", "inet", "macaddr", "money", "xml", "varbit", "int4range")),
    PgType("integer[]", base=PgType("integer")),
    PgType("mood", labels=("t", "hello", "12")),
    PgType("price", base=PgType("numeric", 10, 2)),
    PgType("varchar", length=5),
    PgType("varchar", length=20),
    PgType("char", length=12),
    *(PgType("numeric", p, s) for p, s in ((10, 2), (3, 2), (2, 2), (18, 0), (38, 19), (38, 30), (16, 4), (50, 3))),
]


@dataclass(frozen=True)
class Cell:
    """One value of a source column."""

    storage: StorageClass
    value: int | float | bytes | None


NULL = Cell(StorageClass.NULL, None)

ARROW = {
    StorageClass.INTEGER: pa.int64(),
    StorageClass.REAL: pa.float64(),
    StorageClass.TEXT: pa.string(),
    StorageClass.BLOB: pa.binary(),
}

# --- cells ---------------------------------------------------------------------------------------------------------

INTEGER_EDGES = [
    *(0, 1, 2, -1, 12, 2**15 - 1, -(2**15), 2**15, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63), 2**24 + 1),
    *(2**53, 2**53 + 1, 2**53 - 1, -(2**53), -(2**53) - 1, -(2**53) + 1, 2**60 + 1, 10**8, 10**8 - 1, 10**17, 10**18),
]
REAL_EDGES = [
    *(0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 0.1 + 0.2),
    *(1e14, 1e15, 1e16, 1e17, 123456789012345.6, 1234567890123456.7, 1e9 + 0.5, 1e10, 1e10 + 0.5, 1e22, 1e23, 1e300),
    *(1.005, 2.675, 8.345, 0.005, 0.015, 0.125, 99.995, 9.995, 0.994, 0.995, 0.0001, 0.00001, 1e-5, 1.5e-7, 1e-30),
    *(2.0**53, 2.0**53 + 2, -(2.0**53), 2.0**63, -(2.0**63), 2.0**31, 32767.0, 32768.0, 16777217.0, 3.4028235e38),
    *(3.4028236e38, 1e39, 1e-46, 1e-45, float("inf"), float("-inf"), 12345678.9, 99999999.99, 99999999.995),
]
TEXT_EDGES = [
    *("", " ", " 12 ", "12", "-12", "+12", "007", "-0", "-0.0", "1e5", "1E-5", "0x10", "１２", "12\n", "\n12", "1_000"),
    *("12,50", "12.5", "12.50", "12.500", "12.505", ".5", "5.", "-.5", "0.000", "00.10", "NaN", "inf", "Infinity"),
    *("1e400", "1e-400", "0e-400", "9" * 18, "9" * 19, "9" * 20, "-" + "9" * 19, "9223372036854775807", "9" * 5000),
    *("9223372036854775808", "0." + "0" * 400 + "1", "123456789012345678901234567890.12", "t", "TRUE", "Yes", "oN"),
    *("nO", "F", "y", "1", "0", "tru", " t", "😀", "e\u0301", "\ufffd", "a\0b", "\0", "ab\0", "x" * 21, "é" * 20),
    *("héllo", "hello", "hello ", "1969-12-31", "0001-01-01", "0000-01-01", "9999-12-31", "2024-02-29", "2023-02-29"),
    *("1900-02-29", "2000-02-29", "2024-00-10", "2024-13-01", "2024-01-00", "2024-04-31", "2024-1-01", "2024-01-01 "),
    *("0000-00-00", "10000-01-01", "2024-01-01T", "2024-01-01T10", "2024-01-01 10:00", "2024-01-01T10:00:00Z"),
    *("9999-12-31T23:59:59.999999Z", "2024-01-01 24:00", "2024-01-01 24:00:00.000", "2024-01-01 24:00:01"),
    *("2024-01-01 23:59:60", "2024-01-01 23:59:59.9999995", "2024-01-01 23:59:59.9999985", "2024-01-01 10:60"),
    *("2024-01-01 00:00:00", "2024-01-01T00:00:00.000", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.0000001"),
    *("2024-01-01 10:00:00 UTC", "2024-01-01 10:00:00+14:00", "2024-01-01 10:00:00-14:00", "2024-01-01 10:00+05"),
    *("2024-01-01 10:00:00.5+0545", "2024-01-01 10:00:00+16:00", "2024-01-01 10:00:00+05:60", "2024-01-01Z"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-01-01 00:00:00+00:00", "2024-01-01t10:00"),
    *("23:59", "23:59:59", "23:59:59.9", "23:59:59.9999995", "24:00:00", "24:00", "23:60", "1:00", "12:00:00Z"),
    *("{}", "[]", "null", "true", "1", '"a"', '{"a":1}', '{"a":1,"a":2}', '{"a": 1, "\\u0061": 2}', '{"a" : {"b":1}}'),
    *(
        '{"a:":1,"a:":1}',
        '{"a":"b:c"}',
        '{"a":"\\":"}',
        '{"a":"\\u003a","a":1}',
        '{"a":1,"a":"\\u003a"}',
        '{"a":1,"a":"\\u003A"}',
        '{"\\u003a":1,"x":":"}',
        "[1e400000]",
    ),
    *(
        '["\\u0000"]',
        '["\\\\u0000"]',
        '["\\ud800"]',
        '["\\ud83d\\ude00"]',
        '["\\ude00\\ud83d"]',
        "[1e400]",
        "[1e131072]",
    ),
    *("[1e-20000]", "[0e-20000]", "[0e400000]", "[1E-05000]", "[0." + "0" * 17000 + "1]", "[1." + "1" * 40 + "]"),
    *("[" * 300 + "]" * 300, "[" * 1100 + "]" * 1100, '{"a":' * 270 + "1" + "}" * 270, "[" * 7000 + "]" * 7000),
    *("[1,]", "[01]", "{a:1}", "{'a':1}", '{"a":1}x', '{"a"}', '["\t"]', "\ufeff1", "[1}", "]", '{"a":1,}', "[NaN]"),
    *("-", "[-]", "[1.]", "nul", "1 2", '"\x7f"', '{"":{"":{}}}', '{"a":{"x":1},"b":{"x":1}}', "\x0b1"),
    *(
        "6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff",
        "6F1C2A9E-0B1D-4C3E-9F00-AABBCCDDEEFF",
        "6f1c2a9e0b1d4c3e9f00aabbccddeeff",
    ),
    *("{6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff}", "urn:uuid:6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff", "g" * 32, "0" * 36),
    *(
        "6f1c2a9e00b1d04c3e09f000aabbccddeeff",
        "6f1c2a9e-0b1d-4c3e-9f00aabbccddeeff-",
        "{6f1c2a9e0b1d4c3e9f00aabbccddeeff}",
    ),
]
BYTE_EDGES = [
    *(
        b"\xff",
        b"a\xff",
        b"\xc3",
        b"\xa9",
        b"\xed\xa0\x80",
        b"\xc0\x80",
        b"\xf4\x90\x80\x80",
        b'["\xff"]',
        b"\x00" * 16,
    ),
    *(b"2024-01-0\xb9", b"2024\xad01-01", b"tru\xe5", b"\xe9" * 36),
]

dates = st.dates().map(str)
times = st.times().map(str) | st.times().map(lambda time: f"{time:%H:%M}")
offsets = st.sampled_from(["", "", "", "Z", "+00:00", "+05:45", "-08", "+0130", " UTC", "+14:00"])
moments = st.builds("{}{}{}{}".format, dates, st.sampled_from("T "), times, offsets)
decimals = st.builds("{}.{}".format, st.integers(-(10**9), 10**9), st.integers(0, 999))
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b:", '":', "é"]), inner, max_size=3)
    ),
    max_leaves=6,
)
spellings = st.sampled_from(
    [{}, {"indent": 1}, {"ensure_ascii": False}, {"separators": (" ,", " : ")}, {"separators": (",", ":")}]
)
json_texts = st.builds(lambda value, spelling: json.dumps(value, **spelling), documents, spellings)

KINDS: dict[str, st.SearchStrategy[str]] = {
    "date": dates | moments | dates.map("{} 00:00:00".format),
    "timestamp": moments | dates,
    "timestamptz": moments | dates,
    "time": times,
    "json": json_texts,
    "jsonb": json_texts,
    "uuid": st.uuids().map(str)
    | st.uuids().map(lambda uuid: uuid.hex)
    | st.uuids().map(lambda uuid: str(uuid).upper()),
    "boolean": st.sampled_from(["t", "TRUE", "Yes", "off", "0", "1", "n", "tRuE"]),
    **dict.fromkeys(
        ["smallint", "integer", "bigint"], st.integers(-(2**64), 2**64).map(str) | st.integers(-99, 99).map(str)
    ),
    **dict.fromkeys(["real", "double precision", "numeric"], decimals | st.floats(allow_nan=False).map(repr)),
}
any_text = st.text(max_size=8)


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> bytes:
    """A text of the right kind with one byte changed, doubled or lost."""
    text = bytearray(draw(texts).encode())
    if text:
        place = draw(st.integers(0, len(text) - 1))
        byte = draw(st.sampled_from(b'0159 -+:.TZabfF{"\\\x00\xff\xe9\n/'))
        text[place : place + draw(st.integers(0, 1))] = bytes([byte] * draw(st.integers(0, 1)))
    return bytes(text)


def texts_for(target: PgType) -> st.SearchStrategy[bytes]:
    """Texts, most of them of the kind that the target takes."""
    kind = KINDS.get(target.name, any_text)
    clean = kind.map(str.encode)
    edges = st.sampled_from([text.encode() for text in TEXT_EDGES] + BYTE_EDGES)
    return clean | clean | edges | damaged(kind) | damaged(kind) | any_text.map(str.encode)


@cache
def cells_for(target: PgType) -> dict[StorageClass, st.SearchStrategy[Cell]]:
    """Cells of every storage class."""
    near = st.integers(-(10**6), 10**6)
    reals = st.floats(allow_nan=False) | near.map(float) | near.map(lambda number: number / 100)
    texts = texts_for(target)
    values: dict[StorageClass, st.SearchStrategy[int | float | bytes]] = {
        StorageClass.INTEGER: st.sampled_from(INTEGER_EDGES)
        | near
        | st.integers(-(2**63), 2**63 - 1)
        | st.integers(0, 1),
        StorageClass.REAL: st.sampled_from(REAL_EDGES) | reals | near.map(lambda number: number / 1000),
        StorageClass.TEXT: texts,
        StorageClass.BLOB: texts | st.binary(max_size=17) | st.uuids().map(lambda uuid: uuid.bytes),
    }
    return {kind: strategy.map(partial(Cell, kind)) for kind, strategy in values.items()}


MIXTURES = [*([kind] for kind in ARROW), [StorageClass.INTEGER, StorageClass.REAL], list(ARROW)]


@st.composite
def columns_for(draw: st.DrawFn, target: PgType) -> list[Cell]:
    """Cells of one column: of one storage class or of several, with or without NULL and what the target refuses."""
    cells = cells_for(target)
    classes = draw(st.sampled_from(MIXTURES))
    found = draw(st.lists(st.one_of([cells[kind] for kind in classes]), min_size=1, max_size=9))
    if draw(st.booleans()):
        found = [cell for cell in found if isinstance(convert(cell, target), Converted)]
    if draw(st.booleans()):
        found.insert(draw(st.integers(0, len(found))), NULL)
    if found and draw(st.integers(0, 3)) == 0:
        found = found + [draw(st.sampled_from(found))] * draw(st.integers(1, 40))
    return found


def convert(cell: Cell, target: PgType, reading: Reading = PLAIN_READING) -> Converted | Refused:
    """The specification."""
    return convert_value(cell.value, cell.storage, target, reading)


# --- columns of cells ----------------------------------------------------------------------------------------------


def array_of(storage: StorageClass, values: list[object]) -> pa.Array:
    """An array as the reader makes it: text is not checked to be UTF-8."""
    if storage is not StorageClass.TEXT:
        return pa.array(values, ARROW[storage])
    array = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(array), array.buffers())


def split(cells: list[Cell]) -> SplitColumn:
    """The column read as four."""
    arrays = [array_of(kind, [cell.value if cell.storage is kind else None for cell in cells]) for kind in ARROW]
    return SplitColumn(*arrays)


def plain(cells: list[Cell]) -> PlainColumn | None:
    """The column read as it is, where the reader could prove its storage class."""
    kinds = {cell.storage for cell in cells} - {StorageClass.NULL}
    if len(kinds) <= 1:
        kind = next(iter(kinds), StorageClass.INTEGER)
        return PlainColumn(array_of(kind, [cell.value for cell in cells]))
    values = [cell.value for cell in cells]
    if kinds != {StorageClass.INTEGER, StorageClass.REAL}:
        return None
    for cell in cells:
        if isinstance(cell.value, float) and (cell.value.is_integer() or abs(cell.value) >= 2**53):
            return None
        if isinstance(cell.value, int) and abs(cell.value) >= 2**53:
            return None
    doubles = [None if value is None else float(value) for value in values if not isinstance(value, bytes)]
    return PlainColumn(pa.array(doubles, pa.float64()), integral_is_integer=True)


def sliced(values: SourceValues, before: int, after: int) -> SourceValues:
    """The same column without its first and last cells, as a view."""
    if isinstance(values, PlainColumn):
        array = values.array
        return PlainColumn(array.slice(before, len(array) - before - after), values.integral_is_integer)
    four = (values.integers, values.reals, values.texts, values.blobs)
    return SplitColumn(*(array.slice(before, len(array) - before - after) for array in four))


def coerce(
    values: SourceValues, count: int, target: PgType, reading: Reading = PLAIN_READING
) -> tuple[pa.Array, dict[str, int]]:
    """The converted column and how many cells each rule changed."""
    column = SourceColumn("c", "", Affinity.BLOB)
    table = TablePlan(SourceTable("t", (column,)), "t", (ColumnPlan(column, "c", target, reading=reading),))
    page = SourcePage(0, count, (values,), ("rowid",), (pa.array(range(count), pa.int64()),), 0)
    result = coerce_page(page, table)
    assert all(len(coercion.samples) == min(5, coercion.count) for coercion in result.coercions)
    return result.batch.column(0), {coercion.rule: coercion.count for coercion in result.coercions}


def assert_agrees(
    values: SourceValues,
    cells: list[Cell],
    target: PgType,
    refusal_count: int = REFUSAL_COUNT,
    reading: Reading = PLAIN_READING,
) -> None:
    """The vector rules do to the column what the specification does to its cells."""
    outcomes = [convert(cell, target, reading) for cell in cells]
    refused = [
        (f"rowid={row}", cells[row].storage, outcome.reason)
        for row, outcome in enumerate(outcomes)
        if isinstance(outcome, Refused)
    ]
    if refused:
        with pytest.raises(RefusedValueError) as caught:
            coerce(values, len(cells), target, reading)
        found = [(refusal.key, refusal.storage, refusal.reason) for refusal in caught.value.refusals]
        assert found == refused[:refusal_count]
        return
    array, rules = coerce(values, len(cells), target, reading)
    array.validate(full=True)
    expected = pa.array([outcome.value for outcome in outcomes if isinstance(outcome, Converted)], array.type)
    assert array.type == target_arrow_type(target)
    assert bits(array) == bits(expected)
    assert rules == Counter(outcome.rule for outcome in outcomes if isinstance(outcome, Converted) and outcome.rule)


def bits(array: pa.Array) -> list[object]:
    """Cells that differ where the values differ in anything: -0.0 is not 0.0, 1.50 is not 1.5."""
    if pa.types.is_floating(array.type):
        return [None if value is None else struct.pack("<d", value) for value in array.to_pylist()]
    if pa.types.is_temporal(array.type):
        return [cell.value for cell in array]
    return [None if value is None else str(value) for value in array.to_pylist()]


# --- the tests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS, ids=str)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_vector_rules_agree_with_the_specification(target: PgType, data: st.DataObject) -> None:
    """Every storage class and target, plain and split, whole and sliced: same outcome, value, rule, count."""
    cells = data.draw(columns_for(target))
    before, after = data.draw(st.integers(0, min(9, len(cells)))), data.draw(st.integers(0, 2))
    for read in (split(cells), plain(cells)):
        if read is None:
            continue
        assert_agrees(read, cells, target)
        if before + after < len(cells):
            inner = cells[before : len(cells) - after]
            assert_agrees(sliced(read, before, after), inner, target)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_vector_rules_agree_on_every_edge(target: PgType) -> None:
    """Each edge value alone, and all that convert together in one column, as every storage class that can hold it."""
    texts = [text.encode() for text in TEXT_EDGES] + BYTE_EDGES
    cells = [
        *(Cell(StorageClass.INTEGER, value) for value in INTEGER_EDGES),
        *(Cell(StorageClass.REAL, value) for value in REAL_EDGES),
        *(Cell(StorageClass.TEXT, value) for value in texts),
        *(Cell(StorageClass.BLOB, value) for value in texts),
    ]
    for cell in cells:
        assert_agrees(PlainColumn(array_of(cell.storage, [cell.value])), [cell], target)
    kept = [cell for cell in cells if isinstance(convert(cell, target), Converted)]
    assert_agrees(split([NULL, *kept]), [NULL, *kept], target)
    for kind in ARROW:
        same = [cell for cell in kept if cell.storage is kind]
        assert_agrees(PlainColumn(array_of(kind, [cell.value for cell in same])), same, target)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_no_rows_and_only_nulls_convert_to_the_target_type(target: PgType) -> None:
    """An empty page and an all-null column have the type of the target, whatever the reader called them."""
    for kind in ARROW:
        for cells in ([], [NULL] * 9):
            assert_agrees(PlainColumn(array_of(kind, [cell.value for cell in cells])), cells, target)
            assert_agrees(split(cells), cells, target)


SPECIMENS = {
    "date": ["2024-02-28", "2024-12-31 00:00:00", "2024-12-31T00:00:00Z"],
    "timestamp": ["2024-02-28 23:58", "2024-02-28T23:58:57", "2024-02-28 23:58:57.123456", "2024-02-28T23:58:57.1Z"],
    "timestamptz": ["2024-02-28 23:58:57.123456+05:30", "2024-02-28T23:58:57-1330", "2024-02-28 23:58+09"],
    "time": ["23:58", "23:58:57", "23:58:57.123456"],
    "uuid": ["6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff", "6F1C2A9E0B1D4C3E9F00AABBCCDDEEFF"],
    "bigint": ["-1234567890", "9223372036854775807"],
    "double precision": ["-12.5", "100"],
    "numeric": ["-12.50", "100", "0.5", "0"],
    "boolean": ["true", "NO", "1"],
    "jsonb": ['{"a":1}', '[{"a":"b:c"},{"e-":1e-5}]', '{"k":"\\u00e9"}'],
    "json": ['{"a":[1.5]}'],
}


@pytest.mark.parametrize("target", [target for target in TARGETS if target.name in SPECIMENS], ids=str)
def test_one_wrong_byte_among_clean_neighbours_is_seen(target: PgType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every byte of a clean text replaced, doubled and dropped, in one page with the clean text itself."""
    monkeypatch.setattr(columns, "REFUSAL_COUNT", 10**6)
    for specimen in SPECIMENS[target.name]:
        clean = specimen.encode()
        spoilt = {
            clean[:place] + middle + clean[place + dropped :]
            for place in range(len(clean) + 1)
            for dropped in (0, 1)
            for middle in (b"", *(bytes([byte]) for byte in b'0159 -+:./TZabfgAFG@`{}[]"\\\x00\xff\xe9\n'))
        }
        cells = [Cell(StorageClass.TEXT, text) for text in [clean, *sorted(spoilt)]]
        good = [cell for cell in cells if isinstance(convert(cell, target), Converted)]
        for some in (cells, good):
            assert_agrees(PlainColumn(array_of(StorageClass.TEXT, [cell.value for cell in some])), some, target, 10**6)
