"""Placeholders are filled after a command was split, and never by a shell."""

from __future__ import annotations

import pytest

from etl.errors import UsageError
from etl.move.placeholders import fill, fill_command, fill_sql, split_command


def test_a_value_stays_one_argument() -> None:
    """Blanks, quotes and semicolons in a path or password are nobody's syntax."""
    command = split_command("app migrate --db {target} '--label=a b' {to}")
    values = {"target": "postgresql://a:p w;rm -rf ~@h/d", "to": "$(reboot) 'x' \"y\""}
    assert fill_command(command, values) == ["app", "migrate", "--db", values["target"], "--label=a b", values["to"]]


def test_a_value_with_braces_is_not_filled_again() -> None:
    """What a value holds is data."""
    assert fill("{person}", {"person": "{uid}", "uid": "0"}) == "{uid}"


def test_shell_variables_and_json_are_left_alone() -> None:
    """${HOME} is not ours, and neither are braces around anything but a name."""
    text = '${HOME} {"a": 1} {} {Person}'
    assert fill(text, {}) == text


def test_sql_gets_constants() -> None:
    """A name with a quote in it is a name, with or without quotes around the placeholder."""
    values = {"person": "d'Arc"}
    assert fill_sql("select {person} = '{person}'", values) == "select 'd''Arc' = 'd''Arc'"


def test_a_placeholder_without_a_value_is_named() -> None:
    """`{config}` where no config was found is said, not filled with nothing."""
    with pytest.raises(UsageError, match=r"\{config\} has no value"):
        fill("app --config {config}", {})
