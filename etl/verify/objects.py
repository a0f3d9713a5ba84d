"""Compares the target's schema objects, as pg_catalog tells them, with the plan.

Invariant: nothing is believed because it was issued. An object counts when the catalog shows it whole (valid,
validated, enforced), a foreign key when no row is without its parent, a sequence when its next value is free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from etl.model import NOCASE_COLLATION, NOCASE_LOCALE, Difference, ForeignKeyPlan, PgType, Plan, TablePlan, Way
from etl.verify.catalog_rows import Catalog, Constraint, Index, read_catalog, read_types
from etl.verify.object_expressions import compare_expressions
from etl.verify.readings import quoted
from etl.verify.view_objects import compare_views

SHOWN_ORPHANS = 3


async def read_columns(
    target: asyncpg.Connection, schema: str, tables: Sequence[str]
) -> Mapping[str, Mapping[str, PgType]]:
    """The columns of the tables that exist in ``schema``, with their types: table → column → type."""
    return await read_types(target, schema, tables)


async def compare_objects(target: asyncpg.Connection, plan: Plan, schema: str) -> tuple[Difference, ...]:
    """What of the plan's columns, keys, constraints, indexes and sequences ``schema`` does not hold as planned."""
    catalog = await read_catalog(target, schema, [table.name for table in plan.tables])
    differences: list[Difference] = []
    for table in plan.tables:
        if table.name not in catalog.columns:
            differences.append(_object(table, table.name, "a table", "nothing"))
            continue
        if table.way is Way.CREATE:  # of a table that was there the definitions are compared with what they were
            differences += _compare_columns(table, catalog)
            differences += _compare_keys(table, catalog)
            differences += await _compare_checks(target, table, schema, catalog)
            differences += _compare_indexes(table, catalog)
            differences += await compare_expressions(target, table, schema, catalog)
            differences += _compare_foreign_keys(table, catalog)
            differences += await _find_orphans(target, table, schema, catalog)
        differences += await _compare_sequences(target, table, schema, catalog)
    return (*differences, *await compare_views(target, plan, schema))


def _object(table: TablePlan, name: str, expected: str, actual: str, column: str | None = None) -> Difference:
    return Difference(table.source.name, "object", name, column=column, expected=expected, actual=actual)


def _compare_columns(table: TablePlan, catalog: Catalog) -> Iterator[Difference]:
    found = catalog.columns[table.name]
    for column in table.columns:
        there = found.get(column.name)
        if there is None:
            yield _object(table, column.name, str(column.type), "nothing", column.source.name)
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
            yield _object(table, column.name, wanted, actual, column.source.name)


def _collated(name: str | None, nondeterministic_locale: str | None) -> str:
    rule = f" (not deterministic, {nondeterministic_locale})" if nondeterministic_locale else ""
    return f' collate "{name}"{rule}' if name else ""


def _kind_of_generation(generated: bool, virtual: bool) -> str:
    return (" generated virtual" if virtual else " generated") if generated else ""


def _in_key(table: TablePlan, column: str) -> bool:
    """A primary key makes its columns NOT NULL, whatever the plan says of them."""
    return column in table.primary_key


def _compare_keys(table: TablePlan, catalog: Catalog) -> Iterator[Difference]:
    constraints = catalog.constraints.get(table.name, ())
    keys = [constraint for constraint in constraints if constraint.kind == "p"]
    if table.primary_key:
        name = table.primary_key_name or f"{table.name}_pkey"
        actual = _columns(keys[0].columns) if keys else "nothing"
        if actual != _columns(table.primary_key):
            yield _object(table, name, f"primary key {_columns(table.primary_key)}", actual)


async def _compare_checks(
    target: asyncpg.Connection, table: TablePlan, schema: str, catalog: Catalog
) -> list[Difference]:
    """Each planned CHECK; one that is missing is no difference where the rows contradict it.

    SQLite can be told to ignore its CHECKs, and PostgreSQL cannot hold one that its rows do not keep.
    """
    differences = []
    for check in table.checks:
        constraints = catalog.constraints.get(table.name, ())
        found = next((one for one in constraints if one.kind == "c" and one.name == check.name), None)
        if found is not None and found.whole:
            continue
        if found is None and await _is_contradicted(target, table, schema, check.condition):
            continue
        differences.append(_object(table, check.name, "a check of all rows", _state(found)))
    return differences


