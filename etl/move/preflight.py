"""Step 2, preflight: everything that would stop the move later, looked for now, all of it at once.

Invariant: the source is only read, the target is only asked, and what is written (the copy on which pending migrations
are tried) lies in the state folder and is deleted.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from etl.counted_nouns import counted
from etl.errors import EtlError
from etl.move.config_split import plan_split
from etl.move.liveness import look_at_lock, look_at_socket, look_for_process
from etl.move.move_plan import LayerPlan
from etl.move.relocation import folder_account
from etl.move.situation import Situation
from etl.move.source_copy import read_schema
from etl.move.state_folder import is_writable
from etl.move.step_outcome import DONE, StepError, StepOutcome
from etl.move.target_tables import TargetTables, read_target
from etl.move.transfer import matches_any
from etl.threads import in_thread

GROWTH = 2  # the tables, and their indexes, against the bytes of the SQLite file


@dataclass(frozen=True, slots=True)
class Finding:
    """One look: what was looked at, whether it is well, and what to do where it is not."""

    well: bool
    text: str
    hint: str = ""

    @property
    def line(self) -> str:
        return f"{'✓' if self.well else '✗'} {self.text}" + ("" if self.well or not self.hint else f"; {self.hint}")


async def check(situation: Situation) -> StepOutcome:
    """Raises StepError with all findings when one of them is a problem."""
    findings = [finding async for finding in _findings(situation)]
    lines = tuple(finding.line for finding in findings)
    problems = [finding for finding in findings if not finding.well]
    data = {"problems": [{"what": problem.text, "hint": problem.hint} for problem in problems]}
    if problems:
        rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        hint = problems[0].hint or "correct what is marked ✗"
        raise StepError(f"preflight: {problems[0].text}{rest}; nothing has been changed", hint, lines, data)
    return StepOutcome("preflight", DONE, lines, data)


async def _findings(situation: Situation) -> AsyncIterator[Finding]:
    for finding in await in_thread(_stopped, situation):
        yield finding
    for finding in _folders(situation):
        yield finding
    for finding in await in_thread(_config, situation):
        yield finding
    target, findings = await _target(situation)
    for finding in findings:
        yield finding
    for finding in await in_thread(_room, situation, target):  # before the copy: it takes some of it
        yield finding
    for finding in await _schema_version(situation):
        yield finding


def _stopped(situation: Situation) -> list[Finding]:
    """A lock first, then the process, then the socket: in the order of what they prove."""
    wanted = situation.plan.stopped
    looks = []
    if wanted.lock_file is not None:
        looks.append(look_at_lock(situation.place(wanted.lock_file), wanted.process))
    if wanted.process is not None:
        looks.append(look_for_process(wanted.process))
    if wanted.socket is not None:
        looks.append(look_at_socket(wanted.socket, situation.place(wanted.socket)))
    return [Finding(not look.alive, look.text, "stop the application first") for look in looks]


def _folders(situation: Situation) -> list[Finding]:
    """Every place that the move would write to, and the accounts that files are given to."""
    plan = situation.plan
    places = [situation.state.path / "journal.json"]
    accounts = [] if plan.service_user is None else [plan.service_user]
    found: list[Finding] = []
    if plan.split is not None and situation.detected.path("config") is not None:
        layers = [plan.split.system, plan.split.secrets, *([plan.split.user] if plan.split.user else [])]
        places += [situation.layer_place(layer) for layer in layers]
        accounts += [layer.owner for layer in layers if layer.owner is not None]
        found += _service_reads(plan.service_user, plan.split.secrets, places[2])
    if plan.documents is not None and situation.detected.path("documents") is not None:
        places.append(situation.place(plan.documents.to) / "document")
    folders = dict.fromkeys(path.parent for path in places)
    found += [
        Finding(is_writable(folder / "file"), f"folder {folder}: writable")
        if is_writable(folder / "file")
        else Finding(False, f"folder {folder}: may not be written by {_own_name()}", "run the move as a user who may")
        for folder in folders
    ]
    return found + [_account(name) for name in dict.fromkeys(accounts)]


def _service_reads(service_user: str | None, secrets: LayerPlan, path: Path) -> list[Finding]:
    """A file that only its owner may read is of no use to a service that runs as somebody else."""
    owner = secrets.owner or _own_name()
    if service_user is None or service_user == owner:
        return []
    what = f"{path}: would belong to {owner} alone, and {service_user} could not read it"
    return [Finding(False, what, f'add owner = "{service_user}" to [split_config] secrets')]


def _config(situation: Situation) -> list[Finding]:
    """The config can be taken apart, and no file is in the way: all that could stop that step."""
    try:
        return [Finding(True, f"config: {line}") for line in plan_split(situation)]
    except EtlError as error:
        in_the_way = ", ".join(getattr(error, "lines", ()))
        return [
            Finding(False, f"config: {error.message}" + (f" ({in_the_way})" if in_the_way else ""), error.hint or "")
        ]


def _account(name: str) -> Finding:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return Finding(False, f"account {name}: does not exist", f"make it first, as in `useradd --system {name}`")
    return Finding(True, f"account {name}: exists")


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


async def _target(situation: Situation) -> tuple[TargetTables | None, list[Finding]]:
    """The server answers, the application's own tables are there or will be made, and nobody's rows are in the way."""
    plan, options = situation.plan, situation.options
    try:
        target = await read_target(options.target, options.target_schema)
    except EtlError as error:
        return None, [Finding(False, f"target: {error.message}", error.hint or "")]
    found = [Finding(True, f"target {target.display}: reachable, PostgreSQL {target.server_version}")]
    if not target.may_create:
        hint = f"grant create on database {target.database} to {target.user}"
        found.append(Finding(False, f"target: {target.user} may create nothing in {target.database}", hint))
    return target, [*found, _rows(target, situation), _tables(target, plan.target_schema is not None)]


def _tables(target: TargetTables, are_made: bool) -> Finding:
    where = f"target schema {target.schema}"
    if target.tables:
        return Finding(True, f"{where}: {counted(len(target.tables), 'table')} there, to be filled")
    if are_made:
        return Finding(True, f"{where}: empty; the application's own command makes its tables")
    return Finding(True, f"{where}: empty, and no command makes tables: they will be created")


def _rows(target: TargetTables, situation: Situation) -> Finding:
    spared = (*situation.plan.keep, *situation.plan.replace, *situation.options.keep)
    filled = [name for name in target.filled if not matches_any(name, spared) and not situation.options.may_empty(name)]
    shown = ", ".join(filled[:8]) + (f" and {len(filled) - 8} more" if len(filled) > 8 else "")
    if not filled:
        given_way = [name for name in target.filled if situation.options.may_empty(name)]
        replaced = f"; the rows of {', '.join(given_way)} will be replaced" if given_way else ""
        return Finding(True, f"target schema {target.schema}: holds no rows that would be in the way{replaced}")
    hint = "empty them, name the application's own in [tables] keep, or --force to replace their rows"
    return Finding(False, f"target schema {target.schema}: {shown} hold rows", hint)


async def _schema_version(situation: Situation) -> list[Finding]:
    """The source's schema is the one expected, or becomes it on a copy: tried now, or it would fail after hours."""
    wanted = situation.plan.schema_version
    if wanted is None:
        return []
    state = await in_thread(read_schema, situation.detected.database, wanted)
    if state.problem is not None:
        hint = "correct [preflight] schema_version, or bring the application to that version first"
        return [Finding(False, f"source: {state.problem}", hint)]
    if not state.pending:
        return [Finding(True, f"source: its schema is at {wanted.expect}")]
    try:
        await situation.copy.ready(situation.values, situation.command_environment)
    except EtlError as error:
        output = [f"  {line}" for line in getattr(error, "lines", ())]
        return [Finding(False, "\n".join([f"source: {error.message}", *output]), error.hint or "")]
    at = state.versions[-1] if state.versions else "no version"
    return [
        Finding(True, f"source: its schema is at {at}; a copy was brought to {wanted.expect}, the source left as it is")
    ]


def _room(situation: Situation, target: TargetTables | None) -> list[Finding]:
    """Disk room for the documents, for the copy, and for the tables where the server's disk is this machine's."""
    found = []
    plan, database_bytes = situation.plan, situation.detected.database.stat().st_size
    documents = situation.detected.path("documents")
    if plan.schema_version is not None and plan.schema_version.upgrade is not None:
        found.append(_enough("a copy of the source", database_bytes, situation.state.path))
    if documents is not None and plan.documents is not None:
        found.append(_enough("the documents", folder_account(documents)[1], situation.place(plan.documents.to)))
    if target is not None and target.data_directory is not None and target.data_directory.is_dir():
        found.append(_enough("the tables", database_bytes * GROWTH, target.data_directory))
    return found


def _enough(what: str, wanted: int, place: Path) -> Finding:
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"room for {what}: {wanted:,} bytes of {free:,} free at {place}"
    return Finding(free > wanted, text, f"make room, or name another place than {place}")
