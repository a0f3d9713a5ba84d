"""COLLATE clauses are found where they are, and nowhere else; and each collation gets casts of its own."""

from __future__ import annotations

import pytest

from etl.verify.schema.collation_clauses import collations_in, with_casts

CASES = {
    'lower("name" collate "C")': ['"C"'],
    "(name COLLATE \"POSIX\") ~~ 'x'::text": ['"POSIX"'],
    'a collate pg_catalog."C" || b collate  "my ""own"""': ['"C"', '"my ""own"""'],
    'a collate Public.NoCase < b collate public."nocase"': ['"public"."nocase"', '"public"."nocase"'],
    'a collate"C"': ['"C"'],
    "'it''s collate \"C\"' || E'\\' collate \"C\"'": [],
    '"a collate ""C""" = "collate" and collated = 1': [],
    '"a"" collate" collate "C"': ['"C"'],
}


@pytest.mark.parametrize("sql", CASES)
def test_clauses_are_found_outside_of_literals_and_names(sql: str) -> None:
    """A name is folded as the server folds it, and the system's schema need not be named."""
    assert collations_in(sql) == CASES[sql]


def test_casts_take_the_place_of_a_clause_and_nothing_else_changes() -> None:
    """What is no clause stays byte for byte."""
    sql = 'lower("collate ""C""" collate "C") = \'collate "C"\''
    cast = 'lower("collate ""C""" ::text::timestamptz(3)::text) = \'collate "C"\''
    assert with_casts(sql, {'"C"': 3}) == cast


def test_every_collation_has_casts_of_its_own() -> None:
    """However many collations an expression names."""
    assert len({with_casts('a collate "C"', {'"C"': number}) for number in range(1000)}) == 1000
