"""Rows that a key or an index of the target would not take, found in the source.

    key columns ─► pages ─► the load's own conversion ─┬─► a digest a row ─► which of them repeat
                                                       └─► how long the index entries are

Only the columns of those keys are read of which values may have become the same, or too long: of most tables none.

Invariant: what is found here the server refuses too; of what is ``uncertain`` only the server can tell.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa

from etl.extract.reader import Reader
from etl.extract.snapshot import Snapshot
from etl.model import NOCASE_COLLATION, IndexPlan, Plan, Problem, RefusedRow, SourcePage, TablePlan, TableSurvey, Way
from etl.phases.clock import Clock
from etl.phases.rejections import named_rows
from etl.phases.source_pages import read, with_columns
from etl.repeated_digests import RepeatedDigests
from etl.table_keys import collision, columns_of, doubtful_keys, long_entry, long_indexes
from etl.tasks import together
from etl.threads import in_thread
from etl.transform.schema.decide import is_doubted
from etl.transform.survey.entry_sizes import long_rows
from etl.transform.survey.key_values import is_exact, is_plain, key_digests, term_columns
from etl.transform.survey.trial import try_column

NAMED_ROWS = 20


@dataclass(slots=True)
class KeyFinding:
    """Rows that do not fit into one index: how many, and the first of them."""

    index: IndexPlan
    count: int = 0
    rows: list[RefusedRow] = field(default_factory=list)
    is_certain: bool = True
    why: str = ""  # it is not certain

    def add(self, row: RefusedRow) -> None:
        """Count one in."""
        self.count += 1
        if len(self.rows) < NAMED_ROWS:
            self.rows.append(row)


class ContradictedPlanError(Exception):
    """The table's values ask for another plan: what its keys would be under this one says nothing."""


class _Search:
    """The keys of one table, page by page."""

    def __init__(self, table: TablePlan, coerced: Collection[str], stack: ExitStack) -> None:
        self.table = table
        self._keys = [
            (index, terms, stack.enter_context(RepeatedDigests()))
            for index in doubtful_keys(table, coerced)
            if (terms := term_columns(table, index)) is not None
        ]
        self._unreadable = [index for index in doubtful_keys(table, coerced) if term_columns(table, index) is None]
        self._long = [(index, KeyFinding(index), KeyFinding(index, is_certain=False)) for index in long_indexes(table)]
        self._beyond_ascii: set[str] = set()  # columns that ICU compares by rules of its own
        self._row_count = 0

    @property
    def columns(self) -> set[str]:
        """The source columns that must be read."""
        indexes = [index for index, *_ in (*self._keys, *self._long)]
        names = {name for index in indexes for name in columns_of(self.table, index)}
        return {column.source.name for column in self.table.columns if column.name in names}

    def add(self, page: SourcePage, part: TablePlan, *, is_settled: bool) -> None:
        """Take a page that holds the columns of ``part``."""
        trials = [try_column(values, page, part, plan) for values, plan in zip(page.columns, part.columns, strict=True)]
        if not is_settled:
            coercions = [coercion for trial in trials for coercion in trial.coercions]
            if any(trial.refused for trial in trials) or is_doubted(part, page, coercions):
                raise ContradictedPlanError
        arrays = {column.name: trial.array for column, trial in zip(part.columns, trials, strict=True)}
        for _, terms, repeated in self._keys:
            without_case = [column.name for column, _ in terms if column.collation == NOCASE_COLLATION]
            self._beyond_ascii |= {name for name in without_case if not is_plain(arrays[name])}
            digests, rows = key_digests(terms, arrays)
            repeated.add(digests, rows.astype(np.int64) + self._row_count)
        for index, surely, perhaps in self._long:
            _add_long(self.table, index, arrays, self._row_count, surely, perhaps)
        self._row_count += page.row_count

    def result(self) -> list[KeyFinding]:
        """What was found, each index by itself."""
        found = [_unreadable(index) for index in self._unreadable if self._row_count > 1]
        for index, _, repeated in self._keys:
            settled = repeated.settle(NAMED_ROWS)
            rows = [collision(self.table, index, position, other) for position, other in settled.first]
            if settled.count:
                why = "its WHERE leaves rows out" if index.predicate else ""
                found.append(KeyFinding(index, settled.count, rows, index.predicate is None, why))
            elif not is_exact(self.table, index, self._beyond_ascii) and self._row_count > 1:
                found.append(_unreadable(index))
        return [*found, *(finding for _, *pair in self._long for finding in pair if finding.count)]


