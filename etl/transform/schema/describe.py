"""Say in plain text what a plan will do, for ``--dry-run``: every table, column, key, and all that needs the user.

Invariant: everything in the plan is said, nothing is said that the plan does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator

from etl.counted_nouns import counted
from etl.model import (
    NOCASE_COLLATION,
    NOCASE_LOCALE,
    ColumnPlan,
    ForeignKeyPlan,
    IndexPlan,
    Plan,
    SkippedObject,
    TablePlan,
)
from etl.transform.schema.relations import SCHEMA


def describe(plan: Plan, *, target_asked: bool = False) -> str:
    """The plan as lines of text; no newline at the end. ``target_asked``: the plan knows what is there."""
    return "\n".join(_lines(plan, target_asked))


def _lines(plan: Plan, target_asked: bool) -> Iterator[str]:
    parts = [
        f"{counted(len(part), 'table')} to {way}"
        for way, part in (("create", plan.created.tables), ("fill", plan.filled.tables))
        if part or (way == "create" and not plan.tables)
    ]
    yield f"{' and '.join(parts)} in schema {plan.schema} (naive times are {plan.timezone})"
    if not target_asked:
        yield "no target was asked: those of the tables that are there already would be filled"
    if plan.nocase_columns:
        way = "create" if plan.makes_collation else "use the"
        yield f"{way} collation {NOCASE_COLLATION} (ICU, {NOCASE_LOCALE}, not deterministic)"
    for name in plan.kept:
        yield f"keep {name} as it is"
    for table in plan.tables:
        yield ""
        yield from _table(table)
    if plan.owner is not None:
        yield f"owner of all of it: {plan.owner}"
    for grant in plan.grants:
        yield f"granted to {grant.role}: {', '.join(grant.privileges)}"
    for view in plan.views:
        yield ""
        yield f"create view {view.name} ({', '.join(column.name for column in view.table.columns)})"
        yield f"  {view.sql.replace(SCHEMA, plan.schema)}"
    attention = [thing for thing in plan.untranslated if thing.needs_attention]
    left = [thing for thing in plan.untranslated if not thing.needs_attention]
    for title, things in (("not translated, needs you:", attention), ("left behind, nobody misses it:", left)):
        if things:
            yield ""
            yield title
            yield from (f"  {_skipped(thing)}" for thing in things)
    if plan.notes:
        yield ""
        yield "notes:"
        yield from (f"  {note}" for note in plan.notes)


def _table(table: TablePlan) -> Iterator[str]:
    renamed = f" (from {table.source.name})" if table.source.name != table.name else ""
    rows = f", about {counted(table.source.rows_estimate, 'row')}" if table.source.rows_estimate else ""
    yield f"{table.way} table {table.name}{renamed}{rows}{f': {table.why}' if table.why else ''}"
    names = max(len(column.name) for column in table.columns)
    declared = max(len(column.source.declared or "no type") for column in table.columns)
    for column in table.columns:
        before = column.source.declared or "no type"
        yield f"  {column.name:<{names}}  {before:<{declared}}  →  {_column(column)}"
    if table.primary_key:
        name = f" {table.primary_key_name}" if table.primary_key_name else ""
        yield f"  primary key{name} ({', '.join(table.primary_key)})"
    yield from (f"  {_index(index)}" for index in table.indexes)
    yield from (f"  check {check.name} ({check.condition})" for check in table.checks)
    yield from (f"  {_foreign_key(key)}" for key in table.foreign_keys)


def _column(column: ColumnPlan) -> str:
    parts = [str(column.type)]
    if column.reading.how is not None:
        parts.append(f"read as {column.reading.how}")
    if column.identity:
        parts.append("identity")
    if column.collation:
        parts.append(f'collate "{column.collation}"')
    if column.not_null and not column.identity:
        parts.append("not null")
    if column.generated is not None:
        parts.append(f"generated always as ({column.generated}) {'virtual' if column.virtual else 'stored'}")
    if column.default is not None:
        parts.append(f"default {column.default}")
    note = f"  ({column.note})" if column.note else ""
    return " ".join(parts) + note


def _index(index: IndexPlan) -> str:
    kind = "unique constraint" if index.constraint else "unique index" if index.unique else "index"
    predicate = f" where {index.predicate}" if index.predicate else ""
    return f"{kind} {index.name} ({', '.join(index.terms)}){predicate}"


def _foreign_key(key: ForeignKeyPlan) -> str:
    text = f"foreign key {key.name} ({', '.join(key.columns)}) → {key.parent} ({', '.join(key.parent_columns)})"
    for event, action in (("update", key.on_update), ("delete", key.on_delete)):
        text += "" if action == "NO ACTION" else f" on {event} {action.lower()}"
    if key.deferrable:
        text += " deferrable initially deferred" if key.initially_deferred else " deferrable"
    return text


def _skipped(thing: SkippedObject) -> str:
    sql = " ".join(thing.sql.split())
    shown = f": {sql}" if sql else ""
    return f"{thing.kind} {thing.name}: {thing.reason}{shown if len(shown) <= 120 else shown[:117] + '…'}"
