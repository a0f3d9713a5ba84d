"""Step 3, transfer: ``etl migrate`` into the application's own tables, verified, all or nothing.

The application makes its tables by its own command first. Where the plan fills columns that may not be NULL there, the
values are filled on the way, by the rule ``owner-backfilled``, which verification knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from etl.errors import ExitStatus
from etl.move.ownership import backfills_on_the_way
from etl.move.placeholders import fill_command
from etl.move.programs import run_program
from etl.move.situation import Situation
from etl.move.step_outcome import StepError
from etl.move.target_tables import TargetTables, read_target
from etl.options import Options
from etl.phases.enquiry import open_source
from etl.report import Report
from etl.threads import in_thread

ENDED_WELL = (ExitStatus.DONE, ExitStatus.REJECTED, ExitStatus.UNTRANSLATED)


async def transfer(situation: Situation) -> Report:
    """Move the rows; raises EtlError with the target's rows as before. The report says what was done."""
    from etl.pipeline import migrate

    await make_tables(situation)
    options = await migration_options(situation)
    report = await migrate(options, situation.progress)
    if report.status not in ENDED_WELL:
        raise TransferDifferenceError(report)
    return report


async def describe_transfer(situation: Situation) -> tuple[str, ...]:
    """What the migration would do, by its own dry run; raises EtlError for what does not fit the target's tables.

    Nothing can be said while the application has not made its tables.
    """
    from etl.pipeline import migrate

    if situation.plan.target_schema is not None and not (await _read_target(situation)).tables:
        return ("transfer: tables and columns are compared when the application has made its tables",)
    options = replace(await migration_options(situation), dry_run=True)
    report = await migrate(options, situation.progress)
    return tuple(f"transfer: {line}" if line else "" for note in report.notes for line in note.splitlines())


class TransferDifferenceError(StepError):
    """Verification found a difference, and nothing was published; the report has it."""

    status = ExitStatus.DIFFERENT

    def __init__(self, report: Report) -> None:
        super().__init__(
            f"{report.source}: the target would not hold what the source holds; nothing was published",
            "the differences are in the report",
        )
        self.report = report


async def make_tables(situation: Situation) -> None:
    """Let the application make its own tables; raises StepError with what its command printed."""
    command = situation.plan.target_schema
    if command is None:
        return
    situation.progress.note(f"the application makes its tables: {' '.join(command)}")
    arguments = fill_command(command, situation.values)
    ended = await run_program(arguments, situation.plan.folder, situation.command_environment)
    if ended.status != 0:
        raise StepError(
            f"the command that makes the target's tables {ended.why}: {' '.join(command)}",
            "what it printed stands above; correct [preflight] target_schema, or the target",
            lines=ended.output,
        )


async def migration_options(situation: Situation) -> Options:
    """The options of the migration: the user's, with the plan's source, tables and owner."""
    source = await situation.copy.ready(situation.values, situation.command_environment)
    given = situation.options
    there = (await _read_target(situation)).tables
    moved = await in_thread(list_tables, source, given)
    kept = tuple(name for name in there if name in moved and matches_any(name, situation.plan.keep))
    return replace(
        given,
        source=source,
        keep=(*given.keep, *kept),
        empty=(*given.empty, *situation.plan.replace),
        backfills=await backfills_on_the_way(situation, source),
    )


async def _read_target(situation: Situation) -> TargetTables:
    return await read_target(situation.options.target, situation.options.target_schema)


def list_tables(source: Path, options: Options) -> frozenset[str]:
    """The tables of the source that --tables and --exclude leave; --keep of another name would be refused."""
    with open_source(source) as connection:
        names = [row[0] for row in connection.execute("select name from sqlite_schema where type = 'table'")]
    wanted = options.tables or ("*",)
    return frozenset(name for name in names if matches_any(name, wanted) and not matches_any(name, options.exclude))


def matches_any(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
