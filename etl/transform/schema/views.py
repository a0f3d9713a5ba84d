"""Plan the views: what can be translated, in an order in which each finds what it reads.

Invariant: a planned view has the columns of SQLite's, in their order; whether it has the same rows is compared before
the publish, and until then nobody sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from etl.model import (
    Affinity,
    ColumnPlan,
    Plan,
    SkippedObject,
    SourceColumn,
    SourceTable,
    SourceView,
    TablePlan,
    ViewPlan,
)
from etl.transform.schema.definition import read_collations
from etl.transform.schema.names import column_names, fold, quote
from etl.transform.schema.queries import QueryTranslator
from etl.transform.schema.relations import SCHEMA, Query, Relation
from etl.transform.schema.scope import ScopeColumn
from etl.transform.schema.syntax import Untranslatable, parse_query
from etl.transform.schema.tokens import UnreadableDefinition, tokens_of


def with_views(plan: Plan) -> Plan:
    """The plan with its views translated for the types that its tables have now."""
    relations = {fold(table.source.name): _table_relation(table) for table in plan.tables}
    reasons: dict[str, str] = {}
    views: list[ViewPlan] = []
    waiting = {fold(view.name): view for view in plan.source_views}
    while waiting:
        ready = [view for view in waiting.values() if not _reads(view) & (waiting.keys() - {fold(view.name)})]
        for view in ready or list(waiting.values()):
            del waiting[fold(view.name)]
            try:
                planned = _plan_view(view, relations, plan)
            except (Untranslatable, UnreadableDefinition) as reason:
                reasons[view.name] = str(reason)
                continue
            views.append(planned)
            relations[fold(view.name)] = _view_relation(planned)
    others = tuple(thing for thing in plan.untranslated if thing.kind != "view")
    listed = (SkippedObject("view", view.name, view.sql, reasons[view.name])
              for view in plan.source_views if view.name in reasons)  # fmt: skip
    return replace(plan, views=tuple(views), untranslated=(*others, *listed))


def without_views(plan: Plan, reasons: Mapping[str, str]) -> Plan:
    """The plan without these views (by target name), each listed with its reason."""
    dropped = [
        SkippedObject("view", view.source.name, view.source.sql, reasons[view.name])
        for view in plan.views
        if view.name in reasons
    ]
    kept = tuple(view for view in plan.views if view.name not in reasons)
    return replace(plan, views=kept, untranslated=(*plan.untranslated, *dropped))


def readers_of(names: Iterable[str], views: Iterable[ViewPlan]) -> set[str]:
    """The views among ``views`` that read one of the named ones, directly or through another."""
    reached = set(names)
    for view in views:  # in the order of creation
        if reached & set(view.reads):
            reached.add(view.name)
    return reached - set(names)


def _plan_view(view: SourceView, relations: Mapping[str, Relation], plan: Plan) -> ViewPlan:
    if view.problem:
        raise Untranslatable(view.problem)
    translator = QueryTranslator(relations)
    query = translator.translate(parse_query(_body(view.sql)))
    if len(query.operands) != len(view.columns):
        fewer = len(query.operands) < len(view.columns)
        raise Untranslatable("columns that it reads are left out" if fewer else "its columns cannot be told")
    read = [relations[name] for name in sorted(translator.used & relations.keys())]
    name = plan.view_names.get(view.name, view.name)
    table = _as_table(view, query, name, plan.lowercase)
    tables = dict.fromkeys(name for relation in read for name in relation.tables)
    return ViewPlan(view, name, query.sql, table, tuple(each.name for each in read if each.name), tuple(tables))


def _as_table(view: SourceView, query: Query, name: str, lowercase: bool) -> TablePlan:
    """The view as a table, which is how its rows are compared."""
    names = column_names(view.columns, lowercase=lowercase)
    columns = tuple(
        ColumnPlan(SourceColumn(source, "", Affinity.BLOB), name, operand.type, reading=operand.reading)
        for source, name, operand in zip(view.columns, names, query.operands, strict=True)
    )
    table = SourceTable(view.name, tuple(column.source for column in columns), rowid_name=None, without_rowid=True)
    return TablePlan(table, name, columns)


def _table_relation(table: TablePlan) -> Relation:
    collations = read_collations(table.source.sql)
    columns = tuple(
        replace(
            ScopeColumn.of(column, table.source.name, collations.get(fold(column.source.name), "BINARY")),
            reading=column.reading,
        )
        for column in table.columns
    )
    names = tuple(column.source.name for column in table.columns)
    return Relation(
        f"{SCHEMA}.{quote(table.name)}", columns, names, "", (table.source.name,), _keys(table), _scan(table)
    )


def _keys(table: TablePlan) -> tuple[frozenset[str], ...]:
    """What tells the rows apart: the primary key, and unique columns that are never NULL."""
    never_null = {quote(column.name): column.name for column in table.columns if column.not_null or column.identity}
    unique = [index.terms for index in table.indexes if index.unique and index.predicate is None]
    keys = [frozenset(never_null[term] for term in terms) for terms in unique if never_null.keys() >= set(terms)]
    return (*([frozenset(table.primary_key)] if table.primary_key else []), *keys)


def _scan(table: TablePlan) -> tuple[str, ...] | None:
    """In whose order SQLite finds the rows: that of the rowid, where a column has it."""
    alias = table.source.rowid_alias
    return tuple(column.name for column in table.columns if column.source.name == alias) or None


def _view_relation(view: ViewPlan) -> Relation:
    columns = tuple(
        ScopeColumn(column.name, column.type, _affinity(column), reading=column.reading)
        for column in view.table.columns
    )
    names = tuple(column.source.name for column in view.table.columns)
    return Relation(f"{SCHEMA}.{quote(view.name)}", columns, names, view.name, view.tables)


def _affinity(column: ColumnPlan) -> Affinity:
    """As what SQLite compares a column of a view whose rows hold what their type says."""
    return Affinity.TEXT if column.type.name in {"text", "varchar"} else Affinity.NUMERIC


def _body(sql: str) -> str:
    """The SELECT of a CREATE VIEW."""
    depth = 0
    for token in tokens_of(sql):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.keyword == "AS":
            return sql[token.end :]
    raise UnreadableDefinition("there is no AS")


def _reads(view: SourceView) -> set[str]:
    """Every word of the view's text that could be the name of another view."""
    try:
        return {fold(token.name) for token in tokens_of(view.sql) if token.kind in {"word", "quoted", "string"}}
    except UnreadableDefinition:
        return set()
