"""READ THIS FIRST: the move, step by step.

    detect → preflight → transfer → split-config → backfill → documents → validate → rollback text

Each step is a module of its own, can be run by itself (``--only``), and does nothing when it is run again. What is done
is written down in the state folder, so that ``--resume`` goes on after the step that failed.

Invariant: the originals are hashed before and after, and whatever happens, what was done and how to go back is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from etl.counted_nouns import counted
from etl.errors import EtlError, UsageError
from etl.model import Verdict
from etl.move import config_split, detection, ownership, preflight, relocation, transfer, validation
from etl.move.intention import intentions
from etl.move.move_plan import MovePlan
from etl.move.move_report import MoveReport
from etl.move.originals import Original, compare_originals, hash_originals
from etl.move.rollback import way_back
from etl.move.situation import Situation
from etl.move.source_copy import SourceCopy
from etl.move.state_folder import StateFolder
from etl.move.step_outcome import DONE, FAILED, NOT_ASKED, NOT_REACHED, SKIPPED, StepError, StepOutcome
from etl.options import Options
from etl.progress import Progress
from etl.report import Report, outcomes, verdict
from etl.threads import in_stoppable_thread

STEPS = ("detect", "preflight", "transfer", "split-config", "backfill", "documents", "validate")
CHANGING = STEPS[2:]


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """What was asked for. ``options`` are the migration's, without the source, which the plan names."""

    plan: MovePlan
    options: Options
    environment: Mapping[str, str]
    only: str | None = None
    start: str | None = None  # --from
    resume: bool = False


async def move(request: MoveRequest, progress: Progress, on_break: Callable[[MoveReport], None]) -> MoveReport:
    """Run the steps; what fails is in the report. Raises EtlError for what is wrong before the first step.

    ``on_break`` gets the report of a move that is cancelled or that breaks, before the exception goes on.
    """
    started = time.monotonic()
    plan = request.plan
    detected = detection.detect(plan, request.environment)
    state = StateFolder(_state_path(plan, detected), plan.path)
    if request.resume:
        state.resume()
    elif request.only is not None or request.start is not None:
        state.join()
    else:
        state.begin()
    options = replace(request.options, source=detected.database)
    copy = SourceCopy(plan, detected.database, state)
    situation = Situation(plan, detected, options, progress, state, copy, request.environment)
    course = Course(situation, wanted_steps(request, state.done), request.resume)
    try:
        await course.run()
    except BaseException:
        on_break(course.report())
        raise
    finally:
        copy.discard()
        state.leave()
    return replace(course.report(), seconds=time.monotonic() - started)


def wanted_steps(request: MoveRequest, done: Sequence[str]) -> tuple[str, ...]:
    """The steps to run, in their order; raises UsageError for a name that is none."""
    for flag, name in (("--only", request.only), ("--from", request.start)):
        if name is not None and name not in STEPS:
            raise UsageError(f"{flag} {name}: no such step", f"the steps are {', '.join(STEPS)}")
    if request.options.dry_run:
        return STEPS[:2]
    if request.only is not None:
        return ("detect", request.only) if request.only != "detect" else ("detect",)
    if request.start is not None:
        return ("detect", *STEPS[max(1, STEPS.index(request.start)) :])
    if request.resume and "transfer" in done:  # preflight asks for an empty target, and it is filled by now
        return ("detect", *(step for step in CHANGING if step not in done))
    return STEPS


