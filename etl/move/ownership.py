"""Step 5, ownership: the rows of the time before there were owners get theirs.

Where the target's column may not be NULL, they get it during the transfer (rule ``owner-backfilled``); else an update
of only the rows that ``where`` names, all tables in one transaction, the counts taken in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg

from etl.backfills import with_backfills
from etl.counted_nouns import counted
from etl.errors import TargetError
from etl.move.move_plan import BackfillPlan
from etl.move.placeholders import fill
from etl.move.situation import Situation
from etl.move.step_outcome import DONE, SKIPPED, StepError, StepOutcome
from etl.move.target_tables import TargetColumn, read_columns
from etl.options import Backfill
from etl.phases.enquiry import open_source, open_target, quoted
from etl.report import Report
from etl.threads import in_thread

Columns = Mapping[str, Mapping[str, TargetColumn]]


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What one backfill did; ``incomplete`` rows have some of its columns and not the others.

    ``is_filling``: what was NULL in these columns, and nothing else, has become the values.
    """

    table: str
    rows: int
    named_before: int
    named_after: int
    incomplete: int
    is_filling: bool

    @property
    def line(self) -> str:
        text = f"{self.table}: {counted(self.rows, 'row')} got their owner"
        if not self.named_before:
            text = (
                f"{self.table}: no row is without an owner (any more: what may not be NULL was filled in the transfer)"
            )
        if self.named_after:
            text += f"; where still names {self.named_after:,}"
        return text + (f"; {counted(self.incomplete, 'row')} with an owner in part only" if self.incomplete else "")


async def backfill(situation: Situation) -> StepOutcome:
    """Update what the plan names; raises StepError for a table or column that the target does not have."""
    plans = situation.plan.backfills
    if not plans:
        return StepOutcome("backfill", SKIPPED, ("the plan names no [[backfill]]",))
    columns = await _columns(situation)
    for plan in plans:
        _check_columns(plan, columns, situation.options.target_schema)
    done = await _update_all(situation, columns)
    data: dict[str, object] = {
        entry.table: {"rows": entry.rows, "named_before": entry.named_before, "incomplete": entry.incomplete}
        for entry in done
    }
    data["filled"] = {
        f"{plan.table}.{name}": value
        for plan, entry in zip(plans, done, strict=True)
        if entry.rows and entry.is_filling
        for name, value in _values(plan, situation).items()
    }
    changed = tuple(f"{counted(entry.rows, 'row')} of {entry.table} got their owner" for entry in done if entry.rows)
    return StepOutcome("backfill", DONE, tuple(entry.line for entry in done), data, changed)


def with_owners(report: Report, outcome: StepOutcome) -> Report:
    """The transfer's report with what the update has filled in its plan, so that `etl verify --plan` knows of it."""
    places = [(tuple(place.rsplit(".", 1)), value) for place, value in outcome.data.get("filled", {}).items()]
    backfills = [Backfill(table, column, value) for (table, column), value in places]
    there = {(table.source.name, column.source.name) for table in report.plan.tables for column in table.columns}
    known = [backfill for backfill in backfills if (backfill.table, backfill.column) in there]
    return replace(report, plan=with_backfills(report.plan, known))


async def _update_all(situation: Situation, columns: Columns) -> list[Backfilled]:
    """All of them in one transaction; raises StepError for what the server says."""
    options, done = situation.options, []
    try:
        async with open_target(options.target) as connection, connection.transaction():
            await connection.execute(f"set local search_path = {quoted(options.target_schema)}, pg_catalog")
            for plan in situation.plan.backfills:
                done.append(  # noqa: PERF401 - what is done tells below which one failed
                    await _update(connection, plan, columns[plan.table], _values(plan, situation))
                )
    except TargetError as error:
        named = [plan.table for plan in situation.plan.backfills[len(done) :]][:1]
        hint = error.hint or "no row has been changed: correct the plan or the target, and --resume"
        raise StepError(f"[[backfill]] {''.join(named) or 'commit'}: {error.message}", hint) from error
    return done


