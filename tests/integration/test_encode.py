"""What the encoder writes, PostgreSQL reads as meant: read back as text, compared with hand-written expectations."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import asyncpg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.errors import PlanError
from etl.load import encode
from etl.load.connect import quote
from etl.load.copy import HEADER, TRAILER
from etl.load.encode import ENCODABLE, MESSAGE_BYTES, TableEncoder, pack_numeric
from etl.model import Affinity, ColumnPlan, PgType, SourceColumn, SourceTable, TablePlan, TargetPage
from etl.transform.rows import arrow_types


def plan_of(*types: PgType) -> TablePlan:
    columns = tuple(ColumnPlan(SourceColumn(f"c{i}", "", Affinity.BLOB), f"c{i}", kind) for i, kind in enumerate(types))
    return TablePlan(SourceTable("t", ()), "t", columns)


def page_of(*arrays: pa.Array) -> TargetPage:
    batch = pa.RecordBatch.from_arrays(list(arrays), names=[f"c{i}" for i in range(len(arrays))])
    return TargetPage(0, batch.num_rows, batch, (), "rowid=1", f"rowid={batch.num_rows}", 0)


async def copied(dsn: str, types: list[PgType], arrays: list[pa.Array]) -> list[list[str | None]]:
    """COPY the page into a table of these types and read every value back as the server prints it."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("set timezone = 'UTC'; set datestyle = 'ISO'; set bytea_output = 'hex'")
        declared = ", ".join(f"c{i} {kind}" for i, kind in enumerate(types))
        await connection.execute(f"create temp table t ({declared})")

        async def chunks() -> Any:
            for chunk in (HEADER, *piece.chunks, TRAILER) if piece.format == "binary" else piece.chunks:
                yield chunk

        piece = TableEncoder(plan_of(*types)).encode_page(page_of(*arrays))
        await connection.copy_to_table("t", source=chunks(), format=piece.format)
        printed = ", ".join(f"{quote(f'c{i}')}::text" for i in range(len(types)))
        return [list(row) for row in await connection.fetch(f"select {printed} from t")]
    finally:
        await connection.close()


