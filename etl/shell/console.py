"""Runs a command for the shell: progress on stderr, the report on stdout, one line and a hint for every failure.

Invariant: a failure prints exactly one `error:` line, no traceback without --debug, and never a password.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO, TypeVar

from etl.counted_nouns import counted, some
from etl.errors import EtlError, ExitStatus, InterruptedRunError, RefusedError, RefusedRowsError, without_room
from etl.model import Refusal
from etl.options import Options
from etl.progress import Progress
from etl.redaction import redact
from etl.report import Report, json_bytes, write_json, write_whole
from etl.shell.closing import listed, render
from etl.shell.interruption import Leave, run_interruptible
from etl.shell.progress_lines import open_progress
from etl.shell.survey_page import render_page
from etl.shell.survey_text import render_survey
from etl.shell.units import count
from etl.standing import Standing
from etl.survey_report import Inspection, document

Outcome = TypeVar("Outcome", Report, Inspection)
Job = Callable[[Options, Progress], Coroutine[Any, Any, Outcome]]


def run_job(
    job: Job[Outcome],
    options: Options,
    progress_kind: str,
    leave: Leave | None = None,
    standing: Standing | None = None,
) -> Outcome:
    """Run ``migrate``, ``verify`` or ``inspect`` with progress and signals; returns its report with the wall time.

    A job that writes keeps ``standing``.
    """
    words = (standing or Standing()).words
    started = time.monotonic()
    with open_progress(progress_kind, sys.stderr) as progress:
        report = run_interruptible(lambda: job(options, progress), progress.note, leave, words)
    return replace(report, phases={**report.phases, "total": time.monotonic() - started})


def deliver(report: Report, options: Options, paths: Sequence[Path]) -> ExitStatus:
    """Print the report, write the JSON files, say on stderr what is left to do; returns the exit status."""
    width = shutil.get_terminal_size(fallback=(160, 24)).columns
    samples = None if logging.getLogger().isEnabledFor(logging.DEBUG) else 1  # the files have them all
    write_out(describe_plan(report) if options.dry_run else render(report, width, samples))
    for path in paths:
        try:
            write_json(report, path)
        except EtlError as error:  # the data are where they belong: this is no failure of the run
            say(f"warning: {error.message}")
    if report.status is ExitStatus.DIFFERENT:
        kept = "; nothing was published" if report.command == "migrate" else ""
        if report.committed:
            kept = f"; committed before, and there to stay: {some(report.committed)}"
        holder = f"{report.against} says" if report.against else "the source holds"
        say(f"error: {report.source}: the target does not hold what {holder}{kept}")
        say(f"hint: {_way_on(report, options)}")
    elif report.status is ExitStatus.REJECTED:
        say(f"hint: the rejected rows are in {options.rejects}, each with its reason (status 3)")
    elif report.status is ExitStatus.UNTRANSLATED:
        say("hint: --accept-untranslated, once you have dealt with the objects listed as not translated (status 5)")
    return report.status


def _way_on(report: Report, options: Options) -> str:
    """What to do about a difference: another tool's names and objects are no loss, and a flag leaves them out."""
    stands_alone = report.command == "verify" and not report.against and options.plan is None
    if stands_alone and options.mode != "fill" and report.differences:
        by_database = any(one.expected == f'{one.actual} collate "C"' for one in report.differences)
        flags = "its flags again, such as --text-collation db" if by_database else "its flags again"
        return (
            f"give --plan with the migration's report, or {flags}; if another tool made the tables,"
            " --mode fill compares their values alone, by the names and types they have"
        )
    return "the differences are in the report on stdout; --report FILE.json keeps it"


def deliver_survey(inspection: Inspection, paths: Sequence[Path]) -> ExitStatus:
    """Print the inspection, write its JSON and HTML files; returns the exit status."""
    write_out(render_survey(inspection))
    for path in paths:
        as_page = path.suffix.lower() == ".html"
        write_whole(render_page(inspection).encode() if as_page else json_bytes(document(inspection)), path)
    if inspection.status is ExitStatus.FAILED:
        say(f"error: {inspection.source}: {inspection.verdict}")
        say("hint: what stops the run is listed above, each with the flag that solves it")
    return inspection.status


def describe_plan(report: Report) -> str:
    """What a dry run prints: the plan, as the pipeline describes it."""
    return "\n\n".join(report.notes)


def tell_failure(error: BaseException, dsns: Sequence[str], debug: bool) -> int:
    """Say on stderr what went wrong; returns the exit status."""
    if debug:
        trace = "".join(traceback.format_exception(error))
        say(redact(trace.rstrip(), dsns))
    found = _find_cause(error)
    if isinstance(found, OSError):
        found = without_room(found) or found
    if isinstance(found, InterruptedRunError):
        say(found.message)
        return int(found.status)
    if isinstance(found, KeyboardInterrupt):
        say("interrupted")
        return int(ExitStatus.INTERRUPTED)
    if isinstance(found, EtlError):
        say(redact(f"error: {_one_line(found.message)}", dsns))
        if isinstance(found, RefusedError):
            for line in _refused_lines(found):
                say(redact(f"  {line}", dsns))
        if found.hint:
            say(redact(f"hint: {_one_line(found.hint)}", dsns))
        return int(found.status)
    say(redact(f"error: internal error: {type(found).__name__}: {_one_line(str(found))}", dsns))
    say("hint: run it again with --debug and send us what it prints, with the output of etl --version")
    return int(ExitStatus.FAILED)


def say(line: str) -> None:
    """A line on stderr; that nobody can be told changes nothing of what was done, nor of the exit status."""
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)


def write_out(text: str) -> None:
    """The report, on stdout; a reader that went away (``| head``) is nobody's error."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up(sys.stdout)
    except OSError as error:  # the run is over, and has its own exit status
        _give_up(sys.stdout)
        say(f"warning: the report cannot be written to the standard output: {error.strerror}")


def _give_up(stream: TextIO) -> None:
    """What it still holds, and all that follows, goes nowhere, or the interpreter complains while it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _refused_lines(error: RefusedError) -> list[str]:
    """What else was refused: of rows the first ones, of values all that the survey of the whole source has found."""
    others = [_refusal_line(refusal) for refusal in error.refusals[1:]]
    if isinstance(error, RefusedRowsError):
        rest = error.count - len(error.refusals)
        others += [f"… and {count(rest)} more"] if rest else []
        return [*others, *_problem_lines(error)]
    return _problem_lines(error) or listed(others)


def _problem_lines(error: RefusedError) -> list[str]:
    """Everything that the survey of the whole source found to stop the run; a line each, and one for its remedy."""
    lines = []
    for problem in error.problems:
        first = f", first ({problem.key})" if problem.key else ""
        lines.append(
            f"{problem.table}.{problem.column}: {counted(problem.count, 'time')}{first}: {_one_line(problem.reason)}"
        )
        lines.append(f"  solved by: {_one_line(problem.hint)}")
    return lines


def _refusal_line(refusal: Refusal) -> str:
    column = f".{refusal.column}" if refusal.column else ""
    return f"{refusal.table}{column} ({refusal.key}): {_one_line(refusal.reason)}"


def _find_cause(error: BaseException) -> BaseException:
    """Of a group the first failure that a user can act on, else the first one of all."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_find_cause(part) for part in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, EtlError)), leaves[0])


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines() if line.strip())
