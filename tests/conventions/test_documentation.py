"""What the program can do is documented, and what is documented it can do."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from etl.errors import ExitStatus
from etl.shell.cli import etl

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

FLAGS = sorted(
    {
        name
        for command in etl.commands.values()
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
        if name.startswith("--")
    }
)


def section(title: str) -> str:
    """The text of a section of the README, without its subsections' end."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"README has no section {title!r}"
    return found[1]


@pytest.mark.parametrize("name", sorted(etl.commands))
def test_every_command_is_in_the_readme(name: str) -> None:
    """A command that nobody reads of does not exist."""
    assert f"`etl {name}" in README


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_is_in_the_readme(flag: str) -> None:
    """In the table of flags, at the start of a row."""
    assert re.search(rf"^\|[^|]*`(?:-\w`, `)?{re.escape(flag)}\b", section("Flags"), re.MULTILINE)


def test_the_readme_names_no_flag_that_does_not_exist() -> None:
    """A flag that was renamed disappears from the text too."""
    named = set(re.findall(r"`(--[a-z][a-z-]+)", section("Flags")))
    assert named - set(FLAGS) - {"--version", "--help"} == set()


def test_the_table_of_exit_statuses_is_true() -> None:
    """The README's numbers are those of ExitStatus, each of them once."""
    rows = re.findall(r"^\| (\d+)(?:, (\d+))? \|", section("Exit status"), re.MULTILINE)
    told = [int(number) for row in rows for number in row if number]
    assert sorted(told) == sorted(int(status) for status in ExitStatus)


def test_every_link_of_the_documents_leads_somewhere() -> None:
    """Relative links point to files that are in the repository."""
    broken = [
        f"{page.name}: {target}"
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_rule_is_documented() -> None:
    """A rule that the report names is explained in docs/coercion.md."""
    text = (ROOT / "docs" / "coercion.md").read_text(encoding="utf-8")
    rules = {
        found
        for path in (ROOT / "etl" / "transform" / "rows").glob("*.py")
        for found in re.findall(r"\"([a-z]+(?:-[a-z0-9]+)+|rounded)\"", path.read_text(encoding="utf-8"))
    }
    assert len(rules) > 10
    assert sorted(rule for rule in rules if f"`{rule}`" not in text) == []
