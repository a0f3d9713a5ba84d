"""The fixtures of every test; each family has a module of its own."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest_plugins = ["tests.fix_command", "tests.fix_move", "tests.fix_server", "tests.fix_source"]

settings.register_profile("etl", deadline=None)  # a loaded machine is no failure
settings.load_profile("etl")


@pytest.fixture(scope="session")
def soak_seconds() -> float:
    """How long a test marked `soak` may run on: ETL_SOAK_SECONDS, five by default."""
    return float(os.environ.get("ETL_SOAK_SECONDS", "5"))
