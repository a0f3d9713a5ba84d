"""``{database}`` and the like in commands, SQL and texts.

Invariant: a command is split into arguments before anything is substituted, so that no value can become an argument of
its own, and no shell ever sees it. ``${NAME}`` is nobody's placeholder and stays as it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping

from etl.errors import UsageError

PLACEHOLDER = re.compile(r"(?<!\$)\{([a-z_]+)\}")
QUOTED_PLACEHOLDER = re.compile(r"'\{([a-z_]+)\}'|(?<!\$)\{([a-z_]+)\}")
NAMES = (
    "database",
    "config",
    "env",
    "documents",
    "target",
    "person",
    "uid",
    "system_config",
    "secrets_config",
    "user_config",
    "to",
    "plan_folder",
)

Values = Mapping[str, str]


def unknown_names(text: str) -> list[str]:
    """Placeholders that no plan can fill."""
    return [name for name in PLACEHOLDER.findall(text) if name not in NAMES]


def split_command(text: str) -> tuple[str, ...]:
    """The arguments, by the rules of a POSIX shell for quotes; raises ValueError for a quote that never ends."""
    arguments = tuple(shlex.split(text))
    if not arguments:
        raise ValueError("the command is empty")
    return arguments


def fill(text: str, values: Values) -> str:
    """The text with every placeholder replaced; raises UsageError for one that has no value here."""
    return PLACEHOLDER.sub(lambda match: _value(match[1], values), text)


def fill_command(arguments: tuple[str, ...], values: Values) -> list[str]:
    """Each argument with its placeholders replaced; one argument stays one argument."""
    return [fill(argument, values) for argument in arguments]


def fill_sql(text: str, values: Values) -> str:
    """SQL with every placeholder, quoted or not, as a string constant."""

    def constant(match: re.Match[str]) -> str:
        return "'" + _value(match[1] or match[2], values).replace("'", "''") + "'"

    return QUOTED_PLACEHOLDER.sub(constant, text)


def fill_known(text: str, values: Values, otherwise: Callable[[str], str]) -> str:
    """As ``fill``, for texts that are read by people: what has no value is said by ``otherwise``."""
    return PLACEHOLDER.sub(lambda match: values.get(match[1]) or otherwise(match[1]), text)


def _value(name: str, values: Values) -> str:
    value = values.get(name)
    if value is None:
        raise UsageError(
            f"{{{name}}} has no value: the plan names none, or it was not found",
            "`etl move PLAN.toml --dry-run` lists what was found",
        )
    return value
