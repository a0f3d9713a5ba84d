"""The reader of leaves is not trusted: verification reads through SQLite and objects to whatever it got wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from etl.errors import ExitStatus
from etl.extract import leaf_pages, stored_values
from etl.extract.cell_texts import CellTexts
from etl.extract.database_file import DatabaseFile, PageNumbers
from etl.extract.records import Rows
from etl.options import Options
from etl.pipeline import migrate
from etl.progress import SilentProgress
from tests.fix_server import rows_of
from tests.fix_source import MakeSource

SCRIPT = "create table t (id integer primary key, n integer, flag integer, amount real, word text)"
ROWS = [(key, key * 1000, key % 2, key / 3, f"word {key * key}") for key in range(3000)]


def wrong_bits(patch: pytest.MonkeyPatch) -> None:
    """Of 0 and 1, which take no bytes."""
    patch.setattr(stored_values, "ZERO", 7)


def wrong_widths(patch: pytest.MonkeyPatch) -> None:
    """Of integers of three bytes."""
    shifts = stored_values.SHIFTS.copy()
    shifts[3] += 1
    patch.setattr(stored_values, "SHIFTS", shifts)


def wrong_texts(patch: pytest.MonkeyPatch) -> None:
    """Texts of several lengths come in the order of their addresses, not of their rows."""
    init: Callable[..., None] = CellTexts.__init__

    def ascending(self: CellTexts, rows: Rows) -> None:
        init(self, rows)
        self._elements = self._elements[::-1]

    patch.setattr(CellTexts, "__init__", ascending)


def lost_leaf(patch: pytest.MonkeyPatch) -> None:
    """The rows of one page never come."""
    read: Callable[..., Iterator[PageNumbers]] = leaf_pages.read_leaf_numbers

    def without_one(file: DatabaseFile, root: int) -> Iterator[PageNumbers]:
        for numbers in read(file, root):
            yield numbers[numbers != numbers[len(numbers) // 2]]

    patch.setattr(leaf_pages, "read_leaf_numbers", without_one)


@pytest.mark.parametrize("sabotage", [wrong_bits, wrong_widths, wrong_texts, lost_leaf])
def test_verification_objects_to_a_wrong_reader(
    make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch, sabotage: Callable[..., None]
) -> None:
    """Nothing is published, and the report says that the sides differ."""
    source = make_source(SCRIPT, {"t": ROWS})
    sabotage(monkeypatch)
    report = asyncio.run(migrate(Options(source, database_dsn), SilentProgress()))
    assert report.status is ExitStatus.DIFFERENT
    assert rows_of(database_dsn, "select to_regclass('t')") == [(None,)]


def test_the_right_reader_is_believed(make_source: MakeSource, database_dsn: str) -> None:
    """The proof that the tests above fail for what they say."""
    report = asyncio.run(migrate(Options(make_source(SCRIPT, {"t": ROWS}), database_dsn), SilentProgress()))
    assert report.status is ExitStatus.DONE
    assert rows_of(database_dsn, "select count(*), sum(n) from t") == [(3000, sum(row[1] for row in ROWS))]
