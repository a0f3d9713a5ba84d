"""Step 4, split config: one YAML file and ``.env`` become what is the system's, what is secret and what is the user's.

Everything is worked out and proven before a byte is written, and proven again from the files. The secrets' file is made
with its mode; no file is written over without --force, and then a copy is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etl.move import env_file, yaml_reading
from etl.move.atomic_files import keep_copy, make_folder, write_file
from etl.move.config_layers import (
    LAYERS,
    SECRETS,
    SYSTEM,
    USER,
    assign,
    is_telltale,
    leaves,
    merge,
    prove,
    same,
    secret_texts,
)
from etl.move.move_plan import LayerPlan, SplitPlan
from etl.move.situation import Situation
from etl.move.step_outcome import DONE, SKIPPED, StepError, StepOutcome
from etl.move.yaml_cutting import Cutter
from etl.move.yaml_reading import ConfigError
from etl.threads import in_thread

ALREADY_SPLIT = "already split: the files together say what the config says"

Files = Mapping[str, tuple[Path, LayerPlan]]


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """The three texts, what they were made of, and how many settings went where."""

    original: Mapping[str, Any]
    texts: Mapping[str, str]
    counts: Mapping[str, int]


async def split_config(situation: Situation) -> StepOutcome:
    """Write the layers; raises ConfigError or StepError with nothing written, or with what was."""
    return await in_thread(_split, situation)


def _split(situation: Situation) -> StepOutcome:
    why_not = _nothing_to_do(situation)
    plan = situation.plan.split
    if plan is None or why_not is not None:
        return StepOutcome("split-config", SKIPPED, (why_not or "",))
    made, files = _worked_out(situation, plan)
    if is_split(made, files):
        return StepOutcome("split-config", SKIPPED, (ALREADY_SPLIT,))
    lines, changed = _write(made, files, situation.force)
    _prove_files(made, files, plan)
    lines.append("read back and merged, system → secrets → user: equal to the original; no secret in the other two")
    return StepOutcome("split-config", DONE, tuple(lines), {"settings": dict(made.counts)}, tuple(changed))


def plan_split(situation: Situation) -> list[str]:
    """What the step would do; raises what would stop it."""
    why_not = _nothing_to_do(situation)
    plan = situation.plan.split
    if plan is None or why_not is not None:
        return []
    made, files = _worked_out(situation, plan)
    if is_split(made, files):
        return [ALREADY_SPLIT]
    _todo(made, files, situation.force)
    return [", ".join(f"{number:,} {name}" for name, number in made.counts.items()) + " settings, provably"]


def _nothing_to_do(situation: Situation) -> str | None:
    if situation.plan.split is None:
        return "the plan has no [split_config]"
    if situation.detected.path("config") is None and situation.detected.path("env") is None:
        return "neither a config nor a .env was found"
    return None


def _worked_out(situation: Situation, plan: SplitPlan) -> tuple[SplitConfig, Files]:
    made = cut_config(situation.detected.path("config"), situation.detected.path("env"), plan)
    files = {name: (situation.layer_place(layer), layer) for name, layer in _layers(plan).items()}
    _spare_originals(situation, files)
    return made, files


def cut_config(config: Path | None, env: Path | None, plan: SplitPlan) -> SplitConfig:
    """The three texts, proven; raises ConfigError."""
    text = "" if config is None else yaml_reading.read_text(config)
    where = config or Path("config")
    settings = yaml_reading.parse(text, where)
    root = yaml_reading.compose(text, where)
    settings = {} if settings is None else settings
    if not isinstance(settings, dict):
        raise ConfigError(f"{where}: is a list or a single value, not a mapping", "only mappings can be split")
    variables = {} if env is None else env_file.read(env)
    original = _with_variables(settings, variables, plan, where)
    assignment = assign(original, plan)

    def layers_of(path: tuple[str, ...]) -> frozenset[str]:
        return frozenset(layer for leaf, layer in assignment.items() if leaf[: len(path)] == path)

    cutter = Cutter(text, root, layers_of)
    texts = {name: cutter.cut(name, with_frame=name == SYSTEM) for name in _layers(plan)}
    for name in texts:
        texts[name] += _variables_text(name, variables, assignment, plan)
    texts = _without_telltales(texts, secret_texts(dict(leaves(original)), assignment), plan)
    prove(original, texts, _parsed(texts, where), plan)
    counts = {name: sum(layer == name for layer in assignment.values()) for name in _layers(plan)}
    return SplitConfig(original, texts, counts)


def _parsed(texts: Mapping[str, str], where: Path) -> dict[str, Any]:
    try:
        return {name: yaml_reading.parse(text, where) for name, text in texts.items()}
    except ConfigError as error:  # the whole could be read: what the parts lack is in another part
        raise ConfigError(
            f"{where}: cannot be cut: an alias would stand in one file and its anchor in another",
            "write out what the alias stands for",
        ) from error


def _with_variables(
    settings: dict[str, Any], variables: Mapping[str, str], plan: SplitPlan, where: Path
) -> dict[str, Any]:
    if not variables:
        return settings
    if plan.env_section in settings:
        raise ConfigError(
            f"{where}: has a key {plan.env_section!r} already, under which the variables of .env are to stand",
            'name another one: [split_config] env_section = "environment"',
        )
    return {**settings, plan.env_section: dict(variables)}


def _variables_text(name: str, variables: Mapping[str, str], assignment: dict[Any, str], plan: SplitPlan) -> str:
    mine = {key: value for key, value in variables.items() if assignment[plan.env_section, key] == name}
    if not mine:
        return ""
    # a JSON text is a YAML text in double quotes
    lines = [f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in mine.items()]
    return "\n".join(["", "# the variables of .env", f"{plan.env_section}:", *lines, ""])


def _without_telltales(texts: Mapping[str, str], secrets: frozenset[str], plan: SplitPlan) -> dict[str, str]:
    """Comments that name a secret go where the secrets are."""
    kept: dict[str, str] = {}
    moved: list[str] = []
    for name, text in texts.items():
        lines = text.splitlines(keepends=True)
        out = [name != SECRETS and line.lstrip().startswith("#") and is_telltale(line, secrets, plan) for line in lines]
        moved += [f"{line.strip()}\n" for line, is_out in zip(lines, out, strict=True) if is_out]
        kept[name] = "".join(line for line, is_out in zip(lines, out, strict=True) if not is_out)
    if moved:
        kept[SECRETS] += "".join(["\n# comments of the other files that name secrets:\n", *dict.fromkeys(moved)])
    return kept


def _layers(plan: SplitPlan) -> dict[str, LayerPlan]:
    found = {SYSTEM: plan.system, SECRETS: plan.secrets}
    return found if plan.user is None else {**found, USER: plan.user}


def is_split(made: SplitConfig, files: Files) -> bool:
    """Whether the files are there and say what the original says, however they are written by now."""
    found = {}
    for name, (path, _) in files.items():
        if not path.is_file():
            return False
        found[name] = yaml_reading.parse(yaml_reading.read_text(path), path)
    return same(merge(found), dict(made.original))


def _spare_originals(situation: Situation, files: Files) -> None:
    originals = {path.resolve() for name in ("config", "env", "database") if (path := situation.detected.path(name))}
    for name, (path, _) in files.items():
        if path.resolve() in originals:
            raise StepError(
                f"{path}: is an original, and the {name} file would be written over it",
                f"name another path in [split_config] {name}: originals are never changed",
            )


def _write(made: SplitConfig, files: Files, force: bool) -> tuple[list[str], list[str]]:
    """Write what is not there yet; the lines to tell, and what has changed."""
    todo = _todo(made, files, force)
    lines, changed = [], []
    for name in sorted(files, key=lambda layer: layer != SECRETS):
        path, layer = files[name]
        told = f"{name:<7}  {path}, mode {layer.mode:04o}, {made.counts[name]:,} settings"
        if name not in todo:
            lines.append(f"{told} (there already)")
            continue
        make_folder(path.parent)
        kept = keep_copy(path) if path.exists() else None
        write_file(path, todo[name], layer.mode, layer.owner)
        lines.append(told + (f"; what was there is {kept}" if kept else ""))
        changed.append(f"written: {path}" + (f" (what was there is {kept})" if kept else ""))
    return lines, changed


def _todo(made: SplitConfig, files: Files, force: bool) -> dict[str, bytes]:
    """What is to be written; raises StepError for a file in the way."""
    todo = {name: made.texts[name].encode() for name, (path, _) in files.items() if not _has(path, made.texts[name])}
    in_the_way = [str(files[name][0]) for name in todo if files[name][0].exists()]
    if in_the_way and not force:
        raise StepError(
            f"{in_the_way[0]}: is there already and says something else",
            "move it away, or --force to write over it; a copy is kept",
            lines=[f"{path}: in the way" for path in in_the_way],
        )
    return todo


def _has(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _prove_files(made: SplitConfig, files: Files, plan: SplitPlan) -> None:
    texts = {name: yaml_reading.read_text(path) for name, (path, _) in files.items()}
    data = {name: yaml_reading.parse(texts[name], files[name][0]) for name in LAYERS if name in files}
    prove(made.original, texts, data, plan)
