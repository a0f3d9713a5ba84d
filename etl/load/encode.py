"""Encode a page of target values as one binary COPY stream.

Invariant: the table of pairs (Arrow type, PostgreSQL type) is closed: a pair outside it is refused, because the
encoder would otherwise send what the server misreads (an int64 for a numeric arrives as 0.00000).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

import pgpq
import pyarrow as pa
from pgpq.schema import Jsonb

from etl.errors import PlanError
from etl.load.csv_text import write_csv
from etl.load.fixed_rows import FixedRows, fixed_rows
from etl.load.large_cells import large_columns, spliced, with_empty_cells
from etl.model import PgType, Slice, TablePlan, TargetPage

TRAILER = b"\xff\xff"
MESSAGE_BYTES = 1 << 20  # a CopyData message over 1 GB makes the server hang up, and asyncpg wait for ever
NUMERIC_BASE = 10_000
NUMERIC_NEGATIVE = 0x4000
NUMERIC_INFINITY = 0xD000  # both from PostgreSQL 14
NUMERIC_NEGATIVE_INFINITY = 0xF000

# Arrow type → PostgreSQL types that its encoder's bytes are right for
ENCODABLE: dict[str, frozenset[str]] = {
    "bool": frozenset({"boolean"}),
    "int16": frozenset({"smallint"}),
    "int32": frozenset({"integer"}),
    "int64": frozenset({"bigint"}),
    "float": frozenset({"real"}),
    "double": frozenset({"double precision"}),
    "decimal128": frozenset({"numeric"}),
    "date32[day]": frozenset({"date"}),
    "time64[us]": frozenset({"time"}),
    "timestamp[us]": frozenset({"timestamp"}),
    "timestamp[us, tz=UTC]": frozenset({"timestamptz"}),
    "string": frozenset({"text", "varchar", "char", "citext", "json", "jsonb"}),
    "fixed_size_binary[16]": frozenset({"uuid"}),
    "binary": frozenset({"bytea"}),
}
# Types whose binary form nobody here writes (or should: in it, XML is read in the encoding that its declaration names):
TEXT_COPIED = frozenset(
    {"interval", "timetz", "inet", "cidr", "macaddr", "macaddr8", "money", "bit", "varbit", "xml"}
    | {"int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"}
)


class TableEncoder:
    """Encodes the pages of one table."""

    def __init__(self, table: TablePlan) -> None:
        self._types = tuple(sent_as(column.type) for column in table.columns)
        self._table = table
        # the same for nearly all pages, and dear to make
        self._encoders: dict[tuple[pa.Schema, pa.Schema], pgpq.ArrowToPostgresBinaryEncoder] = {}
        self._fixed: dict[tuple[pa.Schema, pa.Schema], FixedRows | None] = {}
        self._as_csv = any(is_text_copied(target) for target in self._types)

    def encode_page(self, page: TargetPage) -> Slice:
        """The rows of the page as they stand in a COPY stream, without its header and trailer, in messages of 1 MB."""
        if self._as_csv:
            text = write_csv(page.batch)
            return replace(self._slice(page, (text,), "csv"), breaks_lines=text.count(b"\n") != page.row_count)
        batch = wire_batch(page.batch, self._types)
        columns = large_columns(batch)
        if not columns:
            return self._slice(page, (self._encode(page, batch),), "binary")
        stream = self._encode(page, with_empty_cells(batch, columns))
        return self._slice(page, spliced(stream, columns, batch.num_columns), "binary")

    def _encode(self, page: TargetPage, batch: pa.RecordBatch) -> bytes | memoryview:
        """The rows of the batch in the stream's binary form."""
        schemas = page.batch.schema, batch.schema
        if schemas not in self._fixed:
            self._fixed[schemas] = fixed_rows(batch.schema)
            self._encoders[schemas] = self._new_encoder(*schemas)  # which refuses what the table does not know
        fixed = self._fixed[schemas]
        if fixed is not None and fixed.takes(batch):
            return fixed.stream(batch)
        encoder = self._encoders.pop(schemas, None) or self._new_encoder(*schemas)
        rows: bytes = encoder.write_batch(batch)
        if rows:  # all of them; what is less than a megabyte it keeps back until it is finished
            self._encoders[schemas] = encoder
            return rows
        rest = encoder.finish()
        return memoryview(rest)[: len(rest) - len(TRAILER)]

    @staticmethod
    def _slice(page: TargetPage, parts: Iterable[bytes | memoryview], form: Literal["binary", "csv"]) -> Slice:
        return Slice(
            number=page.number,
            row_count=page.row_count,
            chunks=tuple(message for part in parts for message in messages(part)),
            first_key=page.first_key,
            last_key=page.last_key,
            source_bytes=page.source_bytes,
            rejected=page.rejected,
            format=form,
        )

    def _new_encoder(self, planned: pa.Schema, sent: pa.Schema) -> pgpq.ArrowToPostgresBinaryEncoder:
        """An encoder for batches of the schema ``sent``, whose columns are of the Arrow types ``planned``."""
        builders = {
            field.name: builder(field, planned.field(index).type, target, self._table.name)
            for index, (field, target) in enumerate(zip(sent, self._types, strict=True))
        }
        encoder = pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(sent, builders)
        encoder.write_header()  # once for all; a stream begins with one of our own
        return encoder


