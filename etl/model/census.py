"""What a survey found in the source: every column by its values, what becomes of them, and what stands in the way.

Invariant: counts are of all rows that were read; where that is not the whole table, ``TableSurvey.complete`` is False.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from etl.model.origin import StorageClass
from etl.model.outcome import Coercion, Refusal, Span


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way in which values are written, its count and the first value: ``0000-00-00`` for ISO dates."""

    form: str
    count: int
    sample: str


@dataclass(frozen=True, slots=True)
class ColumnCensus:
    """The values of one column as SQLite holds them, before anything is converted."""

    classes: Mapping[StorageClass, int]  # all five, NULL among them
    numbers: Span | None = None
    texts: Span | None = None  # in the order of their bytes
    low_integer: int | None = None
    high_integer: int | None = None
    longest_characters: int = 0  # of texts
    longest_bytes: int = 0  # of texts and blobs
    with_nul: int = 0
    not_utf8: int = 0
    dates: tuple[Spelling, ...] = ()  # of texts that look like dates or times; digits as 0, the rest as it is
    with_offset: int = 0  # of those: Z, UTC or ±HH:MM at the end
    uuids: tuple[Spelling, ...] = ()
    epochs: Mapping[str, int] = field(default_factory=dict)  # reading, 'zero' or 'none' → numbers in its window
    digits_before: int = 0  # the point
    digits_after: int = 0  # 9 stands for nine or more
    rounding_losses: int = 0  # numbers that numeric(p,s) would change by more than the noise of a double
    looks_like: str | None = None  # the type that all of the first values of a text column would fit: json, uuid, …


@dataclass(frozen=True, slots=True)
class RefusedValues:
    """Values of a column that are refused for one and the same reason."""

    count: int
    first: Refusal


@dataclass(frozen=True, slots=True)
class ColumnSurvey:
    """One column: what it holds, and what the plan makes of it."""

    name: str  # in the source
    census: ColumnCensus
    coercions: tuple[Coercion, ...] = ()
    refused: tuple[RefusedValues, ...] = ()
    converted: Span | None = None  # the target's values, for dates and times
    converted_integers: tuple[int, int] | None = None  # smallest and largest, for integer targets

    @property
    def value_count(self) -> int:
        """All but the NULLs."""
        return sum(count for storage, count in self.census.classes.items() if storage is not StorageClass.NULL)

    @property
    def refused_count(self) -> int:
        return sum(values.count for values in self.refused)

    def rule_count(self, rule: str) -> int:
        return sum(coercion.count for coercion in self.coercions if coercion.rule == rule)


@dataclass(frozen=True, slots=True)
class TableSurvey:
    """One table as surveyed under a plan; ``columns`` as in the plan."""

    name: str  # in the source
    rows: int
    source_bytes: int
    seconds: float
    complete: bool  # False for a sample
    columns: tuple[ColumnSurvey, ...]

    def column(self, name: str) -> ColumnSurvey:
        return next(column for column in self.columns if column.name == name)

    @property
    def refused_count(self) -> int:
        return sum(column.refused_count for column in self.columns)


@dataclass(frozen=True, slots=True)
class Orphans:
    """Rows of a child table whose foreign key has no parent."""

    table: str
    columns: tuple[str, ...]
    parent: str
    count: int
    first_key: str  # rendered
    samples: tuple[tuple[str, str], ...] = ()  # key and value of the first rows, rendered


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that stops the run, with what solves it."""

    table: str  # source name
    column: str  # source name; of a foreign key all of its columns
    count: int  # of values or rows
    reason: str
    key: str  # of the first one, rendered
    hint: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that does not stop the run and that a user wants to know. ``kind``: lost, risk, advice."""

    kind: str
    table: str
    column: str
    text: str
    hint: str = ""
