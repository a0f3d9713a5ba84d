"""The guards that prove a storage class before a column is read plain, switched off: the load upcasts or loses.

Verification proves the storage classes by itself (etl/verify/source.py), so it objects to exactly those cells.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from etl.errors import ExitStatus
from etl.extract import leaf_pages, pages, proof, stored_values
from etl.extract.cell_texts import CellTexts
from etl.extract.pages import read_pages
from etl.extract.records import Rows
from etl.model import PlainColumn, SourcePage, TargetPage
from etl.options import Options
from etl.phases import loading, source_pages
from etl.pipeline import migrate
from etl.progress import SilentProgress
from etl.report import Report
from tests.fix_server import rows_of
from tests.fix_source import MakeSource

Patch = pytest.MonkeyPatch
BEYOND = 2**53 + 1  # the first integer that no double holds


def through_sqlite(patch: Patch) -> None:
    """No leaves: the driver's types are all that the load knows."""

    def read(file: Any, *rest: Any) -> AsyncGenerator[SourcePage, None]:
        return read_pages(*rest)

    patch.setattr(source_pages, "read_leaf_pages", read)


def believe_the_driver(patch: Patch) -> None:
    through_sqlite(patch)
    patch.setattr(pages, "prove_plain", lambda array, column, strict: PlainColumn(array))
    patch.setattr(pages, "never_proven", lambda column, strict: False)


def believe_any_double(patch: Patch) -> None:
    through_sqlite(patch)
    patch.setattr(proof, "below_2_53", lambda array: True)


def believe_any_text(patch: Patch) -> None:
    through_sqlite(patch)
    patch.setattr(proof, "holds_number_like", lambda array: False)


def believe_any_integer_in_a_double(patch: Patch) -> None:
    patch.setattr(stored_values, "EXACT_IN_DOUBLE", 2**62)


def take_reals_for_integers(patch: Patch) -> None:
    flags = stored_values.FLAGS.copy()
    flags[7] = stored_values.INTEGER
    patch.setattr(stored_values, "FLAGS", flags)


def end_texts_at_a_nul(patch: Patch) -> None:
    """As a C string ends."""
    gather: Callable[..., pa.Array] = CellTexts.array

    def cut(self: CellTexts, arrow_type: pa.DataType, *rest: Any) -> pa.Array:
        cells = gather(self, arrow_type, *rest)
        ends = [None if cell is None else cell.split(b"\0")[0] for cell in cells.view(pa.binary()).to_pylist()]
        return pa.array(ends, pa.binary()).view(arrow_type)

    patch.setattr(CellTexts, "array", cut)


class Guard(NamedTuple):
    """How it is switched off, the column v, its odd value in row 7, the value of the others, and flags."""

    switch_off: Callable[[Patch], None]
    declared: str
    cast: str | None
    odd: Any
    usual: Callable[[int], Any]
    flags: dict[str, Any] = {}


GUARDS = {
    "a real among texts without affinity": Guard(believe_the_driver, "", "text", 1e20, lambda n: f"word {n}"),
    "a real among texts": Guard(believe_any_text, "numeric", "text", 1e20, lambda n: f"word {n}"),
    "a large integer among reals": Guard(believe_any_double, "decimal", None, BEYOND, lambda n: n + 0.5),
    "a large integer among reals of a leaf": Guard(
        believe_any_integer_in_a_double, "decimal", None, BEYOND, lambda n: n + 0.5
    ),
    "a real of a leaf taken for an integer": Guard(
        take_reals_for_integers, "", "numeric", 7.5, lambda n: n
    ),
    "a text cut at its NUL": Guard(
        end_texts_at_a_nul, "text", None, "ab\0cd", lambda n: f"word {n}", {"nul": "strip"}
    ),
    "a text cut at its NUL, as bytes": Guard(end_texts_at_a_nul, "text", "bytea", "ab\0cd", lambda n: f"word {n}"),
    "a blob cut at its NUL": Guard(end_texts_at_a_nul, "blob", None, b"ab\0cd", lambda n: b"word"),
}  # fmt: skip


def run(guard: Guard, make_source: MakeSource, dsn: str) -> Report:
    """Move a table whose row 7 needs the guard."""
    rows = [(n, guard.odd if n == 7 else guard.usual(n)) for n in range(1, 40)]
    source = make_source(f"create table t (id integer primary key, v {guard.declared})", {"t": rows})
    casts = (f"t.v={guard.cast}",) if guard.cast else ()
    return asyncio.run(migrate(Options(source, dsn, casts=casts, **guard.flags), SilentProgress()))


@pytest.mark.parametrize("case", GUARDS)
def test_a_guard_switched_off_is_noticed(
    case: str, make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row and the column are named, and nothing is published."""
    GUARDS[case].switch_off(monkeypatch)
    report = run(GUARDS[case], make_source, database_dsn)
    assert report.status is ExitStatus.DIFFERENT
    assert [(one.kind, one.key, one.column) for table in report.verified for one in table.differences] == [
        ("different", "id=7", "v")
    ]
    assert rows_of(database_dsn, "select to_regclass('t')") == [(None,)]


@pytest.mark.parametrize("case", GUARDS)
@pytest.mark.parametrize("lane", ["leaves", "SQLite"])
def test_with_its_guard_the_value_arrives(
    lane: str, case: str, make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof that the test above fails for what it says."""
    if lane == "SQLite":
        through_sqlite(monkeypatch)
    assert run(GUARDS[case], make_source, database_dsn).status is ExitStatus.DONE


def skip_between_pages(patch: Patch) -> None:
    """A page of the key ranges begins one rowid too late."""
    through_sqlite(patch)
    bounds: Callable[..., str] = pages.Reading._range

    def late(self: pages.Reading, after: int | None) -> str:
        return bounds(self, None if after is None else after + 1)

    patch.setattr(pages.Reading, "_range", late)


def skip_between_leaf_pages(patch: Patch) -> None:
    """Every page of leaves but the first lacks its first row."""
    cut: Callable[..., Iterator[Rows]] = leaf_pages.cut_rows

    def late(rows: Rows, page_bytes: int) -> Iterator[Rows]:
        for part in cut(rows, page_bytes):
            yield part if part.rowids[0] == 1 else part.part(1, len(part.rowids))

    patch.setattr(leaf_pages, "cut_rows", late)


@pytest.mark.parametrize("skip", [skip_between_pages, skip_between_leaf_pages])
def test_a_row_skipped_between_two_pages_is_missing(
    skip: Callable[[Patch], None], make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The classical mistake of keyset paging: whole pages look right, and one row between them is in none."""
    rows = [(n, f"{n:0100d}") for n in range(1, 1001)]
    source = make_source("create table t (id integer primary key, v text)", {"t": rows})
    firsts: list[int] = []
    coerce = loading.coerce_page

    def noted(page: SourcePage, *rest: Any) -> TargetPage:
        firsts.append(int(page.keys[0][0].as_py()))
        return coerce(page, *rest)

    monkeypatch.setattr(loading, "coerce_page", noted)
    skip(monkeypatch)
    report = asyncio.run(migrate(Options(source, database_dsn, page_bytes=16 << 10), SilentProgress()))
    assert report.status is ExitStatus.DIFFERENT
    (table,) = report.verified
    assert len(firsts) > 2
    assert [(one.kind, one.key) for one in table.differences] == [("missing", f"id={key - 1}") for key in firsts[1:]]
