"""Step 7, validate: every check of the plan, each passed, failed or skipped, with its time.

All checks run, whatever the first one says. A service that a check starts is stopped again, and what it printed is
shown when the check fails.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from etl.errors import EtlError
from etl.move.health import ask, ask_until
from etl.move.move_plan import CheckPlan
from etl.move.placeholders import fill, fill_command, fill_sql
from etl.move.programs import run_program, running
from etl.move.situation import Situation
from etl.move.step_outcome import DONE, SKIPPED, StepError, StepOutcome
from etl.phases.enquiry import open_source, open_target, quoted
from etl.threads import in_thread

PASSED, FAILED_CHECK, SKIPPED_CHECK = "passed", "failed", "skipped"


@dataclass(frozen=True, slots=True)
class Checked:
    """What came out of one check; ``output`` is of the program that failed it."""

    name: str
    verdict: str  # passed | failed | skipped
    detail: str
    seconds: float = 0.0
    output: tuple[str, ...] = ()


async def validate(situation: Situation) -> StepOutcome:
    """Run every check; raises StepError when one has failed."""
    checks = situation.plan.checks
    if not checks:
        return StepOutcome("validate", SKIPPED, ("the plan names no [[validate]]",))
    done = []
    for check in checks:
        started = time.monotonic()
        checked = await _run(check, situation)
        seconds = time.monotonic() - started
        done.append(Checked(checked.name, checked.verdict, checked.detail, seconds, checked.output))
    lines = _table(done)
    data = {
        "checks": [
            {
                "name": checked.name,
                "verdict": checked.verdict,
                "detail": checked.detail,
                "seconds": round(checked.seconds, 3),
                "output": list(checked.output),
            }
            for checked in done
        ]
    }
    failed = [checked for checked in done if checked.verdict == FAILED_CHECK]
    if failed:
        names = ", ".join(checked.name for checked in failed)
        raise StepError(
            f"validate: {len(failed)} of {len(done)} checks failed: {names}",
            "mend what they show, and run `--only validate`; the originals are as they were",
            lines,
            data,
        )
    return StepOutcome("validate", DONE, tuple(lines), data)


def _table(done: list[Checked]) -> list[str]:
    width = max(len(checked.name) for checked in done)
    marks = {PASSED: "✓", FAILED_CHECK: "✗", SKIPPED_CHECK: "-"}
    lines = []
    for checked in done:
        what = f"{checked.verdict:<7}  {checked.seconds:6.2f} s  {checked.detail}"
        lines.append(f"{marks[checked.verdict]} {checked.name.ljust(width)}  {what}")
        lines += [f"    | {line}" for line in checked.output]
    counts = {verdict: sum(checked.verdict == verdict for checked in done) for verdict in marks}
    lines.append(", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number))
    return lines


async def _run(check: CheckPlan, situation: Situation) -> Checked:
    try:
        if check.skip_if_source_empty is not None:
            rows = await in_thread(count_rows, situation.detected.database, check.skip_if_source_empty)
            if not rows:
                return Checked(check.name, SKIPPED_CHECK, f"the source holds no {check.skip_if_source_empty}")
        if check.sql is not None:
            return await _run_sql(check, check.sql, situation)
        if check.command is not None:
            return await _run_command(check, situation)
        return await _run_http(check, fill(check.http or "", situation.values), situation)
    except EtlError as error:
        return Checked(check.name, FAILED_CHECK, error.message, output=getattr(error, "lines", ()))


def count_rows(database: Path, table: str) -> int:
    """Rows of a table of the source; 0 when it has no such table."""
    with open_source(database) as connection:
        there = connection.execute(
            "select 1 from sqlite_schema where type in ('table', 'view') and lower(name) = lower(?)", (table,)
        ).fetchone()
        return 0 if there is None else int(connection.execute(f"select count(*) from {quoted(table)}").fetchone()[0])


async def _run_sql(check: CheckPlan, sql: str, situation: Situation) -> Checked:
    """The first column of the first row, within the limits; without limits it must be true or more than zero."""
    query = fill_sql(sql, situation.values)
    try:
        async with open_target(situation.options.target) as connection, connection.transaction(readonly=True):
            await connection.execute(f"set local search_path = {quoted(situation.options.target_schema)}, pg_catalog")
            value = await asyncio.wait_for(connection.fetchval(query), check.timeout_s)
    except (TimeoutError, asyncpg.PostgresError) as error:
        return Checked(check.name, FAILED_CHECK, str(error) or f"no answer in {check.timeout_s:g} s")
    problem = _problem(check, value)
    return Checked(check.name, FAILED_CHECK if problem else PASSED, problem or f"{sql}: {value}")


def _problem(check: CheckPlan, value: object) -> str | None:
    number = float(value) if isinstance(value, int | float) else None
    if check.equals is not None:
        return None if str(value) == check.equals else f"is {value}, expected {check.equals}"
    if check.at_least is None and check.at_most is None:
        return None if value else f"is {value}"
    if number is None:
        return f"is {value}, expected a number"
    if check.at_least is not None and number < check.at_least:
        return f"is {value}, expected at least {check.at_least:g}"
    if check.at_most is not None and number > check.at_most:
        return f"is {value}, expected at most {check.at_most:g}"
    return None


async def _run_command(check: CheckPlan, situation: Situation) -> Checked:
    arguments = fill_command(check.command or (), situation.values)
    ended = await run_program(arguments, situation.plan.folder, situation.command_environment, check.timeout_s)
    if ended.status == 0:
        return Checked(check.name, PASSED, " ".join(check.command or ()))
    return Checked(check.name, FAILED_CHECK, f"{' '.join(check.command or ())} {ended.why}", output=ended.output)


async def _run_http(check: CheckPlan, url: str, situation: Situation) -> Checked:
    if check.start is None:
        answer = await ask_until(url, check.status, check.timeout_s)
        return _answered(check, url, answer, ())
    if isinstance(await in_thread(ask, url, 1.0), int):
        detail = f"{url} answers before the service was started: it is somebody else's"
        return Checked(check.name, FAILED_CHECK, detail)
    arguments = fill_command(check.start, situation.values)
    async with running(arguments, situation.plan.folder, situation.command_environment) as service:
        over = asyncio.Event()
        watch = asyncio.ensure_future(service.wait())
        watch.add_done_callback(lambda _: over.set())
        try:
            answer = await ask_until(url, check.status, check.timeout_s, over)
            if service.status is not None:
                detail = f"{check.start[0]} ended with status {service.status} before {url} answered"
                return Checked(check.name, FAILED_CHECK, detail, output=service.tail())
            return _answered(check, url, answer, service.tail())
        finally:
            watch.cancel()


def _answered(check: CheckPlan, url: str, answer: int | str, output: tuple[str, ...]) -> Checked:
    if answer == check.status:
        return Checked(check.name, PASSED, f"{url}: {answer}")
    return Checked(check.name, FAILED_CHECK, f"{url}: {answer}, expected {check.status}", output=output)