async def _is_contradicted(target: asyncpg.Connection, table: TablePlan, schema: str, condition: str) -> bool:
    """Whether a row of the target makes the condition false; not where the server cannot tell."""
    rows = f"only {quoted(schema)}.{quoted(table.name)}"
    try:
        async with target.transaction():  # inside a running one a savepoint
            contradicted: bool = await target.fetchval(f"select exists (select from {rows} where not ({condition}))")
    except asyncpg.PostgresError:
        return False
    return contradicted


def _compare_indexes(table: TablePlan, catalog: Catalog) -> Iterator[Difference]:
    indexes = catalog.indexes.get(table.name, ())
    for plan in table.indexes:
        wanted = _IndexShape(plan.unique or plan.constraint, len(plan.terms), plan.predicate is not None)
        found = _find_index(indexes, plan.name, _plain_terms(plan.terms), wanted)
        if found is None:
            yield _object(table, plan.name, _say_index(plan.terms, wanted), "nothing")
            continue
        shape = _IndexShape(found.unique, len(found.terms), found.predicate is not None)
        named = _plain_terms(plan.terms)
        same = all(ours is None or ours == theirs for ours, theirs in zip(named, found.terms, strict=False))
        if not found.valid:
            yield _object(table, plan.name, _say_index(plan.terms, wanted), "an index that is not valid")
        elif shape != wanted or not same or (plan.constraint and not found.constraint):
            yield _object(table, plan.name, _say_index(plan.terms, wanted), found.definition)


@dataclass(frozen=True, slots=True)
class _IndexShape:
    unique: bool
    term_count: int
    partial: bool


def _find_index(
    indexes: Sequence[Index], name: str, terms: Sequence[tuple[str, bool] | None], wanted: _IndexShape
) -> Index | None:
    """The index of that name; without one, an index of another name over the same plain columns."""
    for index in indexes:
        if index.name == name:
            return index
    for index in indexes:
        shape = _IndexShape(index.unique, len(index.terms), index.predicate is not None)
        if shape == wanted and not wanted.partial and None not in terms and list(index.terms) == list(terms):
            return index
    return None


def _plain_terms(terms: Sequence[str]) -> list[tuple[str, bool] | None]:
    """(column, descending) of each term that is a quoted column name; None for anything else."""
    plain: list[tuple[str, bool] | None] = []
    for term in terms:
        bare = term.removesuffix(" DESC").removesuffix(" desc")
        inner = bare[1:-1]
        is_name = len(bare) > 2 and bare[0] == bare[-1] == '"' and '"' not in inner.replace('""', "")
        plain.append((inner.replace('""', '"'), bare != term) if is_name else None)
    return plain


def _say_index(terms: Sequence[str], shape: _IndexShape) -> str:
    return f"{'a unique' if shape.unique else 'an'} index on ({', '.join(terms)})" + (
        " where …" if shape.partial else ""
    )


def _compare_foreign_keys(table: TablePlan, catalog: Catalog) -> Iterator[Difference]:
    for plan in table.foreign_keys:
        found = _find_foreign_key(plan, catalog.constraints.get(table.name, ()))
        wanted = _say_reference(plan.columns, plan.parent, plan.parent_columns, plan.on_update, plan.on_delete)
        if plan.deferrable:
            wanted += " deferrable" + (" initially deferred" if plan.initially_deferred else "")
        wanted += "" if plan.validated else " not valid"
        actual = "nothing"
        if found is not None:
            actual = _say_reference(found.columns, found.parent, found.parent_columns, found.on_update, found.on_delete)
            if found.deferrable:
                actual += " deferrable" + (" initially deferred" if found.deferred else "")
            actual += "" if found.whole else " not valid"
        if actual != wanted:
            yield _object(table, plan.name, wanted, actual)


def _find_foreign_key(plan: ForeignKeyPlan, constraints: Sequence[Constraint]) -> Constraint | None:
    keys = [constraint for constraint in constraints if constraint.kind == "f"]
    for key in keys:
        if key.name == plan.name:
            return key
    return next((key for key in keys if (key.columns, key.parent) == (plan.columns, plan.parent)), None)


