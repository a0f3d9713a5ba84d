"""Decide what the target shall be: every table, column, type, key, index, constraint and default.

Invariant: nothing of the source is dropped silently. What has no translation is in ``Plan.untranslated`` with its SQL
and the reason; what changed its name or nature is in ``Plan.notes`` or in its column's note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from etl.errors import PlanError
from etl.model import (
    NOCASE_COLLATION,
    CheckPlan,
    ColumnPlan,
    Plan,
    SkippedObject,
    SourceCatalog,
    SourceColumn,
    SourceTable,
    StorageClass,
    TablePlan,
)
from etl.options import Options
from etl.transform.schema.case_folding import icu_notes, without_case
from etl.transform.schema.casts import parse_casts, require_matches
from etl.transform.schema.column_readings import check_timezone, reading_of
from etl.transform.schema.column_types import (
    Census,
    References,
    Types,
    choose_types,
    is_never_null,
    undecided_columns,
)
from etl.transform.schema.defaults import translate_default
from etl.transform.schema.definition import Deferral, TableDefinition, read_table_definition
from etl.transform.schema.exhaustion import exhausted_identity
from etl.transform.schema.expressions import ScopeColumn, translate_condition
from etl.transform.schema.foreign_keys import ForeignKeyPlanner
from etl.transform.schema.generation import GeneratedColumns
from etl.transform.schema.grants import parse_grants
from etl.transform.schema.indexes import IndexPlanner
from etl.transform.schema.names import Namespace, column_names, fold, is_allowed
from etl.transform.schema.references import resolve_references
from etl.transform.schema.selection import require_readable, select_tables
from etl.transform.schema.syntax import Untranslatable
from etl.transform.schema.tokens import UnreadableDefinition
from etl.transform.schema.types import INTEGER_TYPES, TEXT_TYPES
from etl.transform.schema.views import with_views

__all__ = ["plan_tables", "select_tables", "undecided_columns"]

MAX_COLUMNS = 1_600  # MaxHeapAttributeNumber
SAME_AS_NONE = frozenset({"ON CONFLICT ABORT"})  # what SQLite does without a clause


def plan_tables(catalog: SourceCatalog, census: Census, options: Options) -> Plan:
    """The whole plan. ``census`` answers ``undecided_columns``.

    Raises UsageError for casts that make no sense, PlanError for what no PostgreSQL table can hold.
    """
    require_readable(catalog)
    casts = parse_casts(options.casts)
    require_matches(casts, catalog)
    references = resolve_references(catalog)
    types = choose_types(catalog, census, casts, references)
    relations = Namespace(lowercase=options.lowercase)
    kept_first = sorted((table.name for table in catalog.tables), key=lambda name: not is_allowed(name))
    target_names = {name: relations.take(name) for name in kept_first}
    # names that the user chose come before those that are derived
    index_names = {
        index.name: relations.take(index.name)
        for table in catalog.tables
        for index in table.indexes
        if index.origin == "c"
    }
    view_names = {view.name: relations.take(view.name) for view in catalog.views}
    planners = [
        TablePlanner(table, target_names[table.name], types, census, references, relations, index_names, options)
        for table in catalog.tables
    ]
    tables = {planner.table.name: planner.plan() for planner in planners}
    tables = {planner.table.name: planner.with_foreign_keys(tables) for planner in planners}
    plan = Plan(
        schema=options.target_schema,
        tables=tuple(tables.values()),
        untranslated=(*(thing for planner in planners for thing in planner.untranslated), *catalog.skipped),
        notes=tuple(note for planner in planners for note in planner.notes),
        timezone=check_timezone(options.timezone),
        source_views=catalog.views,
        view_names=view_names,
        lowercase=options.lowercase,
        owner=options.owner,
        grants=parse_grants(options.grants),
    )
    plan = with_views(plan)
    return replace(plan, notes=(*plan.notes, *icu_notes(plan)))


@dataclass
class TablePlanner:
    """Plans one table; gathers what has no translation and what changed on the way."""

    table: SourceTable
    name: str
    types: Types
    census: Census
    references: References
    relations: Namespace
    index_names: Mapping[str, str]
    options: Options
    untranslated: list[SkippedObject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.table.columns) > MAX_COLUMNS:
            raise PlanError(
                f"{self.table.name}: {len(self.table.columns)} columns are more than the {MAX_COLUMNS} of PostgreSQL",
                f"leave it out with --exclude {self.table.name}, or split it in the source",
            )
        self.definition = self._read_definition()
        if not self._is_kept(self.table.name, self.name):
            self.notes.append(f"{self.table.name}: the table is called {self.name}, PostgreSQL allows 1 to 63 bytes")

    def plan(self) -> TablePlan:
        """The table without its foreign keys, which need the other tables' keys."""
        columns = self._columns()
        self.scope = self._scope(columns)
        generated = {fold(column.source.name): column for column in columns if column.source.generated}
        computed = GeneratedColumns(self.scope, self.definition.generated, generated)
        columns = tuple(self._with_expression(column, computed) for column in columns)
        by_name = {column.source.name: column for column in columns}
        keys = IndexPlanner(
            self.table,
            self.name,
            by_name,
            self.scope,
            self.definition,
            self.relations,
            self.index_names,
            self._null_keys(),
        ).plan()
        self.untranslated += keys.untranslated
        self.notes += keys.notes
        taken = (index.name for index in keys.indexes if index.constraint)
        self.constraints = Namespace(taken, lowercase=self.options.lowercase)
        self.constraints.taken |= {keys.primary_key_name} if keys.primary_key_name else set()
        self.planned = TablePlan(
            source=self.table,
            name=self.name,
            columns=columns,
            primary_key=keys.primary_key,
            primary_key_name=keys.primary_key_name,
            indexes=tuple(keys.indexes),
            checks=self._checks(),
        )
        self._list_what_has_no_counterpart()
        self.notes += exhausted_identity(self.planned)
        return self.planned

    def with_foreign_keys(self, tables: Mapping[str, TablePlan]) -> TablePlan:
        """The planned table with its foreign keys, once the keys of all ``tables`` are known."""
        listed = self.references[self.table.name]
        deferrals = self.definition.foreign_keys
        if len(deferrals) != len(listed):
            deferrals = [Deferral()] * len(listed)
        planner = ForeignKeyPlanner(self.planned, tables, self.constraints)
        keys = tuple(planner.plan(*pair) for pair in zip(listed, deferrals, strict=True))
        self.untranslated += planner.untranslated
        return replace(self.planned, foreign_keys=tuple(key for key in keys if key is not None))

    # --- columns ---------------------------------------------------------------------------------------------------

    def _columns(self) -> tuple[ColumnPlan, ...]:
        keyed = self._keyed_columns()
        names = column_names((column.name for column in self.table.columns), lowercase=self.options.lowercase)
        return tuple(
            self._column(column, name, column.name in keyed)
            for column, name in zip(self.table.columns, names, strict=True)
        )

    def _column(self, column: SourceColumn, name: str, keyed: bool) -> ColumnPlan:
        decision = self.types[self.table.name, column.name]
        identity = column.name == self.table.rowid_alias and decision.type.name in INTEGER_TYPES
        in_primary_key = column.key_position > 0 and not self._null_keys()
        by_bytes = self.options.text_collation == "C"
        plan = ColumnPlan(
            source=column,
            name=name,
            type=decision.type,
            not_null=in_primary_key or is_never_null(self.table, column),
            identity=identity,
            collation="C" if keyed and by_bytes and decision.type.name in TEXT_TYPES else None,
            note=decision.note,
            reading=reading_of(decision.type, decision.how, self.options),
            decided=decision.by_user,
        )
        plan = self._without_case(plan)
        if not self._is_kept(column.name, name):
            self.notes.append(f"{self.table.name}: the column {column.name!r} is called {name!r}")
        if column.default is None or identity or column.generated:
            return plan
        try:
            return replace(plan, default=translate_default(column.default, plan.type, plan.reading))
        except Untranslatable as reason:
            self._skip("default", column.default, str(reason), column.name)
            return plan

    def _without_case(self, plan: ColumnPlan) -> ColumnPlan:
        """The column as --nocase wants it."""
        if self.definition.collations.get(plan.source.name) != "NOCASE":
            return plan
        return without_case(plan, self.table, self.references[self.table.name], self.options.nocase)

    def _with_expression(self, column: ColumnPlan, computed: GeneratedColumns) -> ColumnPlan:
        """A generated column with its expression; where that has no translation, it holds today's values as data."""
        if not column.source.generated:
            return column
        try:
            return replace(column, generated=computed.expression(column))
        except Untranslatable as reason:
            kept = f"the column holds today's values as plain data: {reason}"
            sql = self.definition.generated.get(column.source.name, "…")
            self._skip("generated column", f"GENERATED ALWAYS AS ({sql})", kept, column.source.name)
            return column

    def _keyed_columns(self) -> set[str]:
        """Columns of keys, indexes and foreign keys: as text they are compared by bytes, as in SQLite."""
        keyed = set(self.table.primary_key)
        keyed |= {term.column for index in self.table.indexes for term in index.terms if term.column is not None}
        keyed |= {name for reference in self.references[self.table.name] for name in reference.source.columns}
        return keyed

    def _null_keys(self) -> frozenset[str]:
        return frozenset(
            name
            for name in self.table.primary_key
            if StorageClass.NULL in self.census.get((self.table.name, name), frozenset())
        )

    # --- constraints -----------------------------------------------------------------------------------------------

    def _scope(self, columns: Sequence[ColumnPlan]) -> Mapping[str, ScopeColumn]:
        collations = {fold(name): collation for name, collation in self.definition.collations.items()}
        return {
            fold(column.source.name): ScopeColumn.of(
                column, self.table.name, collations.get(fold(column.source.name), "BINARY")
            )
            for column in columns
        }

    def _checks(self) -> tuple[CheckPlan, ...]:
        checks = []
        for check in self.definition.checks:
            try:
                condition = translate_condition(check.sql, self.scope)
            except Untranslatable as reason:
                self._skip("check", f"CHECK ({check.sql})", str(reason), check.column)
                continue
            derived = "_".join(part for part in (self.name, check.column, "check") if part)
            checks.append(CheckPlan(self.constraints.take(check.name or derived), condition))
        return tuple(checks)

    # --- what is only listed ---------------------------------------------------------------------------------------

    def _is_kept(self, source: str, target: str) -> bool:
        """Whether a name has not changed, but for what --lowercase says of all names."""
        return target == (fold(source) if self.options.lowercase else source)

    def _read_definition(self) -> TableDefinition:
        if self.table.module is not None:  # its text says nothing of columns
            return TableDefinition()
        try:
            return read_table_definition(self.table.sql)
        except UnreadableDefinition as reason:
            why = f"could not be read for CHECK, COLLATE, ON CONFLICT and DEFERRABLE: {reason}"
            self._skip("table text", self.table.sql, why)
            return TableDefinition()

    def _list_what_has_no_counterpart(self) -> None:
        by_case = {c.source.name for c in self.planned.columns if c.type.name in TEXT_TYPES} - {
            c.source.name for c in self.planned.columns if c.collation == NOCASE_COLLATION
        }
        for column, collation in self.definition.collations.items():
            if collation != "BINARY" and column in by_case:
                why = "comparisons with = and ORDER BY see the bytes in PostgreSQL"
                if collation == "NOCASE":
                    why = "comparisons with = and ORDER BY are case-sensitive in PostgreSQL"
                self._skip("collation", f"COLLATE {collation}", why, column)
        for place, clause in self.definition.conflicts:
            if clause not in SAME_AS_NONE:
                self._skip("conflict clause", clause, "PostgreSQL has it in INSERT … ON CONFLICT only", place)

    def _skip(self, kind: str, sql: str, reason: str, column: str | None = None) -> None:
        name = f"{self.table.name}.{column}" if column else self.table.name
        self.untranslated.append(SkippedObject(kind, name, sql, reason, table=self.table.name))
