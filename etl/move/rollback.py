"""Step 8, the way back: what the plan says of it, and what this move has changed so far.

Nothing is undone by us: the originals are as they were, and which of the new things go is a person's decision.
"""

from __future__ import annotations

from collections.abc import Sequence

from etl.move.placeholders import fill_known
from etl.move.situation import Situation
from etl.move.step_outcome import DONE, FAILED, NOT_REACHED, SKIPPED, StepOutcome
from etl.redaction import mask_dsn


def way_back(situation: Situation, steps: Sequence[StepOutcome], earlier: Sequence[str] = ()) -> tuple[str, ...]:
    """Lines for a person: done, not done, how to go on, how to go back. Empty when nothing was changed.

    ``earlier`` are the changes of the runs that this one goes on with.
    """
    changed = list(dict.fromkeys([*earlier, *(line for step in steps for line in step.changed)]))
    failed = [step.name for step in steps if step.state == FAILED]
    open_steps = [step.name for step in steps if step.state == NOT_REACHED]
    lines = []
    if failed:
        done = [step.name for step in steps if step.state in (DONE, SKIPPED)]
        lines.append(
            f"done: {', '.join(done) or 'nothing'}; failed: {failed[0]}; not reached: {', '.join(open_steps) or 'none'}"
        )
        if changed:
            lines.append(f"to go on, once mended: etl move {situation.plan.path} --resume")
    lines += [f"changed by this move: {line}" for line in changed]
    if changed and situation.plan.rollback is not None:
        values = {**situation.values, "target": mask_dsn(situation.options.target)}
        text = fill_known(situation.plan.rollback, values, lambda name: f"({name}: none was found)")
        lines += ["to go back:", *(f"  {line.strip()}" for line in text.strip().splitlines())]
    elif changed:
        lines.append(f"to go back: start the application as before on {situation.detected.database}; it is as it was")
    elif failed:
        lines.append("nothing has been changed: the application can go on as before")
    return tuple(lines)