class Course:
    """One run through the steps; gathers what they say."""

    def __init__(self, situation: Situation, wanted: Sequence[str], resumed: bool) -> None:
        self._situation = situation
        self._wanted = wanted
        self._resumed = resumed
        self._outcomes: dict[str, StepOutcome] = {}
        self._transfer: Report | None = None
        self._failure: EtlError | None = None
        self._intentions: tuple[str, ...] = ()
        self._originals: tuple[Original, ...] = ()

    async def run(self) -> None:
        situation = self._situation
        before = await in_stoppable_thread(hash_originals, situation.detected)
        if self._resumed:
            self._check_earlier(before)
        situation.state.note_originals(before)
        for name in self._wanted:
            await self._step(name)
            if self._failure is not None:
                break
        if situation.options.dry_run and self._failure is None:
            await self._intend()
        after = await in_stoppable_thread(hash_originals, situation.detected)
        self._originals = tuple(compare_originals(before, after))
        self._ensure_unchanged()

    async def _intend(self) -> None:
        """What the other steps would do; what the transfer would stumble over is a failure already now."""
        try:
            self._intentions = (*intentions(self._situation), *await transfer.describe_transfer(self._situation))
        except EtlError as error:
            self._failure = error

    def report(self) -> MoveReport:
        situation = self._situation
        steps = tuple(self._outcomes.get(name) or self._left_out(name) for name in STEPS)
        return MoveReport(
            plan=str(situation.plan.path),
            source=str(situation.detected.database),
            target=situation.options.target,
            steps=steps,
            originals=self._originals,
            transfer=self._transfer,
            failure=self._failure,
            way_back=way_back(situation, steps, situation.state.changed if self._resumed else ()),
            intentions=self._intentions,
            dry_run=situation.options.dry_run,
        )

    def _left_out(self, name: str) -> StepOutcome:
        if self._resumed and name in self._situation.state.done:
            return StepOutcome(name, SKIPPED, ("done by the move that this one goes on with",))
        return StepOutcome(name, NOT_REACHED if name in self._wanted else NOT_ASKED)

    async def _step(self, name: str) -> None:
        """Run one step; its failure is kept, and told at the end."""
        situation = self._situation
        situation.progress.note(f"step {STEPS.index(name) + 1} of {len(STEPS)}: {name}")
        started = time.monotonic()
        if name in CHANGING:
            situation.state.note_begun(name, all_or_nothing=name == "transfer")
        try:
            outcome = await self._work(name)(situation)
        except asyncio.CancelledError:
            begun = ("interrupted; what it has done so far stays, and is not done again",)
            self._outcomes[name] = StepOutcome(name, FAILED, begun)
            raise
        except EtlError as error:
            self._failure = error
            lines, data, changed = (getattr(error, part, ()) for part in ("lines", "data", "changed"))
            outcome = StepOutcome(name, FAILED, (*lines, f"error: {error.message}"), dict(data), tuple(changed))
        outcome = replace(outcome, seconds=time.monotonic() - started)
        self._outcomes[name] = outcome
        if name in CHANGING:
            situation.state.note_ended(name, outcome.changed, is_done=outcome.state in (DONE, SKIPPED))

    def _work(self, name: str) -> Callable[[Situation], Awaitable[StepOutcome]]:
        return {
            "detect": _detect,
            "preflight": preflight.check,
            "transfer": self._transfer_rows,
            "split-config": config_split.split_config,
            "backfill": self._backfill,
            "documents": relocation.relocate,
            "validate": validation.validate,
        }[name]

    async def _backfill(self, situation: Situation) -> StepOutcome:
        outcome = await ownership.backfill(situation)
        if self._transfer is not None:
            self._transfer = ownership.with_owners(self._transfer, outcome)
        return outcome

    async def _transfer_rows(self, situation: Situation) -> StepOutcome:
        try:
            report = self._transfer = await transfer.transfer(situation)
        except transfer.TransferDifferenceError as error:
            self._transfer = error.report
            raise
        rows = sum(outcome.source_rows or 0 for outcome in outcomes(report))
        found = verdict(report)
        proof = "every value compared, equal" if found is Verdict.EQUAL else str(found)
        line = f"{counted(rows, 'row')} in {counted(len(report.plan.tables), 'table')}: {proof}"
        changed = (f"filled: {counted(len(report.plan.tables), 'table')} of {report.target}",)
        return StepOutcome("transfer", DONE, (line,), {"rows": rows, "verdict": found.value}, changed)

    def _check_earlier(self, before: Mapping[str, str]) -> None:
        """A resumed move goes on with what was transferred; a source that has changed since is another one."""
        earlier = self._situation.state.originals
        for path, digest in before.items():
            if earlier.get(path, digest) != digest:
                raise StepError(
                    f"--resume: {path} has changed since the move began",
                    "run it without --resume; --force replaces the rows that were transferred",
                )

    def _ensure_unchanged(self) -> None:
        changed = [original.path for original in self._originals if not original.is_unchanged]
        if changed and self._failure is None:
            self._failure = StepError(
                f"{changed[0]} changed while the move ran",
                "is the application running? Stop it, and run the move again with --force",
            )


async def _detect(situation: Situation) -> StepOutcome:
    return detection.describe(situation.detected)


def _state_path(plan: MovePlan, detected: detection.Detected) -> Path:
    if plan.state is not None:
        return detected.around.place(plan.state)
    return plan.folder / f"{plan.path.stem}.state"
