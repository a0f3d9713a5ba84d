"""Whole pages: their types, their keys, their account of what was coerced and what was refused."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pyarrow as pa
import pytest

from etl.errors import PlanError, RefusedValueError
from etl.model import (
    Affinity,
    ColumnPlan,
    PgType,
    PlainColumn,
    SourceColumn,
    SourcePage,
    SourceTable,
    SourceValues,
    SplitColumn,
    StorageClass,
    TablePlan,
    TargetPage,
)
from etl.transform.rows.columns import coerce_page, target_arrow_type
from etl.transform.rows.json_vectors import _read_together

ROWS = 16_384


def table_of(*targets: PgType, not_null: bool = False) -> TablePlan:
    """A table ``events`` with the columns ``c0``, ``c1`` … to be of these types, called ``t0`` … in the target."""
    columns = tuple(SourceColumn(f"c{number}", "", Affinity.NUMERIC) for number in range(len(targets)))
    plans = tuple(
        ColumnPlan(column, f"t{number}", target, not_null)
        for number, (column, target) in enumerate(zip(columns, targets, strict=True))
    )
    return TablePlan(SourceTable("events", columns), "target_events", plans)


def page_of(*columns: SourceValues, keys: tuple[pa.Array, ...] = (), names: tuple[str, ...] = ("rowid",)) -> SourcePage:
    """A page of these columns whose rows are called rowid=100, 101 … unless keys are given."""
    first = columns[0]
    count = len(first.array if isinstance(first, PlainColumn) else first.integers)
    return SourcePage(3, count, columns, names, keys or (pa.array(range(100, 100 + count)),), 1234)


def plain(values: list[object], type: pa.DataType | None = None) -> PlainColumn:  # noqa: A002
    """A column read as it is."""
    return PlainColumn(pa.array(values, type))


def raw_text(values: list[bytes | None]) -> pa.Array:
    """A string array that nobody has checked."""
    array = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(array), array.buffers())


def coerce(column: SourceValues, target: PgType) -> TargetPage:
    """A page of one column, converted."""
    return coerce_page(page_of(column), table_of(target))


def refusals(column: SourceValues, target: PgType) -> RefusedValueError:
    """The error of a page of one column."""
    with pytest.raises(RefusedValueError) as caught:
        coerce(column, target)
    return caught.value


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (PgType("smallint"), pa.int16()),
        (PgType("integer"), pa.int32()),
        (PgType("bigint"), pa.int64()),
        (PgType("real"), pa.float32()),
        (PgType("double precision"), pa.float64()),
        (PgType("numeric", 10, 2), pa.decimal128(10, 2)),
        (PgType("numeric", 38), pa.decimal128(38, 0)),
        (PgType("numeric", 39, 2), pa.string()),
        (PgType("numeric"), pa.string()),
        (PgType("boolean"), pa.bool_()),
        (PgType("date"), pa.date32()),
        (PgType("timestamp"), pa.timestamp("us")),
        (PgType("timestamptz"), pa.timestamp("us", "UTC")),
        (PgType("time"), pa.time64("us")),
        (PgType("varchar", length=9), pa.string()),
        (PgType("jsonb"), pa.string()),
        (PgType("uuid"), pa.binary(16)),
        (PgType("bytea"), pa.binary()),
    ],
    ids=str,
)
def test_every_type_has_the_array_that_its_encoder_takes(target: PgType, expected: pa.DataType) -> None:
    """The Arrow type follows from the PostgreSQL type alone, nulls included."""
    assert target_arrow_type(target) == expected
    assert coerce(plain([None, None], pa.int64()), target).batch.column(0).type == expected


def test_a_type_that_nobody_converts_to_is_an_error_of_the_plan() -> None:
    """Better no page than a wrong one."""
    with pytest.raises(PlanError, match="no conversion to polygon"):
        target_arrow_type(PgType("polygon"))


def test_a_page_keeps_its_number_its_keys_and_its_size() -> None:
    """What is not a value passes through; columns get the names of the target."""
    page = coerce_page(page_of(plain([1, 2]), plain(["a", "b"])), table_of(PgType("bigint"), PgType("text")))
    assert (page.number, page.row_count, page.source_bytes) == (3, 2, 1234)
    assert (page.first_key, page.last_key) == ("rowid=100", "rowid=101")
    assert page.batch.schema.names == ["t0", "t1"]
    assert page.coercions == ()


def test_keys_of_several_parts_are_written_as_literals() -> None:
    """Text is quoted, whatever bytes it holds; NULL is NULL."""
    keys = (raw_text([b"x\xff", "é\n".encode()]), pa.array([3, None]))
    page = coerce_page(page_of(plain([1, 2]), keys=keys, names=("id", "n")), table_of(PgType("bigint")))
    assert page.first_key == "id='x\\xff', n=3"
    assert page.last_key == "id='é\\n', n=NULL"


def test_rows_without_a_key_are_called_by_their_place() -> None:
    """A page without key columns still names its rows."""
    page = SourcePage(0, 2, (plain([1, 2]),), (), (), 0)
    assert coerce_page(page, table_of(PgType("bigint"))).last_key == "row 2 of page 1"


def test_a_page_without_rows_is_converted_to_nothing() -> None:
    """No row, no key, no complaint."""
    page = coerce(plain([], pa.string()), PgType("date"))
    assert (page.row_count, page.first_key, page.last_key) == (0, "", "")


def test_a_rule_counts_every_cell_and_shows_five() -> None:
    """The samples are the first rows, before as stored and after as PostgreSQL writes it."""
    page = coerce(plain([f"2024-01-{day:02d}" for day in range(1, 11)]), PgType("timestamp"))
    (coercion,) = page.coercions
    assert (coercion.column, coercion.rule, coercion.count, len(coercion.samples)) == ("c0", "date-to-timestamp", 10, 5)
    assert coercion.samples[0] == ("rowid=100", "'2024-01-01'", "2024-01-01 00:00:00")


@pytest.mark.parametrize(
    ("column", "target", "before", "after"),
    [
        (plain([1.005]), PgType("numeric", 10, 2), "1.005", "1.01"),
        (plain(["2024-01-01 10:00"]), PgType("timestamptz"), "'2024-01-01 10:00'", "2024-01-01 10:00:00+00"),
        (plain(["2024-01-01 00:00:00"]), PgType("date"), "'2024-01-01 00:00:00'", "2024-01-01"),
        (plain(["00:00:00.1234567"]), PgType("time"), "'00:00:00.1234567'", "00:00:00.123457"),
        (plain(["YES"]), PgType("boolean"), "'YES'", "true"),
        (plain(["a"]), PgType("bytea"), "'a'", "x'61'"),
        (plain([b"\x01" * 16]), PgType("uuid"), f"x'{'01' * 16}'", "01010101-0101-0101-0101-010101010101"),
        (plain([7]), PgType("text"), "7", "7"),
    ],
)
def test_a_sample_reads_like_the_value(column: PlainColumn, target: PgType, before: str, after: str) -> None:
    """Before is the source's literal, after is the target's spelling."""
    (coercion,) = coerce(column, target).coercions
    assert coercion.samples == (("rowid=100", before, after),)


def test_samples_of_a_split_column_come_in_the_order_of_the_rows() -> None:
    """A rule that several storage classes share has one account."""
    column = SplitColumn(
        pa.array([None, 1, None, 2]),
        pa.array([0.5, None, None, None]),
        pa.array([None] * 4, pa.string()),
        pa.array([None] * 4, pa.binary()),
    )
    page = coerce(column, PgType("text"))
    assert page.batch.column(0).to_pylist() == ["0.5", "1", None, "2"]
    (coercion,) = page.coercions
    assert [sample[0] for sample in coercion.samples] == ["rowid=100", "rowid=101", "rowid=103"]


def test_a_refusal_names_table_row_column_value_reason_and_hint() -> None:
    """Everything that a user needs to find the value and to get on."""
    error = refusals(plain(["12.50", "12,50"]), PgType("numeric", 10, 2))
    (refusal,) = error.refusals
    assert str(error) == "events.c0 (rowid=101): '12,50' is not numeric(10,2)"
    assert error.hint == "--cast events.c0=text, or correct the row in SQLite"
    assert (refusal.storage, refusal.value) == (StorageClass.TEXT, "'12,50'")


def test_the_first_twenty_refusals_of_each_column_are_told_in_row_order() -> None:
    """Fifty bad rows do not make fifty messages, and no column hides another."""
    page = page_of(plain(["x"] * 50), plain([1] * 49 + [2]))
    with pytest.raises(RefusedValueError) as caught:
        coerce_page(page, table_of(PgType("bigint"), PgType("boolean")))
    found = caught.value.refusals
    assert [refusal.column for refusal in found] == ["c0"] * 20 + ["c1"]
    assert [refusal.key for refusal in found[:2]] == ["rowid=100", "rowid=101"]


def test_a_null_in_a_not_null_column_is_refused() -> None:
    """NULL passes only where the target takes it."""
    page = page_of(plain([1, None]))
    assert coerce_page(page, table_of(PgType("bigint"))).batch.column(0).null_count == 1
    with pytest.raises(RefusedValueError, match=r"events.c0 \(rowid=101\): NULL in a column that is NOT NULL"):
        coerce_page(page, table_of(PgType("bigint"), not_null=True))


def test_a_whole_number_of_a_numeric_column_counts_as_the_integer_it_was() -> None:
    """SQLite stores 1.0 in a NUMERIC column as INTEGER 1: exact for boolean, where REAL 1.0 would be coerced."""
    column = PlainColumn(pa.array([1.0, 0.0, None]), integral_is_integer=True)
    assert coerce(column, PgType("boolean")).coercions == ()
    assert coerce(PlainColumn(column.array), PgType("boolean")).coercions[0].rule == "real-to-boolean"
    (refusal,) = refusals(PlainColumn(pa.array([2.0, 1.0]), integral_is_integer=True), PgType("boolean")).refusals
    assert (refusal.value, refusal.storage) == ("2", StorageClass.INTEGER)
    (refusal,) = refusals(PlainColumn(pa.array([1e9]), integral_is_integer=True), PgType("numeric", 4, 2)).refusals
    assert (refusal.value, refusal.storage) == ("1000000000", StorageClass.INTEGER)


def test_text_passes_without_a_copy() -> None:
    """A clean text column keeps the very buffer that the reader made."""
    array = pa.array(["é" * 50] * 1000)
    converted = coerce(PlainColumn(array), PgType("text")).batch.column(0)
    assert converted.buffers()[2].address == array.buffers()[2].address


def test_what_stands_outside_a_slice_is_not_looked_at() -> None:
    """A view on clean cells is clean, though its buffers hold a NUL and bad UTF-8 elsewhere."""
    array = raw_text([b"a\0", b"\xff", b"clean", b"\xe9"]).slice(2, 1)
    assert coerce(PlainColumn(array), PgType("text")).batch.column(0).to_pylist() == ["clean"]


def test_bytes_that_are_utf8_only_across_two_cells_are_refused() -> None:
    """Each cell is text by itself, or it is none."""
    error = refusals(PlainColumn(raw_text([b"\xc3", b"\xa9"])), PgType("text"))
    assert [refusal.reason for refusal in error.refusals] == [
        "'\\xc3' is not valid UTF-8",
        "'\\xa9' is not valid UTF-8",
    ]


def test_a_whole_page_of_timestamps_agrees_with_another_calendar() -> None:
    """16,384 instants of twenty centuries, in every spelling, against Python's datetime."""
    chance = random.Random(1)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    texts, expected = [], []
    for _ in range(ROWS):
        moment = datetime(1, 1, 2, tzinfo=UTC) + timedelta(microseconds=chance.randrange(315_000_000_000_000_000 // 5))
        moment = moment.replace(microsecond=chance.choice([0, moment.microsecond]))
        texts.append(moment.isoformat(chance.choice("T ")))
        expected.append((moment - epoch) // timedelta(microseconds=1))
    page = coerce(plain(list(texts)), PgType("timestamptz"))
    assert [cell.value for cell in page.batch.column(0)] == expected
    assert page.coercions == ()


def test_a_whole_page_of_dates_agrees_with_another_calendar() -> None:
    """Every day of 44 years and the days before and after each end of February."""
    days = [datetime(1999, 1, 1, tzinfo=UTC).date() + timedelta(days=day) for day in range(ROWS)]
    page = coerce(plain([str(day) for day in days]), PgType("date"))
    assert page.batch.column(0).to_pylist() == days


@pytest.mark.parametrize("scale", [0, 2, 4, 9])
def test_a_whole_page_of_reals_rounds_as_its_shortest_decimals_do(scale: int) -> None:
    """Random doubles, exact ones, ties and near ties, against the decimal module."""
    chance = random.Random(scale)
    unit = Decimal(1).scaleb(-scale)
    values = [
        *(chance.uniform(-1e6, 1e6) for _ in range(ROWS // 4)),
        *(chance.randrange(10**9) / 10**scale for _ in range(ROWS // 4)),
        *((chance.randrange(10**7) * 10 + 5) / 10 ** (scale + 1) for _ in range(ROWS // 4)),
        *((chance.randrange(10**15) * 10 + 5) / 10 ** (scale + 1) for _ in range(ROWS // 4)),
        *(float((chance.randrange(10**7) + Decimal("0.5")) * unit) * (1 + 2**-52) for _ in range(ROWS // 4)),
    ]
    page = coerce(plain(list(values)), PgType("numeric", 30, scale))
    expected = [Decimal(repr(value)).quantize(unit, ROUND_HALF_UP) for value in values]
    assert page.batch.column(0).to_pylist() == expected
    rounded = sum(Decimal(repr(value)) != quantized for value, quantized in zip(values, expected, strict=True))
    assert [(coercion.rule, coercion.count) for coercion in page.coercions] == [("rounded", rounded)]


def test_one_odd_cell_does_not_disturb_its_neighbours() -> None:
    """The odd cell goes through the specification and back to its own place."""
    texts = ["2024-01-01 10:00:00"] * 1000
    texts[500] = "2024-01-01 24:00:00"
    page = coerce(plain(list(texts)), PgType("timestamp"))
    values = [cell.value for cell in page.batch.column(0)]
    assert values[500] - values[499] == 14 * 3_600_000_000
    assert len(set(values)) == 2
    assert [(coercion.rule, coercion.count) for coercion in page.coercions] == [("hour-24", 1)]
    assert page.coercions[0].samples[0][0] == "rowid=600"


@pytest.mark.parametrize(
    "documents",
    [
        ['{"a": 1', '"b": 2}', '{"c": 3}'],
        ["[1", "2]", "3, 4"],
        ["1], [2", '{"a": 1}'],
        ['{"a": "x', 'y"}', '{"a": 1}'],
        ["", '{"a": 1}'],
        ['{"a": 1}, {"b": 2}', '{"c": 3}'],
    ],
)
def test_documents_that_are_json_only_together_are_told_apart(documents: list[str]) -> None:
    """Reading many documents at once must not let one lean on its neighbour."""
    assert _read_together([document.encode() for document in documents]) is None
    assert _read_together([b'{"a": 1}', b' {"b": [2, 3]} ', b"7"]) == [{"a": 1}, {"b": [2, 3]}, 7]