def sent_as(target: PgType) -> PgType:
    """The type whose bytes a column takes: of a domain the type under it, of an enum text."""
    while target.base is not None and not target.name.endswith("[]"):
        target = target.base
    return PgType("text") if target.labels else target


def is_text_copied(target: PgType) -> bool:
    """Whether values of the type travel as its input text: those of the list, and arrays."""
    return target.name in TEXT_COPIED or target.name.endswith("[]")


def builder(field: pa.Field, arrow_type: pa.DataType, target: PgType, table: str) -> Any:
    """The encoder of one column; raises PlanError for a pair outside the table."""
    if is_packed_numeric(arrow_type, target):
        return pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(field)
    name = "decimal128" if pa.types.is_decimal128(arrow_type) else str(arrow_type)
    if target.name not in ENCODABLE.get(name, frozenset()):
        raise PlanError(
            f"{table}.{field.name}: no encoder writes Arrow {arrow_type} as PostgreSQL {target}",
            f"choose another type with --cast '{table}.{field.name}=text'",
        )
    if target.name == "jsonb":
        return pgpq._pgpq.StringEncoderBuilder.new_with_output(field, Jsonb())
    return pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(field)


def wire_batch(batch: pa.RecordBatch, types: tuple[PgType, ...]) -> pa.RecordBatch:
    """Replace the digits of unconstrained numerics by the server's binary form, and name columns by their place.

    Names of their own, since the encoder looks its builders up by name.
    """
    columns = [
        pack_numerics(array) if is_packed_numeric(array.type, target) else array
        for array, target in zip(batch.columns, types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=[f"c{index}" for index in range(len(columns))])


def is_packed_numeric(arrow_type: pa.DataType, target: PgType) -> bool:
    """decimal128 pads to its scale, but an unconstrained numeric keeps 1.5 as 1.5: its digits travel as text."""
    return target.name == "numeric" and pa.types.is_string(arrow_type)


def pack_numerics(digits: pa.Array) -> pa.Array:
    return pa.array([None if text is None else pack_numeric(text) for text in digits.to_pylist()], pa.binary())


def pack_numeric(text: str) -> bytes:
    """Decimal digits as numeric_send writes them: ndigits, weight, sign, dscale, then base-10000 digits."""
    value = Decimal(text)
    if not value.is_finite():
        return numeric_header(0, 0, NUMERIC_NEGATIVE_INFINITY if value < 0 else NUMERIC_INFINITY, 0)
    sign, digits, exponent = value.as_tuple()
    scale = max(0, -int(exponent))
    number = "".join(map(str, digits)) + "0" * max(0, int(exponent))
    whole, fraction = (number[:-scale], number[-scale:]) if scale else (number, "")
    if len(number) < scale:
        whole, fraction = "", number.rjust(scale, "0")
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    fraction = fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    groups = [int(piece) for piece in fours(whole + fraction)]
    weight = len(whole) // 4 - 1
    while groups and groups[0] == 0:
        groups.pop(0)
        weight -= 1
    while groups and groups[-1] == 0:
        groups.pop()
    if not groups:
        weight, sign = 0, 0
    body = b"".join(group.to_bytes(2, "big") for group in groups)
    return numeric_header(len(groups), weight, NUMERIC_NEGATIVE if sign else 0, scale) + body


def numeric_header(group_count: int, weight: int, sign: int, scale: int) -> bytes:
    return b"".join(
        (
            group_count.to_bytes(2, "big"),
            weight.to_bytes(2, "big", signed=True),
            sign.to_bytes(2, "big"),
            scale.to_bytes(2, "big"),
        )
    )


def fours(text: str) -> list[str]:
    return [text[start : start + 4] for start in range(0, len(text), 4)]


def messages(part: bytes | memoryview) -> list[memoryview]:
    """Views of at most 1 MB: a blob of 500 MB is not copied once more."""
    view = memoryview(part)
    return [view[start : start + MESSAGE_BYTES] for start in range(0, len(view), MESSAGE_BYTES)]
