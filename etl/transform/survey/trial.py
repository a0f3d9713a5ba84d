"""Convert a column of a page as the load would, but to its end: what is refused is counted, nothing is raised.

Invariant: it is the load's own conversion (``ColumnWork``), so that the survey and the load cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from etl.model import Coercion, ColumnPlan, RefusedValues, SourcePage, SourceValues, StorageClass, TablePlan
from etl.transform.rows.columns import ColumnWork, coercions_of, parts_of
from etl.transform.rows.row_names import refusal_of

MOST_REASONS = 8  # told apart in a column of a page; hints rarely differ in more ways


@dataclass(frozen=True, slots=True)
class Trial:
    """What would become of one column of one page."""

    array: pa.Array  # the target's values; null where refused
    coercions: tuple[Coercion, ...]
    refused: tuple[RefusedValues, ...]


def try_column(values: SourceValues, page: SourcePage, table: TablePlan, column: ColumnPlan) -> Trial:
    """Convert the column; its refusals are grouped by what solves them, in the order of the rows."""
    parts, every = parts_of(values, column.type), page.row_count
    work = ColumnWork(parts, column.type, every, refusal_limit=every, reading=column.reading)
    array = work.convert(not_null=column.not_null)
    groups: dict[tuple[StorageClass, str], RefusedValues] = {}
    for row, value, storage, refused in work.refused:
        kind = (storage, refused.hint)
        if kind not in groups and len(groups) == MOST_REASONS:
            kind = next(reversed(groups))
        known = groups.get(kind)
        if known is None:
            groups[kind] = RefusedValues(1, refusal_of(page, table, column, row, value, storage, refused))
        else:
            groups[kind] = RefusedValues(known.count + 1, known.first)
    return Trial(array, tuple(coercions_of(work, array, page, column)), tuple(groups.values()))
