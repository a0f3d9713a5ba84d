"""Set rows aside that the target cannot hold, and let the rest of their page go on (``--on-error reject``).

Invariant: every row of the page is either in the batch or among the rejected, whole; none is in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence

import numpy as np
import pyarrow as pa

from etl.errors import RefusedValueError
from etl.model import Coercion, PgType, RefusedRow, RejectedRow, SourcePage, StorageClass, TablePlan, TargetPage
from etl.transform.rows.columns import SAMPLE_COUNT, ColumnWork, coerce_page, coercions_of, parts_of
from etl.transform.rows.outcomes import Refused
from etl.transform.rows.rendering import SourceValue, cut
from etl.transform.rows.row_names import refusal_of, row_key

RefusedCell = tuple[int, SourceValue, StorageClass, Refused]  # the column's place, and what was refused there
_NUMBERS = (StorageClass.INTEGER, StorageClass.REAL)
AS_STORED = PgType("bytea")  # a target for which numbers are told apart by class


def coerce_or_reject(
    page: SourcePage, table: TablePlan, first_ordinal: int, sample_count: int | None = SAMPLE_COUNT
) -> TargetPage:
    """Convert a page as ``coerce_page`` does; rows with a refused value are left out of it and returned beside it.

    ``first_ordinal`` is the place of the page's first row in the table's scan.
    """
    try:
        return coerce_page(page, table, sample_count)
    except RefusedValueError:
        return _without_refused(page, table, first_ordinal, sample_count)


def _without_refused(page: SourcePage, table: TablePlan, first_ordinal: int, sample_count: int | None) -> TargetPage:
    works, arrays = _converted(page, table)
    first_refusal: dict[int, RefusedCell] = {}
    for index, work in enumerate(works):
        for row, value, storage, refused in work.refused:
            first_refusal.setdefault(row, (index, value, storage, refused))
    kept = np.ones(page.row_count, bool)
    kept[list(first_refusal)] = False
    names = [column.name for column in table.columns]
    return TargetPage(
        number=page.number,
        row_count=int(kept.sum()),
        batch=pa.RecordBatch.from_arrays(arrays, names=names).filter(pa.array(kept)),
        coercions=_coercions_in(kept, works, arrays, page, table, sample_count),
        first_key=row_key(page, 0),
        last_key=row_key(page, page.row_count - 1),
        source_bytes=page.source_bytes,
        rejected=tuple(_rejected_rows(page, table, first_ordinal, first_refusal)),
    )


def _converted(page: SourcePage, table: TablePlan) -> tuple[list[ColumnWork], list[pa.Array]]:
    """Every column of the page, to its end, whatever is refused in it."""
    works = [
        ColumnWork(parts_of(values, column.type), column.type, page.row_count, page.row_count, column.reading)
        for values, column in zip(page.columns, table.columns, strict=True)
    ]
    pairs = zip(works, table.columns, strict=True)
    return works, [work.convert(not_null=column.not_null) for work, column in pairs]


def _coercions_in(
    chosen: np.ndarray,
    works: Sequence[ColumnWork],
    arrays: Sequence[pa.Array],
    page: SourcePage,
    table: TablePlan,
    sample_count: int | None,
) -> tuple[Coercion, ...]:
    return tuple(
        coercion
        for work, array, column in zip(works, arrays, table.columns, strict=True)
        for coercion in coercions_of(_only(work, chosen), array, page, column, sample_count)
    )


def _rejected_rows(
    page: SourcePage, table: TablePlan, first_ordinal: int, first_refusal: dict[int, RefusedCell]
) -> Iterator[RejectedRow]:
    rows = sorted(first_refusal)
    for row, values in zip(rows, stored_values(page, table, rows), strict=True):
        index, value, storage, refused = first_refusal[row]
        refusal = refusal_of(page, table, table.columns[index], row, value, storage, refused)
        yield RejectedRow(first_ordinal + row, refusal.key, refusal.column, refusal.reason, refusal.hint, values)


def describe_rows(
    page: SourcePage,
    table: TablePlan,
    first_ordinal: int,
    refused: Mapping[int, RefusedRow],
    known_keys: MutableMapping[int, str],
) -> list[RejectedRow]:
    """The rows of the page that the target refused, by ordinal, as rows of a reject file.

    ``known_keys`` is asked for, and completed by, the keys of the rows that others collide with (None: not yet seen).
    """
    last_ordinal = first_ordinal + page.row_count
    for ordinal in known_keys:
        if first_ordinal <= ordinal < last_ordinal:
            known_keys[ordinal] = row_key(page, ordinal - first_ordinal)
    ordinals = sorted(ordinal for ordinal in refused if first_ordinal <= ordinal < last_ordinal)
    rows = [ordinal - first_ordinal for ordinal in ordinals]
    return [
        _described(ordinal, row_key(page, row), refused[ordinal], table, values, known_keys)
        for ordinal, row, values in zip(ordinals, rows, stored_values(page, table, rows), strict=True)
    ]


def describe_and_count(
    page: SourcePage,
    table: TablePlan,
    first_ordinal: int,
    refused: Mapping[int, RefusedRow],
    known_keys: MutableMapping[int, str],
) -> tuple[list[RejectedRow], tuple[Coercion, ...]]:
    """As ``describe_rows``, with what was coerced in these rows when they were loaded: every value is a sample."""
    described = describe_rows(page, table, first_ordinal, refused, known_keys)
    if not described:
        return [], ()
    chosen = np.zeros(page.row_count, bool)
    chosen[[row.ordinal - first_ordinal for row in described]] = True
    return described, _coercions_in(chosen, *_converted(page, table), page, table, None)


def _described(
    ordinal: int,
    key: str,
    refused: RefusedRow,
    table: TablePlan,
    values: Mapping[str, tuple[str, str | None]],
    known_keys: Mapping[int, str],
) -> RejectedRow:
    columns = [column.source.name for column in table.columns if column.name in refused.columns]
    reason = refused.reason.replace("{values}", ", ".join(_shown(*values[name]) for name in columns))
    if refused.other is not None:
        reason = reason.replace("{other}", f"({known_keys[refused.other]})")
    return RejectedRow(ordinal, key, ", ".join(columns), reason, refused.hint, values)


def _shown(storage: str, text: str | None) -> str:
    """A value of a reject file as messages show it."""
    if text is None:
        return "NULL"
    shown = cut(text)
    return f"'{shown}'" if storage == StorageClass.TEXT else f"x'{shown}'" if storage not in _NUMBERS else shown


def stored_values(
    page: SourcePage, table: TablePlan, rows: Sequence[int]
) -> Iterator[dict[str, tuple[str, str | None]]]:
    """Some rows of a page as SQLite has them, by source column as in ``RejectedRow.values``."""
    if not rows:
        return
    names = [column.source.name for column in table.columns]
    stored = [ColumnWork(parts_of(values, AS_STORED), AS_STORED, page.row_count, 0) for values in page.columns]
    for row in rows:
        cells = (_as_text(*column.source_cell(row)) for column in stored)
        yield dict(zip(names, cells, strict=True))


def _only(work: ColumnWork, chosen: np.ndarray) -> ColumnWork:
    """What was coerced in other rows is not counted."""
    found = {rule: np.concatenate(rows) for rule, rows in work.coerced.items()}
    work.coerced = {rule: [rows[chosen[rows]]] for rule, rows in found.items() if chosen[rows].any()}
    return work


def _as_text(value: SourceValue, storage: StorageClass) -> tuple[str, str | None]:
    if value is None:
        return StorageClass.NULL, None
    if not isinstance(value, bytes):
        return storage, repr(value)
    if storage is StorageClass.BLOB:
        return storage, value.hex()
    try:
        return storage, value.decode()
    except UnicodeDecodeError:
        return "text/hex", value.hex()
