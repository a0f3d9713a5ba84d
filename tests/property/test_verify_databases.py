"""Random tables that PostgreSQL read from the same values by itself raise no objection; one changed cell does."""

from __future__ import annotations

import asyncio
import json
import struct
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.model import Verdict, VerifiedTable
from tests.verifying import Specimen, verify

Pair = tuple[Any, str]  # what SQLite stores, and the text that PostgreSQL reads


def written(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Pair]:
    return values.map(lambda value: (value, str(value)))


def plain(value: float) -> str:
    """The shortest decimal; a whole number is stored as INTEGER, with all digits that the double has."""
    if value.is_integer() and abs(value) < 2**63:
        return str(int(value))
    return f"{Decimal(repr(value)):f}".removesuffix(".0")


FINITE = st.floats(allow_nan=False, allow_infinity=False)
SINGLES = st.floats(width=32, allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
ZONES = st.sampled_from(["Z", "+02:00", "-0330", "+14", " UTC"])
DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), FINITE, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
).map(lambda document: json.dumps(document, ensure_ascii=False))

KINDS: dict[tuple[str, str], st.SearchStrategy[Pair]] = {
    ("integer", "bigint"): written(st.integers(-(2**63), 2**63 - 1)),
    ("smallint", "smallint"): written(st.integers(-(2**15), 2**15 - 1)),
    ("text", "bigint"): st.integers(-(2**63), 2**63 - 1).map(lambda n: (f" {n} ", str(n))),
    ("real", "double precision"): FINITE.map(lambda v: (v + 0.0, repr(v + 0.0))),
    ("", "double precision"): FINITE.map(lambda v: (v, repr(v))),
    ("real", "real"): SINGLES.map(lambda v: (v + 0.0, repr(struct.unpack("f", struct.pack("f", v + 0.0))[0]))),
    ("decimal(12,3)", "numeric(12,3)"): st.one_of(
        written(st.integers(-(10**9) + 1, 10**9 - 1)), st.floats(-9e8, 9e8).map(lambda v: (v, repr(v)))
    ),
    ("decimal", "numeric"): st.one_of(FINITE.map(lambda v: (v, plain(v))), written(st.integers(-(2**62), 2**62))),
    ("boolean", "boolean"): st.sampled_from([(0, "false"), (1, "true"), ("Yes", "true"), ("f", "false")]),
    ("date", "date"): written(st.dates().map(str)),
    ("datetime", "timestamp"): st.datetimes().map(lambda moment: (moment.isoformat(" "), str(moment))),
    ("datetime", "timestamptz"): st.tuples(st.datetimes(), ZONES).map(
        lambda pair: (pair[0].isoformat() + pair[1], str(pair[0]) + pair[1])
    ),
    ("time", "time"): written(st.times().map(str)),
    ("text", "text"): written(TEXT),
    ("varchar(12)", "varchar(12)"): written(TEXT),
    ("char(12)", "char(12)"): written(TEXT.map(lambda text: text.rstrip(" "))),
    ("", "text"): st.one_of(written(TEXT), written(st.integers(-(2**63), 2**63 - 1)), written(FINITE)),
    ("json", "jsonb"): DOCUMENTS.filter(lambda text: not text[0].isdigit() and text[0] != "-").map(lambda t: (t, t)),
    ("json", "json"): DOCUMENTS.filter(lambda text: not text[0].isdigit() and text[0] != "-").map(lambda t: (t, t)),
    ("text", "uuid"): st.uuids().flatmap(
        lambda value: st.sampled_from([str(value), value.hex.upper(), f"{{{value}}}"]).map(lambda text: (text, text))
    ),
    ("blob", "bytea"): st.binary(max_size=20).map(lambda value: (value, "\\x" + value.hex())),
    ("blob", "uuid"): st.uuids().map(lambda value: (value.bytes, str(value))),
}  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> tuple[Specimen, list[tuple[Pair, ...]]]:
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=6))
    columns = tuple((f"c{place}", declared, kind) for place, (declared, kind) in enumerate(kinds))
    cell = [st.one_of(KINDS[kind], st.just((None, None))) for kind in kinds]
    rows = draw(st.lists(st.tuples(*cell), max_size=25))
    return Specimen("t", columns), rows


@settings(max_examples=150, deadline=None)
@given(table=tables(), order=st.randoms(use_true_random=False), damage=st.integers(0, 10**9))
def test_no_false_alarm_and_no_missed_row(server_dsn: str, table: Any, order: Any, damage: int) -> None:
    """Shuffled rows are equal with equal sums; after one row was taken away they are not."""
    specimen, rows = table
    with asyncio.Runner() as runner:
        whole, damaged = runner.run(compare(server_dsn, specimen, rows, order, damage))
    assert whole.differences == ()
    assert whole.verdict is Verdict.EQUAL
    assert whole.source_checksum == whole.target_checksum
    assert (whole.source_rows, whole.target_rows) == (len(rows), len(rows))
    if rows:
        assert damaged.difference_counts == {"missing": 1}
        assert damaged.target_checksum != whole.target_checksum


async def compare(
    dsn: str, specimen: Specimen, rows: list[tuple[Pair, ...]], order: Any, damage: int
) -> tuple[VerifiedTable, VerifiedTable]:
    shuffled = list(rows)
    order.shuffle(shuffled)
    target = await asyncpg.connect(dsn)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = specimen.create_source(Path(folder) / "s.db", [[stored for stored, _ in row] for row in rows])
            await specimen.create_target(target, [tuple(text for _, text in row) for row in shuffled])
            whole = await verify(path, target, specimen.plan)
            await target.execute(
                "delete from t where ctid in (select ctid from t offset $1 limit 1)", damage % max(len(rows), 1)
            )
            return whole, await verify(path, target, specimen.plan)
    finally:
        await target.execute("drop table if exists t")
        await target.close()
