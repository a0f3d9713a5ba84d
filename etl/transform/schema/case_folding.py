"""What COLLATE NOCASE becomes where the user wants more than indexes on lower(): citext, or an ICU collation.

Invariant: a column of which a key, an index or a foreign key sees case stays as it is; and no pattern is translated
into one that the server cannot match under such a collation: those are by bytes, and named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from etl.model import NOCASE_COLLATION, NOCASE_LOCALE, ColumnPlan, PgType, Plan, SourceTable, TablePlan
from etl.transform.schema.names import quote
from etl.transform.schema.references import Reference
from etl.transform.schema.types import TEXT_TYPES

NOTE = "NOCASE: it folds more than ASCII"
_PATTERN = re.compile(r" like | ~ |\breplace\(|\bstrpos\(")


def without_case(plan: ColumnPlan, table: SourceTable, references: Iterable[Reference], nocase: str) -> ColumnPlan:
    """A column declared COLLATE NOCASE, as ``nocase`` (lower, citext, icu) and the keys of the table want it."""
    sees_case = any(
        term.column == plan.source.name and term.collation == "BINARY" for i in table.indexes for term in i.terms
    )
    if sees_case or nocase == "lower":
        return plan
    if nocase == "citext":
        takes = plan.type.name in {"text", "varchar"} and not plan.source.generated
        return replace(plan, type=PgType("citext"), collation=None, note=NOTE) if takes else plan
    # the parent of a foreign key compares by bytes, and PostgreSQL 18 wants one collation on both sides
    is_child = any(plan.source.name in key.source.columns for key in references if key.problem is None)
    takes = plan.type.name in TEXT_TYPES and not is_child
    return replace(plan, collation=NOCASE_COLLATION, note=NOTE) if takes else plan


def icu_notes(plan: Plan) -> Iterator[str]:
    """What a user of such columns has to know, and the objects that look for a pattern in one of them."""
    for table in plan.tables:
        columns = _columns(table)
        if columns:
            yield (
                f"{table.source.name}: {', '.join(c.source.name for c in columns)}: = and keys see no case of any"
                f" letter (ICU, {NOCASE_LOCALE}), nor the width of a letter; before PostgreSQL 18 LIKE, ILIKE, regular"
                ' expressions and replace() fail there without collate "C"'
            )
        for kind, name, sql in _expressions(table):
            yield from _pattern_note(f"{table.source.name}: the {kind} {name}", sql, columns)
    for view in plan.views:
        columns = [column for table in plan.tables if table.source.name in view.tables for column in _columns(table)]
        yield from _pattern_note(f"the view {view.name}", view.sql, columns)


def _columns(table: TablePlan) -> list[ColumnPlan]:
    return [column for column in table.columns if column.collation == NOCASE_COLLATION]


def _expressions(table: TablePlan) -> Iterator[tuple[str, str, str]]:
    yield from (("check", check.name, check.condition) for check in table.checks)
    yield from (("index", one.name, " ".join((*one.terms, one.predicate or ""))) for one in table.indexes)
    yield from (("generated column", c.name, c.generated) for c in table.columns if c.generated is not None)


def _pattern_note(subject: str, sql: str, columns: Iterable[ColumnPlan]) -> Iterator[str]:
    named = [column.source.name for column in columns if quote(column.name) in sql]
    if named and _PATTERN.search(sql):
        yield f'{subject} looks into {", ".join(named)} by bytes (collate "C"), as LIKE and replace() do in SQLite'
