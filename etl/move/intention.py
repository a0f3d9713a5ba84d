"""What a move would do, for ``--dry-run``: said of each step without doing any of it."""

from __future__ import annotations

from etl.counted_nouns import counted
from etl.move.relocation import folder_account
from etl.move.situation import Situation


def intentions(situation: Situation) -> tuple[str, ...]:
    """One line a thing that would be done."""
    plan, detected = situation.plan, situation.detected
    lines = []
    if plan.target_schema is not None:
        lines.append(f"transfer: run {' '.join(plan.target_schema)}")
    lines.append(f"transfer: every row of {detected.database} into schema {situation.options.target_schema}, verified")
    if plan.split is not None and (detected.path("config") or detected.path("env")):
        for name in ("system", "secrets", "user"):
            layer = getattr(plan.split, name)
            if layer is not None:
                lines.append(f"split-config: write {situation.layer_place(layer)}, mode {layer.mode:04o} ({name})")
    for backfill in plan.backfills:
        columns = ", ".join(backfill.set)
        lines.append(f"backfill: {columns} of the rows of {backfill.table} where {backfill.where}")
    documents = detected.path("documents")
    if plan.documents is not None and documents is not None:
        files, size = folder_account(documents)
        account = f"{counted(files, 'file')}, {counted(size, 'byte')}"
        lines.append(f"documents: copy {account}, to {situation.place(plan.documents.to)}")
        if plan.documents.index is not None:
            lines.append(f"documents: run {' '.join(plan.documents.index)}")
    lines += [f"validate: {check.name}" for check in plan.checks]
    return tuple(lines)