def _say_reference(
    columns: Sequence[str], parent: str, parent_columns: Sequence[str], on_update: str, on_delete: str
) -> str:
    actions = f"on update {on_update} on delete {on_delete}"
    return f"{_columns(columns)} references {parent} {_columns(parent_columns)} {actions}"


def _columns(names: Sequence[str]) -> str:
    return f"({', '.join(names)})"


def _state(constraint: Constraint | None) -> str:
    return "nothing" if constraint is None else "a constraint that is not validated"


async def _find_orphans(
    target: asyncpg.Connection, table: TablePlan, schema: str, catalog: Catalog
) -> list[Difference]:
    """Rows whose parent is missing, whatever the constraint says of itself."""
    differences = []
    for plan in table.foreign_keys:
        if not plan.validated or not _can_be_joined(table, plan, catalog):
            continue
        child = f"only {quoted(schema)}.{quoted(table.name)}"
        parent = f"only {quoted(schema)}.{quoted(plan.parent)}"
        given = " and ".join(f"child.{quoted(name)} is not null" for name in plan.columns)
        pairs = zip(plan.columns, plan.parent_columns, strict=True)
        same = " and ".join(f"parent.{quoted(theirs)} = child.{quoted(ours)}" for ours, theirs in pairs)
        ours_there = all(name in catalog.columns[table.name] for name in table.primary_key)
        names = table.primary_key if table.primary_key and ours_there else plan.columns
        shown = ", ".join(f"child.{quoted(name)}::text" for name in names)
        rows = await target.fetch(
            f"select count(*) over () as orphans, array[{shown}] as key from {child} as child"
            f" where {given} and not exists (select from {parent} as parent where {same}) limit {SHOWN_ORPHANS}"
        )
        if rows:
            keys = "; ".join(", ".join(f"{n}={v}" for n, v in zip(names, row["key"], strict=True)) for row in rows)
            found = f"{rows[0]['orphans']:,} without one, as {keys}"
            differences.append(_object(table, plan.name, f"a parent in {plan.parent} for every row", found))
    return differences


def _can_be_joined(table: TablePlan, plan: ForeignKeyPlan, catalog: Catalog) -> bool:
    """Whether both ends are there: what is missing is told elsewhere."""
    ours, theirs = catalog.columns[table.name], catalog.columns.get(plan.parent, {})
    return all(name in ours for name in plan.columns) and all(name in theirs for name in plan.parent_columns)


async def _compare_sequences(
    target: asyncpg.Connection, table: TablePlan, schema: str, catalog: Catalog
) -> list[Difference]:
    """An identity's next value must lie above every key, and above SQLite's high-water mark.

    So must that of a serial column, in a table that the target had.
    """
    differences = []
    for column in table.columns:
        there = catalog.columns[table.name].get(column.name)
        planned = column.identity or table.way is Way.FILL
        if not planned or there is None or not (there.identity or table.way is Way.FILL):
            continue  # a column that is no identity is told by its columns
        name = f"{quoted(schema)}.{quoted(table.name)}"
        sequence = await target.fetchval("select pg_catalog.pg_get_serial_sequence($1, $2)", name, column.name)
        if sequence is None and not column.identity:
            continue  # nor is it serial
        if sequence is None:
            differences.append(_object(table, column.name, "an identity sequence", "nothing", column.source.name))
            continue
        largest = await target.fetchval(f"select max({quoted(column.name)}) from {name}")
        next_value = await target.fetchval(
            f"select case when s.is_called then s.last_value::numeric + q.seqincrement else s.last_value end"
            f" from {sequence} as s, pg_catalog.pg_sequence as q where q.seqrelid = $1::text::regclass",
            sequence,
        )
        counted = table.way is Way.CREATE or column.source.name == table.source.rowid_alias
        given = table.source.sequence if counted else None
        taken = max(largest or 0, given or 0)
        if next_value <= taken:
            wanted = f"a next value above {taken}"
            differences.append(_object(table, column.name, wanted, f"next value {next_value}", column.source.name))
    return differences
