"""``--grant ROLE[=PRIVILEGES]``: who may do what with the published tables, besides the schema's default privileges.

Invariant: only privileges that PostgreSQL has for tables reach the target.
"""

from __future__ import annotations

from collections.abc import Iterable

from etl.errors import UsageError
from etl.model import Grant

PRIVILEGES = ("select", "insert", "update", "delete", "truncate", "references", "trigger", "all")


def parse_grants(texts: Iterable[str]) -> tuple[Grant, ...]:
    """Read the flags' values. Raises UsageError."""
    return tuple(map(_parse_grant, texts))


def _parse_grant(text: str) -> Grant:
    role, _, listed = text.partition("=")
    privileges = tuple(word.strip().lower() for word in (listed or "all").split(","))
    unknown = [word for word in privileges if word not in PRIVILEGES]
    if unknown or not role:
        raise UsageError(
            f"--grant {text!r} is not ROLE or ROLE=PRIVILEGE,…",
            f"as in --grant app=select,insert; {', '.join(PRIVILEGES)}",
        )
    return Grant(role, privileges)
