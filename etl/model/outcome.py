"""What happened: coercions, refusals, loaded and verified tables, differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from etl.model.origin import StorageClass


@dataclass(frozen=True, slots=True)
class Coercion:
    """A named rule at work in one column of one page (or, summed, of one table)."""

    column: str  # source name
    rule: str
    count: int
    samples: tuple[tuple[str, str, str], ...] = ()  # (key, before, after), at most 5


@dataclass(frozen=True, slots=True)
class Span:
    """The smallest and the largest of something, rendered."""

    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A value that the target type cannot hold."""

    table: str
    key: str  # rendered: rowid=4182, or id='x'
    column: str
    storage: StorageClass
    value: str  # rendered, cut to a readable length
    reason: str  # "'12,50' is not numeric(10,2)"
    hint: str


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was set aside because one of its values cannot be held; it goes to a file, whole.

    ``ordinal`` is its 0-based place in the order of the table's scan. ``values`` are all its values by source column
    as (storage class, text): digits, Python's ``repr`` of a REAL, the text itself, hexadecimal digits of a BLOB or of
    a text that is not UTF-8 (then the class reads ``text/hex``), None for NULL.
    """

    ordinal: int
    key: str
    column: str
    reason: str
    hint: str
    values: Mapping[str, tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that passed every rule of ours and that the server, or a constraint of the target, does not take.

    ``position`` is its 0-based place among the rows that were loaded, in the order of the load. In ``reason`` the
    source's values of ``columns`` stand for ``{values}``, and the key of the row at ``other`` for ``{other}``.
    """

    position: int
    columns: tuple[str, ...]  # target names; empty where the whole row is meant
    reason: str
    hint: str
    other: int | None = None  # the position of the row that it collides with
    place: str | None = None  # its ctid, where the row is in the target


class Verdict(StrEnum):
    EQUAL = "equal"
    DIFFERENT = "different"
    COUNTED = "counts equal"  # as many rows on both sides; no value was compared
    NOT_VERIFIED = "not verified"


class Proof(StrEnum):
    """What a verdict rests on; never more than was done."""

    VALUES = "values"  # every value of both sides
    DIGEST = "digest"  # a SHA-256 of every row, summed on both sides
    COUNT = "count"  # the number of rows
    CHECKSUM = "checksum"  # what an earlier report says of every row of the target


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """The load's own account of one table."""

    name: str
    row_count: int
    source_bytes: int
    copied_bytes: int
    seconds: float
    coercions: tuple[Coercion, ...] = ()
    rejected_rows: int = 0
    spans: Mapping[str, Span] = field(default_factory=dict)  # of coerced dates and times, by source column
    warnings: tuple[str, ...] = ()  # what may be wrong although every value was taken


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that verification found. ``kind``: missing, extra, different, object."""

    table: str  # source name
    kind: str
    key: str  # rendered; for an object its name
    column: str | None = None
    storage: StorageClass | None = None
    source_value: str | None = None  # the source's value as stored
    expected: str | None = None  # what the target should hold
    actual: str | None = None


@dataclass(frozen=True, slots=True)
class VerifiedTable:
    """The verification's account of one table; checksums are 32 hexadecimal digits (docs/checksums.md)."""

    name: str  # source name
    target_name: str
    source_rows: int
    target_rows: int
    source_checksum: str | None  # None where none was computed
    target_checksum: str | None
    verdict: Verdict
    seconds: float
    difference_counts: Mapping[str, int] = field(default_factory=dict)  # kind → how many in all
    differences: tuple[Difference, ...] = ()  # the first 20
    coercions: tuple[Coercion, ...] = ()  # of rules that the server applies by itself: repeated keys of jsonb
    proof: Proof = Proof.VALUES
