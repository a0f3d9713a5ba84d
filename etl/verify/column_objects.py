"""Compares the columns of a created table with the plan: type, NOT NULL, identity, default, generation, collation."""

from __future__ import annotations

from collections.abc import Iterator

from etl.model import NOCASE_COLLATION, NOCASE_LOCALE, Difference, TablePlan
from etl.verify.catalog_rows import Catalog
from etl.verify.object_differences import object_difference


def compare_columns(table: TablePlan, catalog: Catalog) -> Iterator[Difference]:
    """The planned columns that are missing or different."""
    found = catalog.columns[table.name]
    for column in table.columns:
        there = found.get(column.name)
        if there is None:
            yield object_difference(table, column.name, str(column.type), "nothing", column.source.name)
            continue
        wanted = str(column.type) + (" not null" if column.not_null else "") + (" identity" if column.identity else "")
        wanted += _kind_of_generation(column.generated is not None, column.virtual) + (
            " default" if column.default is not None else ""
        )
        not_null = " not null" if there.not_null and (column.not_null or not _in_key(table, column.name)) else ""
        actual = str(there.type) + not_null + (" identity" if there.identity else "")
        actual += _kind_of_generation(bool(there.generated), there.generated == "v") + (
            " default" if there.default else ""
        )
        wanted += _collated(column.collation, NOCASE_LOCALE if column.collation == NOCASE_COLLATION else None)
        actual += _collated(there.collation, there.nondeterministic_locale)
        if wanted != actual:
            yield object_difference(table, column.name, wanted, actual, column.source.name)


def _collated(name: str | None, nondeterministic_locale: str | None) -> str:
    rule = f" (not deterministic, {nondeterministic_locale})" if nondeterministic_locale else ""
    return f' collate "{name}"{rule}' if name else ""


def _kind_of_generation(generated: bool, virtual: bool) -> str:
    return (" generated virtual" if virtual else " generated") if generated else ""


def _in_key(table: TablePlan, column: str) -> bool:
    """A primary key makes its columns NOT NULL, whatever the plan says of them."""
    return column in table.primary_key
