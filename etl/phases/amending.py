"""Load rejected rows after somebody has mended them: ``etl migrate SOURCE TARGET --from-rejects DIR``.

Invariant: all rows of all files arrive in one transaction under the constraints of the published tables, or none does
and the files stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import asyncpg

from etl.errors import ExitStatus, UsageError
from etl.extract.mended import mark_loaded, read_mended, reject_files, table_of
from etl.extract.snapshot import open_snapshot
from etl.load.address import parse_address
from etl.load.commit import commit, uncommitted
from etl.load.connect import guarded, named_errors
from etl.load.copy import append_slices
from etl.load.encode import TableEncoder
from etl.load.session import open_session
from etl.model import LoadedTable, Plan, Slice, TablePlan, Way
from etl.options import Options
from etl.phases.clock import Clock
from etl.phases.inspection import make_plan, meet_target
from etl.progress import Progress
from etl.report import Report
from etl.standing import Standing
from etl.tasks import to_the_end
from etl.threads import in_thread
from etl.transform.rows.columns import coerce_page
from etl.transform.schema.casts import matches_glob


async def load_mended(
    options: Options, progress: Progress, *, folder: Path, standing: Standing | None = None
) -> Report:
    """Append the rows of the reject files to the published tables; raises EtlError with nothing changed.

    ``standing`` follows what was committed; where that may be something, the error says so.
    """
    standing = standing or Standing()
    files = reject_files(folder)
    clock = Clock(progress)
    address = parse_address(options.target)
    async with (
        standing.told(keeps=False),
        open_snapshot(options.source, 1) as snapshot,
        open_session(address, 1) as session,
    ):
        names = {file: table_of(file) for file in files}
        plan = await make_plan(snapshot, options)
        plan = replace(plan, tables=tuple(table for table in plan.tables if table.source.name in names.values()))
        plan = await as_they_are(session.control, plan, options)
        chosen = {file: planned(plan, name, file) for file, name in names.items()}
        with clock.phase("load"):
            async with uncommitted(session.control) as transaction:
                loaded = await guarded(session.control, append_all(session.control, plan.schema, chosen))
                decision = standing.deciding(table.name for table in chosen.values())
                await to_the_end(commit(session.control, transaction, address, decision))
        mark_loaded(files)
        return Report(
            "migrate",
            str(options.source),
            str(address),
            Plan(plan.schema, tuple(chosen.values())),
            ExitStatus.DONE,
            loaded=tuple(loaded),
            phases=clock.seconds,
            server_version=session.server_version,
        )


async def as_they_are(control: asyncpg.Connection, plan: Plan, options: Options) -> Plan:
    """The plan with the tables matched as a fill matches them: names in other letters, the target's own types."""
    places = [f"{table.source.name}.{column.source.name}" for table in plan.tables for column in table.columns]
    ignored = tuple(glob for glob in options.ignore_columns if any(matches_glob(place, glob) for place in places))
    plan, _ = await meet_target(control, plan, replace(options, mode="auto", keep=(), ignore_columns=ignored))
    return plan


async def append_all(connection: asyncpg.Connection, schema: str, chosen: dict[Path, TablePlan]) -> list[LoadedTable]:
    loaded = []
    with named_errors("the rejected rows"):
        for file, table in chosen.items():
            started = time.perf_counter()
            rows, size = await append_slices(connection, schema, table, slices_of(file, table))
            loaded.append(LoadedTable(table.source.name, rows, size, size, time.perf_counter() - started))
    return loaded


async def slices_of(file: Path, table: TablePlan) -> AsyncGenerator[Slice]:
    encoder = TableEncoder(table)
    pages = read_mended(file, table.source)
    while (page := await in_thread(next, pages, None)) is not None:
        yield encoder.encode_page(await in_thread(coerce_page, page, table))


def planned(plan: Plan, name: str, file: Path) -> TablePlan:
    for table in plan.tables:
        if table.source.name == name and table.way is Way.FILL:
            return table.loaded
    raise UsageError(f"{file}: there is no table {name} both in the source and in the target", "check --target-schema")