TS = pa.timestamp("us")
TSTZ = pa.timestamp("us", "UTC")
CASES: list[tuple[PgType, pa.Array, list[str]]] = [
    (PgType("boolean"), pa.array([True, False]), ["true", "false"]),
    (PgType("smallint"), pa.array([-(2**15), 2**15 - 1], pa.int16()), ["-32768", "32767"]),
    (PgType("integer"), pa.array([-(2**31), 2**31 - 1], pa.int32()), ["-2147483648", "2147483647"]),
    (PgType("bigint"), pa.array([-(2**63), 2**63 - 1]), ["-9223372036854775808", "9223372036854775807"]),
    (PgType("real"), pa.array([0.5, -1.5], pa.float32()), ["0.5", "-1.5"]),
    (PgType("double precision"), pa.array([0.1, 5e-324]), ["0.1", "5e-324"]),
    (PgType("double precision"), pa.array([float("-inf"), -0.0]), ["-Infinity", "-0"]),
    (
        PgType("numeric", 10, 2),
        pa.array([Decimal("-1.05"), Decimal("99999999.99")], pa.decimal128(10, 2)),
        ["-1.05", "99999999.99"],
    ),
    (PgType("numeric"), pa.array(["1.5", "-0.00012300"]), ["1.5", "-0.00012300"]),
    (PgType("date"), pa.array([2932896, -719162], pa.int32()).cast(pa.date32()), ["9999-12-31", "0001-01-01"]),
    (PgType("time"), pa.array([0, 86_399_999_999]).cast(pa.time64("us")), ["00:00:00", "23:59:59.999999"]),
    (
        PgType("timestamp"),
        pa.array([253402300799999999, -1]).cast(TS),
        ["9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"],
    ),
    (
        PgType("timestamptz"),
        pa.array([0, -62135596800000000]).cast(TSTZ),
        ["1970-01-01 00:00:00+00", "0001-01-01 00:00:00+00"],
    ),
    (PgType("text"), pa.array(["", "é\U0001f600\ufffd"]), ["", "é\U0001f600\ufffd"]),
    (PgType("varchar", length=3), pa.array(["a  ", "äöü"]), ["a  ", "äöü"]),
    (PgType("json"), pa.array(['{"b":1,  "a":2}', "1e5"]), ['{"b":1,  "a":2}', "1e5"]),
    (PgType("jsonb"), pa.array(['{"b":1,  "a":2}', "1e5"]), ['{"a": 2, "b": 1}', "100000"]),
    (
        PgType("uuid"),
        pa.array([bytes(range(16)), b"\xff" * 16], pa.binary(16)),
        ["00010203-0405-0607-0809-0a0b0c0d0e0f", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    ),
    (PgType("bytea"), pa.array([b"", b"\x00\xff"], pa.binary()), ["\\x", "\\x00ff"]),
]


@pytest.mark.parametrize(("kind", "array", "printed"), CASES, ids=[str(case[0]) for case in CASES])
async def test_each_pair_of_types_arrives_as_meant(
    database_dsn: str, kind: PgType, array: pa.Array, printed: list[str]
) -> None:
    """Values at the edges, and a NULL between them."""
    with_null = pa.concat_arrays([array[:1], pa.nulls(1, array.type), array[1:]])
    rows = await copied(database_dsn, [kind], [with_null])
    assert [row[0] for row in rows] == [printed[0], None, printed[1]]


def test_every_type_of_the_table_is_tried() -> None:
    """A pair that is added without a case here fails."""
    alike = {"char", "citext"}  # sent as text is
    assert {case[0].name for case in CASES} | alike == set().union(*ENCODABLE.values())


def test_a_pair_outside_the_table_is_refused() -> None:
    """The encoder would write an int64 into a numeric as 0.00000."""
    with pytest.raises(PlanError, match=r"no encoder writes Arrow int64 as PostgreSQL numeric\(10,2\)") as raised:
        TableEncoder(plan_of(PgType("numeric", 10, 2))).encode_page(page_of(pa.array([1])))
    assert "--cast" in str(raised.value.hint)


CSV_NEIGHBOURS = [case for case in CASES if case[0].name not in {"date", "timestamp", "timestamptz"}]


async def test_a_column_copied_as_text_takes_its_neighbours_along(database_dsn: str) -> None:
    """An inet sends the whole table as CSV, and every other type still arrives as meant, NULL and '' apart."""
    inet = pa.array(["10.0.0.1", None, "::1/64"])
    types = [PgType("inet"), *(case[0] for case in CSV_NEIGHBOURS)]
    arrays = [inet, *(pa.concat_arrays([a[:1], pa.nulls(1, a.type), a[1:]]) for _, a, _ in CSV_NEIGHBOURS)]
    rows = await copied(database_dsn, types, arrays)
    assert [row[0] for row in rows] == ["10.0.0.1/32", None, "::1/64"]
    for place, (kind, _, printed) in enumerate(CSV_NEIGHBOURS, start=1):
        assert [row[place] for row in rows] == [printed[0], None, printed[1]], kind


async def test_dates_beside_a_column_copied_as_text_keep_their_microseconds(database_dsn: str) -> None:
    """The usual years as Arrow prints them, and all others that the types have."""
    types = [PgType("interval"), PgType("timestamp"), PgType("timestamptz"), PgType("date")]
    arrays = [
        pa.array(["1 day 02:03:04.5"]),
        pa.array([-1]).cast(TS),
        pa.array([253402300799999999]).cast(TSTZ),
        pa.array([-719162], pa.int32()).cast(pa.date32()),
    ]
    (row,) = await copied(database_dsn, types, arrays)
    assert row == ["1 day 02:03:04.5", "1969-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999+00", "0001-01-01"]
    arrays[1] = pa.array([253402300800000000]).cast(TS)
    arrays[2] = pa.array([-62135596800000001]).cast(TSTZ)
    arrays[3] = pa.array([-719163 - 1_721_425], pa.int32()).cast(pa.date32())
    (row,) = await copied(database_dsn, types, arrays)
    assert row[1:] == ["10000-01-01 00:00:00", "0001-12-31 23:59:59.999999+00 BC", "4714-11-24 BC"]


async def test_a_large_value_is_cut_into_messages(database_dsn: str) -> None:
    """A CopyData message of over 1 GB makes the server hang up: none is over 1 MB."""
    large = pa.array([b"\x01" * (3 * MESSAGE_BYTES + 5)], pa.binary())
    piece = TableEncoder(plan_of(PgType("bytea"))).encode_page(page_of(large))
    assert max(map(len, piece.chunks)) <= MESSAGE_BYTES
    ((text,),) = await copied(database_dsn, [PgType("bytea")], [large])
    assert text == "\\x" + "01" * len(large[0].as_py())


digits = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.integers(-(10**40), 10**40).map(Decimal),
    st.sampled_from(
        [Decimal(text) for text in ("0", "0.0", "1000000", "10000", "9999", "0.0001", "0.00001", "1E+5", "1E-7")]
    ),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(
        digits.filter(lambda value: value.adjusted() < 1000 and value.as_tuple().exponent > -1000),
        min_size=1,
        max_size=50,
    )
)
def test_numerics_keep_every_digit_and_their_scale(server_dsn: str, values: list[Decimal]) -> None:
    """The server prints the digits that went in, trailing zeros included."""
    expected = [f"{value:f}" for value in values]
    rows = asyncio.run(copied(server_dsn, [PgType("numeric")], [pa.array(expected)]))
    assert [row[0] for row in rows] == [text if Decimal(text) else text.removeprefix("-") for text in expected]


def test_a_packed_numeric_is_what_the_documentation_says() -> None:
    """12345.678 is the groups 1, 2345 and 6780 with weight 1 and three decimals."""
    assert pack_numeric("12345.678") == bytes.fromhex("0003 0001 0000 0003 0001 0929 1a7c")


def test_transform_and_load_agree_on_what_travels_as_text() -> None:
    """The two stages may not import each other, and each needs the list."""
    assert encode.TEXT_COPIED == arrow_types.TEXT_COPIED
