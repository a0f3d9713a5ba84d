"""Which vector rule a column goes by: that of its storage class, its target type and its reading.

Invariant: what no vector rule reads as the specification does is left to the specification.
"""

from __future__ import annotations

from functools import partial

from etl.model import PgType, Reading, StorageClass
from etl.transform.rows.date_vectors import texts_to_dates, texts_to_times, texts_to_timestamps
from etl.transform.rows.dates import is_format
from etl.transform.rows.epoch_vectors import integers_to_temporal, reals_to_temporal
from etl.transform.rows.json_vectors import JSON_RULES, texts_unread
from etl.transform.rows.number_vectors import NUMBER_RULES
from etl.transform.rows.text_vectors import TEXT_RULES
from etl.transform.rows.vectors import VectorRule, all_odd

TEMPORAL_TYPES = frozenset(("date", "timestamp", "timestamptz", "time"))

_RULES: dict[StorageClass, dict[str, VectorRule]] = {
    **NUMBER_RULES,
    StorageClass.TEXT: {**TEXT_RULES[StorageClass.TEXT], **JSON_RULES},
    StorageClass.BLOB: TEXT_RULES[StorageClass.BLOB],
}


def vector_rule(storage: StorageClass, target: PgType, reading: Reading) -> VectorRule:
    """The rule for the cells of one storage class."""
    if target.labels or (target.name == "boolean" and reading.how is not None):
        return all_odd
    if reading.left_to_server and storage is StorageClass.TEXT:
        return texts_unread
    if target.name in TEMPORAL_TYPES:
        return _temporal_rule(storage, target, reading)
    return _RULES[storage].get(target.name, all_odd)


def _temporal_rule(storage: StorageClass, target: PgType, reading: Reading) -> VectorRule:
    if is_format(reading) or storage is StorageClass.BLOB:
        return all_odd
    if storage is StorageClass.TEXT:
        if target.name == "time":
            return texts_to_times
        return texts_to_dates if target.name == "date" else partial(texts_to_timestamps, reading)
    if reading.how is None:
        return all_odd
    return partial(integers_to_temporal if storage is StorageClass.INTEGER else reals_to_temporal, reading)
