"""What the commands do: from click's values to a run, its report and its exit status.

Invariant: whatever fails, the server that was started for the run is stopped and the failure is told in one line.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from etl.errors import ExitStatus, UsageError
from etl.memory import bound_allocators, import_without_collecting, settle
from etl.options import Options
from etl.progress import Progress
from etl.shell.console import deliver, deliver_survey, run_job, say, tell_failure
from etl.shell.invocation import TargetChoice, check_reports, find_source, find_target, make_options
from etl.shell.signals import heed_signals, signals_held
from etl.standing import Standing
from etl.survey_report import Inspection
from etl.threads import hand_over_quickly

if TYPE_CHECKING:
    from etl.report import Report

Flags = Mapping[str, Any]

NO_TARGET = TargetChoice("", "nobody")


def run_migrate(ctx: click.Context, flags: Flags) -> int:
    """``etl migrate``."""
    return bounded(flags, lambda: _migrate(ctx, flags))


def run_verify(ctx: click.Context, flags: Flags) -> int:
    """``etl verify``."""
    return bounded(flags, lambda: _verify(ctx, flags))


def run_inspect(ctx: click.Context, flags: Flags) -> int:
    """``etl inspect``."""
    return bounded(flags, lambda: _inspect(ctx, flags))


def run_clean(ctx: click.Context, flags: Flags) -> int:
    """``etl clean``."""
    return bounded(flags, lambda: _clean(ctx, flags))


def run_demo(ctx: click.Context, flags: Flags) -> int:
    """``etl demo``."""
    from etl.shell.demo import demonstrate, stop_demo

    directory = Path(flags["dir"])
    if flags["stop"]:
        return bounded(flags, lambda: stop_demo(directory))
    return bounded(
        flags, lambda: demonstrate(directory, flags["rows"], flags["progress"], check_reports(flags["report"]))
    )


def _migrate(ctx: click.Context, flags: Flags) -> ExitStatus:
    reports = check_reports(flags["report"])
    source = find_source(flags["source"])
    if flags["dry_run"] and (flags["embedded"] is not None or flags["target"] is None):
        return _run_migration(make_options(source, "", flags), flags, reports)  # a plan needs no server
    with _reached(ctx, flags) as choice:
        confirm(choice, source, flags["yes"] or flags["dry_run"])
        return _run_migration(make_options(source, choice.dsn, flags), flags, reports, choice.leave)


def _run_migration(
    options: Options, flags: Flags, reports: Sequence[Path], leave: Callable[[], None] | None = None
) -> ExitStatus:
    standing = Standing()
    if flags["from_rejects"]:
        with signals_held():
            from etl.phases.amending import load_mended

        folder = Path(flags["from_rejects"]).expanduser()
        amend = partial(load_mended, folder=folder, standing=standing)
        return deliver(run_job(amend, options, flags["progress"], leave, standing), options, reports)
    work = partial(_migrate_from_outset, standing=standing)
    return deliver(run_job(work, options, flags["progress"], leave, standing), options, reports)


async def _migrate_from_outset(options: Options, progress: Progress, standing: Standing) -> Report:
    """Imports what those who mistyped are spared: the loop stands still for it, and a signal waits for its end."""
    import_without_collecting()
    from etl.phases.outset import outset

    async with outset(options) as snapshot:
        from etl.pipeline import migrate

        settle()
        return await migrate(options, progress, standing, snapshot)


def _verify(ctx: click.Context, flags: Flags) -> ExitStatus:
    reports = check_reports(flags["report"])
    if flags["against"] is not None:
        return _verify_against(ctx, flags, reports)
    if flags["source"] is None:
        raise UsageError("SOURCE is missing", "etl verify SOURCE TARGET; with --against a report takes its place")
    source = find_source(flags["source"])
    with signals_held():
        from etl.phases.comparison import verify

    with _reached(ctx, flags, makes=False) as choice:
        options = make_options(source, choice.dsn, flags)
        return deliver(run_job(verify, options, flags["progress"], choice.leave), options, reports)


def _clean(ctx: click.Context, flags: Flags) -> ExitStatus:
    choice = _target(ctx, flags)
    if choice.origin != "TARGET" and not flags["yes"]:
        confirm(choice, Path("what failed runs have left"), False)
    with signals_held():
        from etl.phases.cleaning import clean
        from etl.shell.console import write_out
        from etl.shell.interruption import run_interruptible
        from etl.shell.units import size

    dropped = run_interruptible(lambda: clean(choice.dsn), say)
    lines = [f"dropped {left.schema} of {left.source or 'an unknown source'}: {size(left.bytes)}" for left in dropped]
    write_out("\n".join(lines) or "nothing to clean: no run has left anything there")
    return ExitStatus.DONE


def _verify_against(ctx: click.Context, flags: Flags, reports: Sequence[Path]) -> ExitStatus:
    """The one argument that there is, is the target."""
    if flags["target"] is not None:
        raise UsageError(
            "--against: the source is not read, so only TARGET can be given",
            "etl verify TARGET --against report.json",
        )
    shifted = {**flags, "target": flags["source"]}
    with signals_held():
        from etl.phases.attestation import verify_against

    with _reached(ctx, shifted, "source", makes=False) as choice:
        options = make_options(Path(flags["against"]), choice.dsn, shifted)
        return deliver(run_job(verify_against, options, flags["progress"], choice.leave), options, reports)


def _inspect(ctx: click.Context, flags: Flags) -> ExitStatus:
    reports = check_reports(flags["report"], (".json", ".html"))
    source = find_source(flags["source"])
    asks = flags["target"] is not None or flags["embedded"] is not None or flags["keep_running"]
    with signals_held():
        from etl.phases.inspection import inspect

    def job(options: Options, progress: Progress) -> Coroutine[Any, Any, Inspection]:
        return inspect(options, progress, ask_target=asks)

    with _reached(ctx, flags, makes=False) if asks else nullcontext(NO_TARGET) as choice:
        options = make_options(source, choice.dsn, flags)
        return deliver_survey(run_job(job, options, flags["progress"], choice.leave), reports)


@contextmanager
def _reached(
    ctx: click.Context, flags: Flags, argument: str = "target", *, makes: bool = True
) -> Iterator[TargetChoice]:
    """The target: as typed in ``argument``, from the environment, or the embedded server while it runs for us.

    Unless the command ``makes`` a target, a folder without a server is refused.
    """
    if flags["embedded"] is None:
        if flags["keep_running"]:
            raise UsageError("--keep-running: there is no embedded PostgreSQL to keep", "add --embedded DIR")
        yield _target(ctx, flags, argument)
        return
    if flags["target"] is not None and ctx.get_parameter_source(argument) is ParameterSource.COMMANDLINE:
        raise UsageError("TARGET and --embedded: there can be only one target", "leave one of the two out")
    directory = Path(flags["embedded"])
    if not makes and not (directory.expanduser() / "PG_VERSION").exists():
        raise UsageError(
            f"--embedded {directory}: there is no PostgreSQL in this folder",
            "etl migrate SOURCE --embedded DIR makes one",
        )
    with embedded(directory, flags["keep_running"]) as (dsn, leave):
        yield TargetChoice(dsn, "--embedded", leave)


def _target(ctx: click.Context, flags: Flags, argument: str = "target") -> TargetChoice:
    choice = find_target(flags["target"], ctx.get_parameter_source(argument) is ParameterSource.COMMANDLINE)
    if flags["ask_password"]:
        os.environ["PGPASSWORD"] = click.prompt(f"password for {choice.shown}", hide_input=True, err=True)
    return choice


def confirm(choice: TargetChoice, source: Path, yes: bool) -> None:
    """A target that nobody typed is used only when somebody says so."""
    if choice.origin in ("TARGET", "--embedded") or yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"the target comes from {choice.origin} ({choice.shown}), and nobody can be asked",
            "add --yes to use it, or give TARGET on the command line",
        )
    question = f"migrate {source} into {choice.shown} (from {choice.origin})?"
    if not click.confirm(question, err=True):
        raise UsageError("not confirmed; nothing was done", "give TARGET on the command line")


@contextmanager
def embedded(directory: Path, keep_running: bool) -> Iterator[tuple[str, Callable[[], None]]]:
    """The DSN of an embedded server, and what to do when the process has to leave at once."""
    with signals_held():
        from etl.shell.embedded import embedded_server, stop_command, stop_server

    with embedded_server(directory, keep_running) as server:
        keep = keep_running or server.was_running

        def leave() -> None:
            if not keep:
                stop_server(server.directory, timeout_s=0)

        say(f"embedded PostgreSQL: {server.dsn}")
        yield server.dsn, leave
    if keep:
        say(f"embedded PostgreSQL keeps running: {server.dsn}")
        say(f"  psql: {server.psql_command}")
        say(f"  stop: {stop_command(server.directory)}")


def bounded(flags: Flags, work: Callable[[], int]) -> int:
    """The error boundary of every command."""
    bound_allocators()
    import_without_collecting()
    hand_over_quickly()
    logging.basicConfig(
        level=flags["log_level"].upper(), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without UTF-8 still gets a table
    sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]
    heed_signals()
    try:
        return int(work())
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, (click.ClickException, click.Abort)):
            raise
        dsns = [flags.get("target") or "", os.environ.get("DATABASE_URL", "")]
        return tell_failure(error, dsns, flags["debug"])
