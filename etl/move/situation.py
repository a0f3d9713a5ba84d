"""What every step of one move is given: the plan, what was found, what was asked for, and who is told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from etl.move.detection import Detected
from etl.move.move_plan import LayerPlan, MovePlan
from etl.move.source_copy import SourceCopy
from etl.move.state_folder import StateFolder
from etl.options import Options
from etl.progress import Progress


@dataclass(frozen=True, slots=True)
class Situation:
    """One move. ``options`` are those of the migration; their source is the database that was found."""

    plan: MovePlan
    detected: Detected
    options: Options
    progress: Progress
    state: StateFolder
    copy: SourceCopy
    environment: Mapping[str, str]

    @property
    def force(self) -> bool:
        return self.options.force

    def place(self, text: str) -> Path:
        """The absolute path of a path in the plan."""
        return self.detected.around.place(text)

    def layer_place(self, layer: LayerPlan) -> Path:
        return self.place(layer.path)

    @property
    def values(self) -> dict[str, str]:
        """What the placeholders stand for; those without a value are absent."""
        values = {name: origin.value for name, origin in self.detected.found.items()}
        values["plan_folder"] = str(self.plan.folder)
        if self.options.target:
            values["target"] = self.options.target
        if self.plan.split is not None:
            values["system_config"] = str(self.layer_place(self.plan.split.system))
            values["secrets_config"] = str(self.layer_place(self.plan.split.secrets))
            if self.plan.split.user is not None:
                values["user_config"] = str(self.layer_place(self.plan.split.user))
        if self.plan.documents is not None:
            values["to"] = str(self.place(self.plan.documents.to))
        return values

    @property
    def command_environment(self) -> dict[str, str]:
        """Of the plan's commands: ours, with the target where many applications look for it."""
        target = {"DATABASE_URL": self.options.target} if self.options.target else {}
        return {**(self.environment or os.environ), **target}
