"""What is known of the source before a row is loaded: the plan, and where the declared types do not tell, the survey.

    snapshot ─► catalog ─► plan ─► pages ─► survey ─► decide ─► the plan as the values ask for it

``inspect`` is this and nothing else; ``migrate`` begins with the plan and comes back here when a value contradicts it.

Invariant: the source is read, the target is asked for names, and nothing is written anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace

import asyncpg

from etl.ahead import ahead
from etl.backfills import with_backfills
from etl.errors import RefusedError, RefusedValueError
from etl.extract.catalog import read_catalog, read_storage_classes
from etl.extract.largest_ids import with_largest_ids
from etl.extract.reader import Reader
from etl.extract.snapshot import Snapshot, open_snapshot
from etl.load.address import parse_address
from etl.load.collations import has_nocase_collation
from etl.load.publish import names_in_the_way
from etl.load.session import open_session
from etl.load.target_catalog import read_citext_schema, read_target_tables
from etl.model import (
    Plan,
    Problem,
    TablePlan,
    TableSurvey,
)
from etl.options import Options
from etl.phases.clock import Clock
from etl.phases.key_search import read_all_key_problems
from etl.phases.orphan_search import read_all_orphans
from etl.phases.source_pages import read, with_columns
from etl.progress import Progress
from etl.standing import Standing
from etl.survey_report import Inspection
from etl.tasks import together
from etl.threads import in_thread
from etl.transform.schema.column_types import undecided_columns
from etl.transform.schema.decide import (
    DoubtfulTypeError,
    changed_columns,
    decide,
    decision_notes,
    may_be_cured,
    needs_survey,
)
from etl.transform.schema.generation import made_plain, with_virtual_columns
from etl.transform.schema.matching import match_target, tables_with_rows
from etl.transform.schema.omissions import without_plain_indexes
from etl.transform.schema.plan import plan_tables
from etl.transform.schema.selection import select_tables
from etl.transform.schema.target_types import wants_citext, with_citext_of, with_collation_of
from etl.transform.schema.views import with_views
from etl.transform.survey.problems import problems_of, remarks_of
from etl.transform.survey.surveyor import Surveyor, head, merge_surveys

PAGES_AHEAD = 2


async def inspect(options: Options, progress: Progress, *, ask_target: bool = False) -> Inspection:
    """Survey every table and decide its plan; with ``ask_target`` also say what stands in the way there."""
    clock = Clock(progress)
    in_the_way: tuple[str, ...] = ()
    async with open_snapshot(options.source, options.jobs) as snapshot:
        plan = await make_plan(snapshot, options)
        if ask_target:
            async with open_session(parse_address(options.target), 1) as session:
                plan, occupied = await meet_target(session.control, plan, options)
                others = await names_in_the_way(session.control, plan.created, options.mode == "replace")
            in_the_way = (*others, *occupied)
        plan, surveys = await survey_all(snapshot, plan, options, clock)
        problems, uncertain = await find_problems(snapshot, plan, surveys, options, clock)
        snapshot.ensure_held()
    return Inspection(
        source=str(options.source),
        target=str(parse_address(options.target)) if ask_target else None,
        plan=plan,
        surveys=surveys,
        problems=problems,
        uncertain=uncertain,
        remarks=remarks_of(plan.tables, surveys),
        in_the_way=in_the_way,
        sample=options.sample,
        phases=clock.seconds,
    )


async def make_plan(snapshot: Snapshot, options: Options) -> Plan:
    """Extract's catalog and transform's decisions by what is declared."""
    sizes = await snapshot.begin_sizes()
    catalog = select_tables(await read_catalog(snapshot.python, sizes), options.tables, options.exclude)
    catalog = await with_largest_ids(snapshot.python, catalog)
    undecided = undecided_columns(catalog, options.casts)
    plan = plan_tables(catalog, await read_storage_classes(snapshot.python, undecided), options)
    plan = without_plain_indexes(plan) if options.no_indexes else plan
    return with_backfills(plan, options.backfills)


async def meet_target(control: asyncpg.Connection, plan: Plan, options: Options) -> tuple[Plan, tuple[str, ...]]:
    """The plan with a way for every table, to create or to fill, and the tables to fill that hold rows already.

    Those are not listed when --force or --empty is to empty them. Raises PlanError for what does not fit.
    """
    names = [*(table.name for table in plan.tables), *(view.name for view in plan.source_views)]
    found = await read_target_tables(control, plan.schema, names)
    plan = with_backfills(match_target(plan, found, options), options.backfills)
    plan = with_virtual_columns(plan, control.get_server_version().major)
    plan = with_citext_of(plan, await read_citext_schema(control)) if wants_citext(plan) else plan
    if plan.nocase_columns and await has_nocase_collation(control, plan.schema):
        plan = with_collation_of(plan, plan.schema)
    return plan, tables_with_rows(plan, found, options)


async def decide_beforehand(snapshot: Snapshot, plan: Plan, options: Options, clock: Clock) -> Plan:
    """The plan with what cannot be tried before the values are known: ``--integers fit``, ``--schema-only``."""
    tables = [table for table in plan.tables if options.schema_only or needs_survey(table, options.integers)]
    if not tables:
        return plan
    decided, _ = await survey_all(snapshot, replace(plan, tables=tuple(tables)), options, clock)
    return with_tables(plan, decided.tables)


async def decide_again(
    snapshot: Snapshot,
    reader: Reader,
    table: TablePlan,
    options: Options,
    progress: Progress,
    contradiction: RefusedValueError | DoubtfulTypeError,
) -> TablePlan:
    """The plan of a table whose values contradict it; raises the contradiction where no other plan could take them."""
    stops = isinstance(contradiction, RefusedValueError) and options.on_error == "stop"
    if stops and isinstance(contradiction, RefusedValueError) and not may_be_cured(table, contradiction.refusals):
        raise contradiction
    decided, _ = await survey_and_decide(snapshot, reader, table, options, progress)
    if stops and not changed_columns(table, decided):
        raise contradiction
    for note in decision_notes(table, decided):
        progress.note(note)
    return decided


async def finish_survey(
    snapshot: Snapshot, plan: Plan, options: Options, clock: Clock, refused: RefusedError, standing: Standing
) -> None:
    """Add every other problem of the source to the refusal, so that one failed run lists them all."""
    clock.progress.note(f"refused: {refused.message}")
    clock.progress.note(f"{standing.words()}; every table is now read to its end for all such values (Ctrl-C is safe)")
    plan, surveys = await survey_all(snapshot, plan, options, clock)
    refused.problems, _ = await find_problems(snapshot, plan, surveys, options, clock)


async def find_problems(
    snapshot: Snapshot, plan: Plan, surveys: Sequence[TableSurvey], options: Options, clock: Clock
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """All that stops a run of a surveyed source, and what may stop it, as only the server can tell.

    Of a sample the values alone: what is the same in the whole table, or has no parent, it does not show.
    """
    if options.sample is not None:
        return problems_of(plan.tables, surveys, ()), ()
    keys, uncertain = await read_all_key_problems(snapshot, plan, surveys, clock, options.page_bytes)
    orphans = await read_all_orphans(snapshot, plan, clock)
    if options.orphan_rule != "stop":  # it has no say over a foreign key that stays where it is, in a filled table
        orphans = tuple(lost for lost in orphans if lost.table in {table.source.name for table in plan.filled.tables})
    return (*problems_of(plan.tables, surveys, orphans), *keys), uncertain


async def survey_all(
    snapshot: Snapshot, plan: Plan, options: Options, clock: Clock
) -> tuple[Plan, tuple[TableSurvey, ...]]:
    """Every table surveyed, and the plan that their values ask for."""

    async def survey(table: TablePlan) -> tuple[TablePlan, TableSurvey]:
        async with snapshot.reader() as reader:
            clock.progress.start_table(table.source.name, table.source.rows_estimate)
            found = await survey_and_decide(snapshot, reader, table, options, clock.progress)
            clock.progress.finish_table(table.source.name)
            return found

    with clock.phase("survey", plan.rows_estimate):
        found = await together(*(survey(table) for table in plan.largest_first))
    by_name = {surveyed.name: surveyed for _, surveyed in found}
    plan = with_tables(plan, (table for table, _ in found))
    return plan, tuple(by_name[table.source.name] for table in plan.tables)


async def survey_and_decide(
    snapshot: Snapshot, reader: Reader, table: TablePlan, options: Options, progress: Progress
) -> tuple[TablePlan, TableSurvey]:
    """Survey under the declared types, decide, and survey again those columns that got another type."""
    found = await survey_table(snapshot, reader, table, options, progress)
    decided = decide(table, found, options.integers)
    changed = changed_columns(table, decided)
    if not changed:
        return decided, found
    again = await survey_table(snapshot, reader, with_columns(decided, changed), options, progress)
    return decided, merge_surveys(found, again, changed)


async def survey_table(
    snapshot: Snapshot, reader: Reader, table: TablePlan, options: Options, progress: Progress
) -> TableSurvey:
    """What the table's values are and what the plan makes of them; of a sample, its first rows."""
    started = time.perf_counter()
    surveyor = Surveyor(table)
    cut = False
    async with aclosing(ahead(read(snapshot, reader, table, options.page_bytes), PAGES_AHEAD)) as pages:
        async for page in pages:
            part = page if options.sample is None else head(page, options.sample - surveyor.rows)
            await in_thread(surveyor.add, part)
            progress.advance(table.source.name, part.row_count, part.source_bytes)
            cut = part.row_count < page.row_count
            if surveyor.rows == options.sample:
                break
            del page, part
    cut = cut or (surveyor.rows == options.sample and surveyor.rows < table.source.rows_estimate)
    return surveyor.result(time.perf_counter() - started, complete=not cut)


def with_tables(plan: Plan, tables: Iterable[TablePlan]) -> Plan:
    """The plan with these tables in place of those of the same names; what was decided is among its notes."""
    new = {table.source.name: table for table in tables}
    decided = tuple(new.get(table.source.name, table) for table in plan.tables)
    pairs = list(zip(plan.tables, decided, strict=True))
    notes = (note for pair in pairs for note in decision_notes(*pair))
    plain = (thing for pair in pairs for thing in made_plain(*pair))
    untranslated = (*plan.untranslated, *plain)
    return with_views(replace(plan, tables=decided, notes=(*plan.notes, *notes), untranslated=untranslated))
