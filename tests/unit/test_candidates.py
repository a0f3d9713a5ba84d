"""Where the parts of an application are looked for: paths, variables, pointers into YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.errors import SourceError
from etl.move import env_file
from etl.move.candidates import Failed, Origin, Surroundings, resolve
from etl.move.detection import describe, detect
from etl.move.plan_file import read_plan
from etl.move.yaml_reading import ConfigError


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    """A folder with a YAML file and a .env, and a home of its own."""
    (tmp_path / "app.yml").write_text("people:\n- username: ada\ndatabase: {path: data/app.db}\nempty: {}\n")
    (tmp_path / ".env").write_text("APP_DB=from-env-file.db\n")
    return Surroundings(tmp_path, {"HOME": "/nowhere/ada", "OTHER": "x/y.db"}, tmp_path / ".env")


@pytest.mark.parametrize(
    ("candidate", "path"),
    [
        ("./app.db", "{folder}/app.db"),
        ("~/app.db", "/nowhere/ada/app.db"),
        ("$OTHER", "{folder}/x/y.db"),
        ("${OTHER}.bak", "{folder}/x/y.db.bak"),
        ("$APP_DB", "{folder}/from-env-file.db"),
        ("sqlite:///app.db", "{folder}/app.db"),
        ("yaml:app.yml#database.path", "{folder}/data/app.db"),
    ],
)
def test_a_candidate_leads_to_a_path(around: Surroundings, candidate: str, path: str) -> None:
    """Relative to the plan, to the home of who runs it, or to where a variable or a config says."""
    found = resolve(candidate, around, is_path=True)
    assert isinstance(found, Origin)
    assert found.value == path.format(folder=around.folder)


def test_a_pointer_leads_into_lists(around: Surroundings) -> None:
    """The name of the owner stands somewhere in a config."""
    assert resolve("yaml:app.yml#people.0.username", around, is_path=False) == Origin(
        "ada", "yaml:app.yml#people.0.username"
    )


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        ("$NOT_SET", "$NOT_SET is not set"),
        ("yaml:none.yml#a", "none.yml does not exist"),
        ("yaml:app.yml#people.7", "has no value at people.7"),
        ("yaml:app.yml#database", "has no value at database"),
    ],
)
def test_a_candidate_that_leads_nowhere_says_why(around: Surroundings, candidate: str, why: str) -> None:
    """Who wrote the plan sees which of his candidates was tried, and what was missing."""
    found = resolve(candidate, around, is_path=True)
    assert isinstance(found, Failed)
    assert why in found.why


def test_env_files_are_read_as_shells_do(tmp_path: Path) -> None:
    """Quotes, comments, export, values over several lines; ${OTHER} stays as it is written."""
    path = tmp_path / ".env"
    path.write_text(
        '# a comment\n\nexport A=1\nB = two words  # said\nC=\'single # quoted\'\nD="a\\nb \\"c\\" ${HOME}"\n'
        'E="over\ntwo lines"\nF=\nG=a#b\nA=2\n'
    )
    assert env_file.read(path) == {
        "A": "2",
        "B": "two words",
        "C": "single # quoted",
        "D": 'a\nb "c" ${HOME}',
        "E": "over\ntwo lines",
        "F": "",
        "G": "a#b",
    }


@pytest.mark.parametrize(("text", "says"), [("A=1\nnonsense\n", "line 2"), ("A='x\n", "never ends")])
def test_an_env_file_that_nobody_could_read_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """A secret must not get lost in a line that was skipped."""
    path = tmp_path / ".env"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        env_file.read(path)


def test_detection_tells_what_was_found_and_what_was_tried(tmp_path: Path) -> None:
    """The first candidate that exists counts; what is missing but optional is said."""
    (tmp_path / "real.db").write_bytes(b"x" * 5)
    (tmp_path / "move.toml").write_text(
        '[source]\ndatabase = ["./none.db", "$DB"]\nconfig = "./none.yml"\n[owner]\nperson = "ada"\nuid = "os"\n'
    )
    detected = detect(read_plan(tmp_path / "move.toml"), {"DB": "real.db"})
    assert detected.database == tmp_path / "real.db"
    assert detected.value("uid") == str((tmp_path / "real.db").stat().st_uid)
    lines = "\n".join(describe(detected).lines)
    assert "real.db, 5 bytes  (from $DB; set in the environment)" in lines
    assert "config     missing  (./none.yml:" in lines
    assert "documents  not in the plan" in lines


def test_a_missing_database_stops(tmp_path: Path) -> None:
    """Everything that was tried is named, and nothing is created."""
    (tmp_path / "move.toml").write_text('[source]\ndatabase = ["./none.db", "$DB"]\n')
    with pytest.raises(SourceError, match=r"none\.db does not exist; \$DB: \$DB is not set"):
        detect(read_plan(tmp_path / "move.toml"), {})
    assert [path.name for path in tmp_path.iterdir()] == ["move.toml"]
