"""Set rows aside that the target cannot hold, and let the rest of their page go on (``--on-error reject``).

Invariant: every row of the page is either in the batch or among the rejected, whole; none is in both.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from etl.errors import RefusedValueError
from etl.model import PgType, RejectedRow, SourcePage, StorageClass, TablePlan, TargetPage
from etl.transform.rows.columns import SAMPLE_COUNT, ColumnWork, coerce_page, coercions_of, parts_of
from etl.transform.rows.outcomes import Refused
from etl.transform.rows.rendering import SourceValue
from etl.transform.rows.row_names import refusal_of, row_key

RefusedCell = tuple[int, SourceValue, StorageClass, Refused]  # the column's place, and what was refused there
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
    works: list[ColumnWork] = []
    arrays: list[pa.Array] = []
    first_refusal: dict[int, RefusedCell] = {}
    for index, (values, column) in enumerate(zip(page.columns, table.columns, strict=True)):
        work = ColumnWork(parts_of(values, column.type), column.type, page.row_count, page.row_count, column.reading)
        arrays.append(work.convert(not_null=column.not_null))
        works.append(work)
        for row, value, storage, refused in work.refused:
            first_refusal.setdefault(row, (index, value, storage, refused))
    kept = np.ones(page.row_count, bool)
    kept[list(first_refusal)] = False
    names = [column.name for column in table.columns]
    return TargetPage(
        number=page.number,
        row_count=int(kept.sum()),
        batch=pa.RecordBatch.from_arrays(arrays, names=names).filter(pa.array(kept)),
        coercions=tuple(
            coercion
            for work, array, column in zip(works, arrays, table.columns, strict=True)
            for coercion in coercions_of(_only_kept(work, kept), array, page, column, sample_count)
        ),
        first_key=row_key(page, 0),
        last_key=row_key(page, page.row_count - 1),
        source_bytes=page.source_bytes,
        rejected=tuple(_rejected_rows(page, table, first_ordinal, first_refusal)),
    )


def _rejected_rows(
    page: SourcePage, table: TablePlan, first_ordinal: int, first_refusal: dict[int, RefusedCell]
) -> Iterator[RejectedRow]:
    stored = _stored(page)
    names = [column.source.name for column in table.columns]
    for row, (index, value, storage, refused) in sorted(first_refusal.items(), key=lambda item: item[0]):
        refusal = refusal_of(page, table, table.columns[index], row, value, storage, refused)
        cells = (_as_text(*column.source_cell(row)) for column in stored)
        yield RejectedRow(
            first_ordinal + row,
            refusal.key,
            refusal.column,
            refusal.reason,
            refusal.hint,
            dict(zip(names, cells, strict=True)),
        )


def _only_kept(work: ColumnWork, kept: np.ndarray) -> ColumnWork:
    """What was coerced in rows that are not loaded is not counted."""
    found = {rule: np.concatenate(rows) for rule, rows in work.coerced.items()}
    work.coerced = {rule: [rows[kept[rows]]] for rule, rows in found.items() if kept[rows].any()}
    return work


def _stored(page: SourcePage) -> list[ColumnWork]:
    """The page's columns as SQLite has them, ready to be asked for single cells."""
    return [ColumnWork(parts_of(values, AS_STORED), AS_STORED, page.row_count, 0) for values in page.columns]


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
