"""The real command line as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Done:
    """What a process left behind."""

    status: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error:")]

    @property
    def hints(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("hint:")]


@dataclass(frozen=True)
class EtlCommand:
    """``etl(*arguments) -> Done``, in an empty folder and without the settings of the caller's environment."""

    folder: Path

    def __call__(self, *arguments: object, env: Mapping[str, str] | None = None, timeout: float = 120) -> Done:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    @staticmethod
    def command(*arguments: object) -> list[str]:
        """The command line, for tests that start the process themselves."""
        return [sys.executable, "-m", "etl", *map(str, arguments)]

    @staticmethod
    def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment without ETL_*, PG* and DATABASE_URL."""
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ETL_", "PG")) and name != "DATABASE_URL"
        }
        return {**own, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), **(more or {})}


@pytest.fixture
def etl(tmp_path_factory: pytest.TempPathFactory) -> EtlCommand:
    """The command line: ``done = etl("migrate", source, dsn)``."""
    return EtlCommand(tmp_path_factory.mktemp("cwd"))
