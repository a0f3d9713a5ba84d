"""The settings of a connection: how many processes may help a build of an index."""

from __future__ import annotations

import pytest

from etl.load.address import parse_address
from etl.load.session_settings import helpers_each, settings_sql


@pytest.mark.parametrize(("cores", "at_once", "helpers"), [(2, 2, 0), (2, 1, 1), (8, 4, 1), (16, 4, 3), (1, 4, 0)])
def test_builds_get_helpers_only_where_all_of_them_have_a_core(cores: int, at_once: int, helpers: int) -> None:
    """Two builds with two helpers each on two cores take a quarter more work than two builds alone."""
    assert helpers_each(cores, at_once) == helpers


def test_the_helpers_of_a_server_elsewhere_are_its_own_affair() -> None:
    """Its cores are not ours: what its administrator has set stays."""
    assert "least(" in settings_sql(parse_address("postgresql://u@localhost/d"), 2)
    assert "least(" in settings_sql(parse_address("host=/tmp/socket dbname=d"), 2)
    assert "least(" not in settings_sql(parse_address("postgresql://u@db.example.org/d"), 2)


def test_a_server_named_by_the_environment_is_not_taken_for_a_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """PGHOST is what the driver connects to when the DSN has no host."""
    monkeypatch.setenv("PGHOST", "db.example.org")
    assert not parse_address("postgresql:///d").is_local
    monkeypatch.delenv("PGHOST")
    assert parse_address("postgresql:///d").is_local
