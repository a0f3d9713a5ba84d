"""Whether a reading has a meaning for a type, before any row is read.

Invariant: a reading that verification does not know is an error, and never a difference in every row.
"""

from __future__ import annotations

from etl.model import BINARY_JSON, PgType, Reading
from etl.verify.values.durations import SINCE_1970, UNITS
from etl.verify.values.null_cells import DATED_TYPES
from etl.verify.values.number_moments import EPOCHS
from etl.verify.values.wire import DOCUMENT_TYPES, TEXT_TYPES
from etl.verify.values.written_formats import format_of


def is_known(reading: Reading, kind: PgType) -> bool:
    """Whether `equivalents` has a rule for the column's ``how``."""
    how = reading.how
    if how is None:
        return True
    if how == BINARY_JSON and kind.name in DOCUMENT_TYPES | TEXT_TYPES | {"bytea"}:
        return True  # what is no document in the target is compared as it is
    if kind.name == "boolean":
        return "/" in how
    if (kind.name == "time" and how == "seconds") or (kind.name == "interval" and how in {*UNITS, SINCE_1970}):
        return True
    if kind.name in DATED_TYPES and how in EPOCHS:
        return True
    form = format_of(how) if kind.name in DATED_TYPES or kind.name == "time" else None
    return form is not None and form.is_complete and form.has_date == (kind.name != "time")