def _unreadable(index: IndexPlan) -> KeyFinding:
    return KeyFinding(index, 0, [], is_certain=False, why="it compares them by rules of its own")


def _add_long(
    table: TablePlan,
    index: IndexPlan,
    arrays: Mapping[str, pa.Array],
    first: int,
    surely: KeyFinding,
    perhaps: KeyFinding,
) -> None:
    for finding, rows in zip((surely, perhaps), long_rows(table, index, arrays), strict=True):
        for row in rows:
            finding.add(long_entry(table, index, first + row))


async def search_keys(
    pages_of: Callable[[TablePlan], AsyncGenerator[SourcePage]],
    table: TablePlan,
    coerced: Collection[str],
    *,
    is_settled: bool,
) -> list[KeyFinding]:
    """What the keys of a created table would not take; nothing is read where nothing can be found.

    ``coerced``: the source columns of which a value was coerced. ``pages_of`` reads the columns of a plan. Unless the
    plan ``is_settled``, ContradictedPlanError is raised for values that ask for another one.
    """
    if table.way is not Way.CREATE:
        return []  # its indexes are the target's own, and so are rows that it holds
    with ExitStack() as stack:
        search = _Search(table, coerced, stack)
        if search.columns:
            part = with_columns(table, search.columns)
            async with aclosing(pages_of(part)) as pages:
                async for page in pages:
                    await in_thread(partial(search.add, page, part, is_settled=is_settled))
        return await in_thread(search.result)


async def read_all_key_problems(
    snapshot: Snapshot, plan: Plan, surveys: Sequence[TableSurvey], clock: Clock, page_bytes: int
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """Of surveyed tables what stops a run at their keys, and what may: an index each, with its first row."""

    async def check(table: TablePlan, survey: TableSurvey) -> list[tuple[Problem, bool]]:
        async with snapshot.reader() as reader:
            return await _key_problems(snapshot, reader, table, survey, page_bytes)

    pairs = list(zip(plan.tables, surveys, strict=True))
    doubtful = [pair for pair in pairs if doubtful_keys(pair[0], _coerced(pair[1])) or long_indexes(pair[0])]
    if not doubtful:
        return (), ()
    with clock.phase("keys"):
        found = [told for listed in await together(*(check(*pair) for pair in doubtful)) for told in listed]
    return (
        tuple(problem for problem, is_certain in found if is_certain),
        tuple(problem for problem, is_certain in found if not is_certain),
    )


def _coerced(survey: TableSurvey) -> set[str]:
    return {column.name for column in survey.columns if column.coercions}


async def _key_problems(
    snapshot: Snapshot, reader: Reader, table: TablePlan, survey: TableSurvey, page_bytes: int
) -> list[tuple[Problem, bool]]:
    def pages_of(part: TablePlan) -> AsyncGenerator[SourcePage]:
        return read(snapshot, reader, part, page_bytes)

    found = await search_keys(pages_of, table, _coerced(survey), is_settled=True)
    return [(await _problem(snapshot, reader, table, finding, page_bytes), finding.is_certain) for finding in found]


async def _problem(
    snapshot: Snapshot, reader: Reader, table: TablePlan, finding: KeyFinding, page_bytes: int
) -> Problem:
    index = finding.index
    names = columns_of(table, index)
    columns = ", ".join(column.source.name for column in table.columns if column.name in names)
    key, reason = "", f"different values may be the same in {index.name}"
    hint = "none is known: a migration asks the server before anything is published"
    async for rows in named_rows(snapshot, reader, table, finding.rows[:1], (), page_bytes):
        for row in rows:
            key, reason, hint = row.key, row.reason, row.hint
    if not finding.is_certain:
        reason = f"{reason}; only the server can tell: {finding.why or 'it compresses the entry first'}"
    return Problem(table.source.name, columns, finding.count, reason, key, hint)
