"""``--tables`` and ``--exclude``: which part of the source a run moves.

Invariant: a glob that matches nothing is an error, never an empty run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from etl.errors import UsageError
from etl.model import SourceCatalog
from etl.transform.schema.casts import matches_glob, near_misses


def select_tables(catalog: SourceCatalog, include_globs: Sequence[str], exclude_globs: Sequence[str]) -> SourceCatalog:
    """The catalog with only the tables that are included and not excluded; what belongs to the others goes with them.

    Raises UsageError, with the nearest names, for a glob that matches no table, view or virtual table.
    """
    names = [table.name for table in catalog.tables]
    names += [view.name for view in catalog.views]
    names += [thing.name for thing in catalog.skipped if thing.table is None and thing.needs_attention]
    for flag, globs in (("--tables", include_globs), ("--exclude", exclude_globs)):
        for glob in globs:
            if not any(matches_glob(name, glob) for name in names):
                raise UsageError(f"{flag} {glob!r} matches no table", near_misses(glob, names))

    def is_selected(name: str) -> bool:
        included = not include_globs or any(matches_glob(name, glob) for glob in include_globs)
        return included and not any(matches_glob(name, glob) for glob in exclude_globs)

    return replace(
        catalog,
        tables=tuple(table for table in catalog.tables if is_selected(table.name)),
        views=tuple(view for view in catalog.views if is_selected(view.name)),
        skipped=tuple(thing for thing in catalog.skipped if is_selected(thing.table or thing.name)),
    )