async def _update(
    connection: asyncpg.Connection, plan: BackfillPlan, columns: Mapping[str, TargetColumn], values: Mapping[str, str]
) -> Backfilled:
    names = list(values)
    # by way of text, so that the server reads the value as the column's type
    new = {name: f"cast(${place}::text as {columns[name].type})" for place, name in enumerate(names, 1)}
    table = quoted(plan.table)
    differs = " or ".join(f"{quoted(name)} is distinct from {new[name]}" for name in names)
    assigned = ", ".join(f"{quoted(name)} = {new[name]}" for name in names)
    named = f"select count(*) from {table} where ({plan.where})"
    before = await connection.fetchval(named)
    any_held = " or ".join(f"{quoted(name)} is not null" for name in names)
    overwritten = await connection.fetchval(f"{named} and ({any_held})")
    status = await connection.execute(
        f"update {table} set {assigned} where ({plan.where}) and ({differs})", *(values[name] for name in names)
    )
    nulls = " + ".join(f"({quoted(name)} is null)::int" for name in names)
    incomplete = await connection.fetchval(f"select count(*) from {table} where {nulls} between 1 and {len(names) - 1}")
    some_null = " or ".join(f"{quoted(name)} is null" for name in names)
    left = await connection.fetchval(f"select count(*) from {table} where {some_null}")
    after = await connection.fetchval(named)
    return Backfilled(plan.table, int(status.split()[-1]), before, after, incomplete, not overwritten and not left)


async def backfills_on_the_way(situation: Situation, source: Path) -> tuple[Backfill, ...]:
    """What the transfer itself must fill, since the target's columns may not be NULL.

    Raises StepError where filling NULLs would not do exactly what ``where`` says.
    """
    columns = await _columns(situation)
    found: list[Backfill] = []
    for plan in situation.plan.backfills:
        if plan.table not in columns:  # the run makes the table itself, its columns as in the source
            continue
        _check_columns(plan, columns, situation.options.target_schema)
        if any(columns[plan.table][name].not_null for name in plan.set):
            await in_thread(_check_source, source, plan)
            found += [Backfill(plan.table, name, value) for name, value in _values(plan, situation).items()]
    return tuple(found)


def _check_source(source: Path, plan: BackfillPlan) -> None:
    """Filling the NULLs of each column is the same as the update when ``where`` names just the rows that have them."""
    table = quoted(plan.table)
    with open_source(source) as connection:
        for name in plan.set:
            column = quoted(name)
            (kept,) = connection.execute(
                f"select count(*) from {table} where ({plan.where}) and {column} is not null"
            ).fetchone()
            (unnamed,) = connection.execute(
                f"select count(*) from {table} where {column} is null and not coalesce(({plan.where}), 0)"
            ).fetchone()
            if unnamed:
                rows = counted(unnamed, "row has", plural="rows have")
                raise StepError(
                    f"{plan.table}.{name}: {rows} none, and where does not name them",
                    f'incomplete rows: complete them in the source, or name them too: where = "{name} is null"',
                )
            if kept:
                rows = counted(kept, "row has", plural="rows have")
                raise StepError(
                    f"{plan.table}.{name}: {rows} an owner already, and the target's column is NOT NULL:"
                    " the transfer fills what is NULL and overwrites nothing",
                    f'narrow it: where = "{plan.where} and {name} is null"',
                )


async def _columns(situation: Situation) -> Columns:
    tables = sorted({plan.table for plan in situation.plan.backfills})
    if not tables:
        return {}
    return await read_columns(situation.options.target, situation.options.target_schema, tables)


def _check_columns(plan: BackfillPlan, columns: Columns, schema: str) -> None:
    if plan.table not in columns:
        raise StepError(f"[[backfill]] {plan.table}: {schema} of the target has no such table", "correct the plan")
    missing = [name for name in plan.set if name not in columns[plan.table]]
    if missing:
        there = ", ".join(columns[plan.table])
        raise StepError(
            f"[[backfill]] {plan.table}.{missing[0]}: the target's table has no such column",
            f"it has {there}; correct the plan, or let the application add the column",
        )


def _values(plan: BackfillPlan, situation: Situation) -> dict[str, str]:
    return {name: fill(text, situation.values) for name, text in plan.set.items()}
