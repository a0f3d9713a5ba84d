"""The smallest and the largest of dates and times that were coerced: what no checksum can prove is the unit.

Invariant: a span covers every value of the column in the pages in which one of its values was coerced.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from etl.model import ColumnPlan, PgType, Span, TargetPage
from etl.transform.rows.rendering import render_target

TEMPORAL = frozenset({"date", "time", "timestamp", "timestamptz", "timetz"})
FIRST_LIKELY_YEAR = "1995"  # numbers of an earlier year are often seconds since 2001 (Core Data)


def extremes(array: pa.Array) -> tuple[int, int]:
    """Smallest and largest, dates and times as the integers that Arrow stores."""
    low_high = pc.min_max(array)
    low, high = low_high["min"], low_high["max"]
    if pa.types.is_temporal(array.type):
        return int(low.value), int(high.value)
    return int(low.as_py()), int(high.as_py())


def wider(span: tuple[int, int] | None, found: tuple[int, int]) -> tuple[int, int]:
    """The span that covers both."""
    return found if span is None else (min(span[0], found[0]), max(span[1], found[1]))


def rendered(span: tuple[int, int], target: PgType) -> Span:
    """The span for people."""
    return Span(render_target(span[0], target), render_target(span[1], target))


def is_early(span: Span | None) -> bool:
    """Whether the values begin in a year that makes the unit doubtful."""
    first_year = span.low[:4] if span is not None else ""
    return first_year.isdigit() and first_year < FIRST_LIKELY_YEAR


class Extremes:
    """The spans of a table's coerced dates and times, page by page."""

    def __init__(self, columns: tuple[ColumnPlan, ...]) -> None:
        self._columns = [(place, column) for place, column in enumerate(columns) if column.type.name in TEMPORAL]
        self._spans: dict[str, tuple[int, int]] = {}

    def add(self, page: TargetPage) -> None:
        """Count one page in."""
        coerced = {coercion.column for coercion in page.coercions}
        for place, column in self._columns:
            name, array = column.source.name, page.batch.column(place)
            if name in coerced and array.null_count < len(array) and not pa.types.is_string(array.type):
                self._spans[name] = wider(self._spans.get(name), extremes(array))

    def spans(self) -> dict[str, Span]:
        """By source column, rendered."""
        types = {column.source.name: column.type for _, column in self._columns}
        return {name: rendered(span, types[name]) for name, span in self._spans.items()}
