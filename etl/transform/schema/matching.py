"""Match a plan with the tables that the target has already: those are filled, the others are created.

Invariant: what the target says of its tables rules (names, types with their precision, NOT NULL); a source column
without a place there, and a place that must hold a value and gets none, is an error that names it, before a row moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from etl.errors import PlanError, UsageError
from etl.model import (
    BINARY_JSON,
    ColumnPlan,
    Plan,
    SkippedObject,
    SourceView,
    TablePlan,
    TargetColumn,
    TargetTable,
    Way,
)
from etl.options import Options
from etl.transform.schema.adoption import adopt_parents
from etl.transform.schema.casts import matches_glob, near_misses
from etl.transform.schema.column_readings import check_how, reading_of
from etl.transform.schema.exhaustion import exhausted_sequence
from etl.transform.schema.ignored_columns import check_ignored, how_to_ignore, is_ignored, led_to
from etl.transform.schema.names import quote
from etl.transform.schema.target_types import target_type
from etl.transform.schema.views import with_views

NAMED_AT_MOST = 10


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def match_target(plan: Plan, found: Sequence[TargetTable], options: Options) -> Plan:
    """The plan with a way for every table; ``found`` are the relations of the target that bear a name of its.

    Raises PlanError for what does not fit, all of it at once; UsageError for a flag that matches nothing.
    """
    tables = [table for table in found if table.is_fillable]
    kept = _kept_tables(plan, tables, options.keep)
    planned = [table for table in plan.tables if find(table.name, tables) not in kept]
    check_ignored(plan.tables, options.ignore_columns)
    matching = _Matching(options, planned)
    matched = tuple(matching.match(table, find(table.name, tables)) for table in planned)
    if matching.problems:
        raise _all_problems(matching.problems, options)
    views = tuple(_missing_views(plan, found, options))
    plan = replace(
        plan,
        tables=matched,
        kept=tuple(table.name for table in kept),
        notes=(*_notes_on(plan, matched), *matching.notes),
        untranslated=tuple(_still_untranslated(plan, matched, views)),
        source_views=views,
    )
    return with_views(adopt_parents(plan, [table for table in tables if options.mode != "replace"], options))


def check_per_table(plan: Plan, options: Options) -> None:
    """Raise UsageError where --per-table cannot keep even its weaker promise."""
    if not options.per_table or not plan.filled.tables:
        return
    if options.force or options.empty:
        raise UsageError(
            "--per-table and --force: rows would be gone for good before all new ones are there",
            "leave one of the two out",
        )


def find(name: str, among: Iterable[N]) -> N | None:
    """The one of that name; without it the only one that is called so in other letters, upper or lower."""
    listed = list(among)
    exact = next((one for one in listed if one.name == name), None)
    if exact is not None:
        return exact
    alike = [one for one in listed if one.name.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def tables_with_rows(plan: Plan, found: Sequence[TargetTable], options: Options) -> tuple[str, ...]:
    """The tables to be filled that hold rows already which may not give way, as ``schema.name``."""
    filled = {table.name for table in plan.filled.tables if not options.may_empty(table.name)}
    return tuple(f"table {plan.schema}.{one.name}" for one in found if one.name in filled and not one.is_empty)


@dataclass
class _Matching:
    """Matches one table after the other; gathers what does not fit and what is to be said."""

    options: Options
    tables: Sequence[TablePlan]  # of the run
    problems: list[tuple[str, str]] = field(default_factory=list)  # what, and the flag or command that solves it
    notes: list[str] = field(default_factory=list)
    refused: set[tuple[str, str]] = field(default_factory=set)  # table and column of the target, already a problem

    def match(self, table: TablePlan, there: TargetTable | None) -> TablePlan:
        """The table under its way; where something is wrong, whatever, and a problem more."""
        mode = self.options.mode
        if there is None:
            if mode == "fill":
                self.problems.append(
                    (f"{table.name}: the target has no such table", f"--exclude '{table.source.name}'")
                )
            return replace(table, why="the target has no such table")
        if mode == "create":
            return table  # it is in the way, and that is told with everything else that is
        if mode == "replace":
            return replace(table, why="in place of the one that is there")
        return self._fill(table, there)

    def _fill(self, table: TablePlan, there: TargetTable) -> TablePlan:
        columns = tuple(column for column in (self._column(table, one, there) for one in table.columns) if column)
        names = {column.name for column in columns}
        if there.hides_rows:
            what = f"row security of {there.name} applies to the role, and would hide rows from the run"
            owner = f", or: alter table {self._quoted(there)} no force row level security" if there.is_owned else ""
            self.problems.append((what, f"connect as a role with bypassrls{owner}"))
        for column in there.columns:
            is_told = column.name in names or (there.name, column.name) in self.refused
            if column.not_null and not column.has_default and not column.generated and not is_told:
                what = f"{there.name}.{column.name}: is NOT NULL in the target without a default, and gets no value"
                alter = f"alter table {self._quoted(there)} alter {quote(column.name)} set default …"
                self.problems.append((what, f"give it one: {alter}"))
        if not any(column.generated is None for column in columns):
            self.problems.append((f"{there.name}: no column has the name of one in the target", "--exclude the table"))
        sources = tuple(column.source for column in columns)
        source_names = {source.name for source in sources}
        whole_key = set(there.primary_key) <= names
        return replace(
            table,
            source=replace(
                table.source,
                columns=sources,
                primary_key=table.source.primary_key if source_names.issuperset(table.source.primary_key) else (),
            ),
            name=there.name,
            columns=columns,
            primary_key=there.primary_key if whole_key else (),
            primary_key_name=None,
            indexes=(),
            foreign_keys=tuple(key for key in there.foreign_keys if names.issuperset(key.columns)),
            checks=(),
            way=Way.FILL,
            why=_why_filled(there, self.options.may_empty(there.name)),
        )

    def _quoted(self, there: TargetTable) -> str:
        return f"{quote(self.options.target_schema)}.{quote(there.name)}"

    def _column(self, table: TablePlan, column: ColumnPlan, there: TargetTable) -> ColumnPlan | None:
        place = f"{table.source.name}.{column.source.name}"
        target = find(column.name, there.columns) or find(column.source.name, there.columns)
        if is_ignored(place, self.options.ignore_columns):
            if leading := led_to(table, column.source.name, target, self.tables, self.options.ignore_columns):
                what = f"{place}: the target would give its rows other values than those that {leading} leads to"
                self.problems.append((what, f"do not leave it behind (--ignore-columns), or {leading} with it"))
            self.notes.append(f"{place}: left out (--ignore-columns)")
            return None
        if target is None:
            self.problems.append((f"{place}: the target's table {there.name} has no such column", how_to_ignore(place)))
            return None
        try:
            fitted = _fit_column(column, target, place, self.options)
        except PlanError as error:
            if target.generated:
                self.notes.append(f"{place}: left out, the target computes {there.name}.{target.name} itself")
                return None
            hint = error.hint or how_to_ignore(place)
            if target.not_null and not target.has_default:  # to leave the column out alone would not do
                hint = f"--keep '{table.source.name}' leaves the table as the target has it"
            self.problems.append((error.message, hint))
            self.refused.add((there.name, target.name))
            return None
        if column.source.name == table.source.rowid_alias:
            self.notes += exhausted_sequence(table.source, target)
        if column.decided and not fitted.decided and fitted.type != column.type:
            self.notes.append(f"{place}: --cast has no say, the target's own column is {fitted.type}")
        return fitted


def _fit_column(column: ColumnPlan, target: TargetColumn, place: str, options: Options) -> ColumnPlan:
    """The column under the type that the target gives it; a reading that the user chose stays."""
    kind = target_type(target, place)
    how = column.reading.how
    if how == BINARY_JSON and kind.name not in ("json", "jsonb"):
        how = None
    elif how is not None and how != BINARY_JSON:
        how = check_how(kind, how, f"--cast {place}") if column.decided else None
    reading = reading_of(kind, how, options)
    return ColumnPlan(
        source=column.source,
        name=target.name,
        type=kind,
        not_null=target.not_null,
        identity=target.identity,
        generated="the target's own expression" if target.generated else None,
        reading=replace(reading, null_as=column.reading.null_as),
        decided=how is not None and column.decided,
        fixed=True,
    )


def _why_filled(there: TargetTable, may_empty: bool) -> str:
    why = "it is there, empty" if there.is_empty else "it is there with rows"
    if not there.is_empty:
        why += (
            ", which are taken away, as was asked for" if may_empty else ": --force takes them away, --keep leaves them"
        )
    if not there.is_owned:
        why += "; the role does not own it: constraints are checked row by row, and its triggers fire"
    return why


# --- flags ---------------------------------------------------------------------------------------------------------


def _kept_tables(plan: Plan, tables: Sequence[TargetTable], globs: Sequence[str]) -> list[TargetTable]:
    """The tables of the target that --keep names; raises UsageError for a glob that names none."""
    there = {table.name: find(table.name, tables) for table in plan.tables}
    for glob in globs:
        if not any(target is not None and matches_glob(name, glob) for name, target in there.items()):
            hint = near_misses(glob, [name for name, target in there.items() if target is not None])
            raise UsageError(f"--keep {glob!r} matches no table that both source and target have", hint)
    return [
        target
        for name, target in there.items()
        if target is not None and any(matches_glob(name, glob) for glob in globs)
    ]


# --- what is said --------------------------------------------------------------------------------------------------


def _all_problems(problems: Sequence[tuple[str, str]], options: Options) -> PlanError:
    messages = [what for what, _ in problems]
    hints = list(dict.fromkeys(hint for _, hint in problems))
    more = f"; and {len(messages) - NAMED_AT_MOST} more" if len(messages) > NAMED_AT_MOST else ""
    if options.mode == "auto":
        hints.append("--mode replace, or another --target-schema, for tables of the run's own making")
    return PlanError("; ".join(messages[:NAMED_AT_MOST]) + more, "; ".join(hints[:NAMED_AT_MOST]))


def _notes_on(plan: Plan, matched: Sequence[TablePlan]) -> tuple[str, ...]:
    """The notes without those on names that the target has its own way with."""
    filled = {table.source.name for table in matched if table.way is Way.FILL}
    created = {table.source.name for table in matched} - filled
    dropped = tuple(name for name in filled if name not in created)
    return tuple(note for note in plan.notes if not note.startswith(tuple(f"{name}:" for name in dropped)))


def _still_untranslated(
    plan: Plan, matched: Sequence[TablePlan], views: Sequence[SourceView]
) -> Iterable[SkippedObject]:
    """Without what the target's own schema has decided: constraints and triggers of its own tables and views."""
    made = {table.source.name for table in matched if table.way is Way.CREATE} | {view.name for view in views}
    return (thing for thing in plan.untranslated if thing.table is None or thing.table in made)


def _missing_views(plan: Plan, found: Sequence[TargetTable], options: Options) -> Iterable[SourceView]:
    """The views to create: those of that name which the target has are the application's own."""
    there = {one.name.lower() for one in found if one.kind in ("view", "materialized view")}
    return (
        view for view in plan.source_views if view.name.lower() not in there or options.mode not in ("auto", "fill")
    )
