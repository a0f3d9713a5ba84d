"""Rows of the source whose foreign keys lead nowhere, told before their foreign keys are built.

Invariant: only foreign keys that are planned are asked for, in the source's own names.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace

from etl.errors import OrphansError, TargetError
from etl.extract.orphans import read_orphans
from etl.extract.snapshot import Snapshot
from etl.load.violations import FOREIGN_KEY_VIOLATION
from etl.model import Orphans, Plan, Refusal, SourceForeignKey, StorageClass, TablePlan
from etl.options import Options
from etl.phases.clock import Clock
from etl.table_keys import list_orphans

TablesByName = Mapping[str, TablePlan]  # by target name
NAMED_ORPHANS = 20
WAYS_OUT = (
    "correct or delete these rows ({command} lists them), set them aside with"
    " --orphans reject, or leave the foreign key NOT VALID with --orphans not-valid"
)
IN_PLACE = (
    "correct or delete these rows; --orphans has no say while the foreign key stays where it is: run as the owner of"
    " both tables, with its triggers enabled, and without --per-table"
)


async def read_all_orphans(snapshot: Snapshot, plan: Plan, clock: Clock) -> tuple[Orphans, ...]:
    """Of every foreign key that is planned."""
    if not any(table.foreign_keys for table in plan.tables):
        return ()
    with clock.phase("orphans"):
        tables = _by_name(plan)
        found = [await _orphans_of(snapshot, table, tables) for table in plan.tables]
    return tuple(orphans for listed in found for orphans in listed)


async def refuse_orphans(snapshot: Snapshot, plan: Plan, options: Options) -> None:
    """Raise OrphansError for rows whose foreign key has no parent, unless the user has said what becomes of them.

    Runs beside the load: whoever waits for it hears of orphans long before their foreign key is built.
    """
    if options.orphan_rule != "stop" or options.on_error != "stop":
        return
    found: list[Orphans] = []
    tables = _by_name(plan)
    for table in plan.tables:
        found += await _orphans_of(snapshot, table, tables, NAMED_ORPHANS)
    if found:
        raise orphans_error(found)


async def refuse_orphans_of(snapshot: Snapshot, plan: Plan, keys: Collection[tuple[str, str]]) -> None:
    """Raise OrphansError for rows without a parent under foreign keys that stay in place: (target table, its name)."""
    found: list[Orphans] = []
    tables = _by_name(plan)
    for table in plan.tables:
        own = tuple(key for key in table.foreign_keys if (table.name, key.name) in keys)
        found += await _orphans_of(snapshot, replace(table, foreign_keys=own), tables, NAMED_ORPHANS)
    if found:
        raise orphans_error(found, IN_PLACE)


@contextlib.asynccontextmanager
async def orphans_named(snapshot: Snapshot, plan: Plan) -> AsyncIterator[None]:
    """Where the server refuses a row without a parent in the block, list all of them as the source has them.

    It names one at most, and only in its own words, where a foreign key of the target's stays in place.
    """
    try:
        yield
    except TargetError as error:
        if error.sqlstate != FOREIGN_KEY_VIOLATION:
            raise
        tables = _by_name(plan)
        listed = [await _orphans_of(snapshot, table, tables, NAMED_ORPHANS, declared=False) for table in plan.tables]
        found = [orphans for some in listed for orphans in some]
        if not found:
            raise
        raise orphans_error(found, IN_PLACE) from error


def orphans_error(found: Sequence[Orphans], hint: str = WAYS_OUT) -> OrphansError:
    """The first rows of each foreign key, one by one."""
    refusals = [
        Refusal(
            orphans.table,
            key,
            ", ".join(orphans.columns),
            StorageClass.NULL,
            value,
            f"{value} has no parent in {orphans.parent}",
            hint.format(command=list_orphans(orphans.table)),
        )
        for orphans in found
        for key, value in orphans.samples or [(orphans.first_key, "the foreign key")]
    ]
    return OrphansError(refusals[:NAMED_ORPHANS], sum(orphans.count for orphans in found))


async def _orphans_of(
    snapshot: Snapshot, table: TablePlan, tables: TablesByName, samples: int = 0, *, declared: bool = True
) -> list[Orphans]:
    """Without those of foreign keys that only SQLite has: a table that was there may lack one.

    ``declared``: and without those that only the target has, whose values may be the same there alone.
    """
    known = {key.columns for key in table.source.foreign_keys}
    keys = [key for key in _source_keys(table, tables) if not declared or key.columns in known]
    planned = {key.columns for key in keys}
    found = await read_orphans(snapshot.python, table.source, keys, samples)
    return [orphans for orphans in found if orphans.columns in planned]


def _source_keys(table: TablePlan, tables: TablesByName) -> list[SourceForeignKey]:
    """The planned foreign keys in the source's own names, where the parent is part of the run."""
    own = _source_names(table)
    keys = []
    for key in table.foreign_keys:
        parent = tables.get(key.parent)
        names = {} if parent is None else _source_names(parent)
        if parent is not None and names.keys() >= set(key.parent_columns):
            columns = tuple(own[name] for name in key.columns)
            keys.append(SourceForeignKey(columns, parent.source.name, tuple(names[n] for n in key.parent_columns)))
    return keys


def _source_names(table: TablePlan) -> Mapping[str, str]:
    return {column.name: column.source.name for column in table.columns}


def _by_name(plan: Plan) -> TablesByName:
    """Made once a plan: with thousands of tables, once a table would be minutes."""
    return {table.name: table for table in plan.tables}
