"""Compares the target's schema objects, as pg_catalog tells them, with the plan.

Invariant: nothing is believed because it was issued. An object counts when the catalog shows it whole (valid,
validated, enforced), a foreign key when no row is without its parent, a sequence when its next value is free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg

from etl.model import Difference, PgType, Plan, Way
from etl.verify.schema.catalog_columns import read_types
from etl.verify.schema.catalog_rows import read_catalog
from etl.verify.schema.check_objects import compare_checks
from etl.verify.schema.column_objects import compare_columns
from etl.verify.schema.foreign_key_objects import compare_foreign_keys, find_orphans
from etl.verify.schema.index_objects import compare_indexes
from etl.verify.schema.object_differences import object_difference
from etl.verify.schema.object_expressions import compare_expressions
from etl.verify.schema.relation_objects import compare_relation
from etl.verify.schema.sequence_objects import compare_sequences
from etl.verify.schema.view_objects import compare_views


async def read_columns(
    target: asyncpg.Connection, schema: str, tables: Sequence[str]
) -> Mapping[str, Mapping[str, PgType]]:
    """The columns of the tables that exist in ``schema``, with their types: table → column → type."""
    return await read_types(target, schema, tables)


async def compare_objects(target: asyncpg.Connection, plan: Plan, schema: str) -> tuple[Difference, ...]:
    """What of the plan's columns, keys, constraints, indexes and sequences ``schema`` does not hold as planned."""
    catalog = await read_catalog(target, schema, [table.name for table in plan.tables])
    missing = [table for table in plan.tables if table.name not in catalog.columns]
    there = [table for table in plan.tables if table.name in catalog.columns]
    # of a table that was there before, the definitions are compared with what they were
    created = [table for table in there if table.way is Way.CREATE]
    differences = [object_difference(table, table.name, "a table", "nothing") for table in missing]
    differences += [one for table in there for one in compare_relation(table, catalog)]
    differences += [one for table in created for one in compare_columns(table, catalog)]
    for table in created:
        differences += await compare_checks(target, table, schema, catalog)
    differences += await compare_indexes(target, created, schema, catalog)
    differences += await compare_expressions(target, created, schema, catalog)
    differences += [one for table in created for one in compare_foreign_keys(table, schema, catalog)]
    differences += await find_orphans(target, created, schema, catalog)
    differences += await compare_sequences(target, there, schema, catalog)
    places = {table.source.name: place for place, table in enumerate(plan.tables)}
    differences.sort(key=lambda difference: places[difference.table])
    return (*differences, *await compare_views(target, plan, schema))
