"""The fixtures of every test; each family has a module of its own."""

from __future__ import annotations

pytest_plugins = ["tests.fix_server", "tests.fix_source"]
