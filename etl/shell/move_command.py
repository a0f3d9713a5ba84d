"""``etl move``: from click's values and a plan file to a move, its report and its exit status.

Invariant: the plan's target and flags are as good as typed ones; what is typed goes before what the plan says.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from etl.errors import EtlError, ExitStatus, InterruptedRunError, UsageError
from etl.move.move_plan import MovePlan
from etl.move.move_report import MoveReport, move_document
from etl.move.plan_draft import found_lines, write_draft
from etl.move.plan_file import read_plan
from etl.move.steps import STEPS, MoveRequest, move
from etl.report import json_bytes, write_whole
from etl.shell.commands import bounded, confirm, embedded
from etl.shell.console import say, tell_failure, write_out
from etl.shell.interruption import Leave, run_interruptible
from etl.shell.invocation import TargetChoice, check_reports, find_target, make_options
from etl.shell.move_page import render_move_page
from etl.shell.move_text import render_move
from etl.shell.progress_lines import open_progress

PLAN_NAME = "move.toml"
NOT_OF_A_PLAN = frozenset(
    ("plan init resume only from force dry_run report progress log_level debug config yes").split()  # noqa: SIM905
) | {"ask_password", "embedded", "keep_running"}


def run_move(ctx: click.Context, flags: Mapping[str, Any]) -> int:
    """``etl move``."""
    own = dict(flags)
    return bounded(own, lambda: _move(ctx, own))


def _move(ctx: click.Context, flags: dict[str, Any]) -> int:
    if flags["init"]:
        return _init(Path(flags["plan"] or PLAN_NAME))
    if flags["plan"] is None:
        raise UsageError("no plan is given", f"etl move {PLAN_NAME}, or `etl move --init` to write one for this folder")
    _check_steps(flags)
    reports = check_reports(flags["report"], (".json", ".html"))
    plan = read_plan(Path(flags["plan"]))
    _take_over(ctx, flags, plan)
    if flags["embedded"] is not None:
        with embedded(Path(flags["embedded"]), flags["keep_running"]) as (dsn, leave):
            return _run(plan, dsn, flags, reports, leave)
    if flags["keep_running"]:
        raise UsageError("--keep-running: there is no embedded PostgreSQL to keep", "add --embedded DIR")
    choice = _target(plan)
    flags["target"] = choice.dsn  # whose password no message may show
    if flags["ask_password"]:
        os.environ["PGPASSWORD"] = click.prompt(f"password for {choice.shown}", hide_input=True, err=True)
    confirm(choice, plan.path, flags["yes"] or flags["dry_run"])
    return _run(plan, choice.dsn, flags, reports, None)


def _run(
    plan: MovePlan, dsn: str, flags: Mapping[str, Any], reports: Sequence[Path], leave: Leave | None
) -> ExitStatus:
    options = make_options(plan.path, dsn, flags)
    request = MoveRequest(
        plan, options, dict(os.environ), only=flags["only"], start=flags["from"], resume=flags["resume"]
    )
    broken: list[MoveReport] = []

    def words() -> str:
        return f"`etl move {plan.path} --resume` goes on"

    try:
        with open_progress(flags["progress"], sys.stderr) as progress:
            report = run_interruptible(lambda: move(request, progress, broken.append), progress.note, leave, words)
    except InterruptedRunError as error:
        for interrupted in broken:
            _deliver(interrupted, reports)
        error.message = "interrupted" + ("; what was done and what was not stands above" if broken else "")
        raise
    except Exception:
        for unfinished in broken:
            _deliver(unfinished, reports)
        raise
    _deliver(report, reports)
    if report.failure is not None:
        tell_failure(report.failure, [dsn], flags["debug"])
    return report.status


def _deliver(report: MoveReport, paths: Sequence[Path]) -> None:
    write_out(render_move(report))
    for path in paths:
        as_page = path.suffix.lower() == ".html"
        try:
            write_whole(render_move_page(report).encode() if as_page else json_bytes(move_document(report)), path)
        except EtlError as error:
            say(f"warning: {error.message}")


def _init(path: Path) -> int:
    for line in found_lines(write_draft(path)):
        say(line)
    say(f"written: {path}; read it, change what is not so, then: etl move {path} --dry-run")
    return ExitStatus.DONE


def _check_steps(flags: Mapping[str, Any]) -> None:
    """Contradictions are said before anything is looked at."""
    given = [name for name, flag in (("--only", "only"), ("--from", "from"), ("--resume", "resume")) if flags[flag]]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)}: only one of them can say where to begin", "leave the others out")
    for flag, name in (("--only", flags["only"]), ("--from", flags["from"])):
        if name is not None and name not in STEPS:
            raise UsageError(f"{flag} {name}: no such step", f"the steps are {', '.join(STEPS)}")


def _take_over(ctx: click.Context, flags: dict[str, Any], plan: MovePlan) -> None:
    """The flags of the plan's [migrate], where nobody gave others."""
    known = {str(parameter.name): parameter for parameter in ctx.command.params}
    for key, value in plan.migrate.items():
        name = key.replace("-", "_")
        parameter = known.get(name)
        if parameter is None or name in NOT_OF_A_PLAN:
            raise UsageError(
                f"{plan.path}: [migrate] {key}: no flag of a plan has this name",
                f"there are {', '.join(sorted(known.keys() - NOT_OF_A_PLAN))}",
            )
        if ctx.get_parameter_source(name) in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP):
            several = parameter.multiple and not isinstance(value, list)
            flags[name] = parameter.type_cast_value(ctx, [value] if several else value)


def _target(plan: MovePlan) -> TargetChoice:
    """The plan's target, ``$VARIABLE`` or ``${VARIABLE}`` in it from the environment; without one as for migrate."""
    text = plan.target_database
    if text is None:
        return find_target(None, False)

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not os.environ.get(name):
            raise UsageError(f"{plan.path}: [target] database: ${name} is not set", f"export {name}=postgresql://…")
        return os.environ[name]

    # a dollar sign alone may well be of a password
    variable = r"\$(\w+)" if re.fullmatch(r"\$\w+", text) else r"\$\{(\w+)\}"
    return find_target(re.sub(variable, value, text), True)
