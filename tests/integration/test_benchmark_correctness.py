"""What the harness says of a load: nothing of a right one, and the place of the damage of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("psutil", reason="the extra `bench` is not installed")

from benchmarks.correctness import find_differences
from benchmarks.generate import Dataset, make_dataset
from benchmarks.rivals import EXACT_TOLERANCE, Job, plain_python
from benchmarks.schema import TABLES, TypeSet
from benchmarks.server import execute


@pytest.fixture
def loaded(tmp_path: Path, database_dsn: str) -> tuple[Dataset, str]:
    """A generated database and a target that holds all of it."""
    dataset = make_dataset(tmp_path, 3_000)
    execute(database_dsn, *(table.postgres_ddl(TypeSet.CONTRACT) for table in TABLES))
    plain_python.load(Job(dataset.path, database_dsn, tmp_path, TypeSet.CONTRACT))
    return dataset, database_dsn


def test_a_right_load_has_no_differences(loaded: tuple[Dataset, str]) -> None:
    """The same facts come out of SQLite and PostgreSQL."""
    assert find_differences(*loaded, EXACT_TOLERANCE) == []


@pytest.mark.parametrize(
    ("damage", "fact"),
    [
        ("delete from metrics where id = 17", "metrics.rows"),
        ("insert into attachments select * from attachments where id = 1", "attachments.rows"),
        ("update events set amount = amount + 0.01 where id = (select min(id) from events where amount > 0)", "amount"),
        ("update events set active = not active where id = 5", "events.active"),
        ("update events set created_at = created_at + interval '1 microsecond' where id = 5", "events.created_at"),
        ("update events set day = day + 1 where id = (select min(id) from events where day is not null)", "events.day"),
        ("update documents set body = body || ' ' where id = 3", "documents.body"),
        ("update documents set language = null where language = 'en'", "documents.language"),
        ("update events set token = null where id = (select max(id) from events where token is not null)", "token"),
        ("update attachments set content = content || 'x'::bytea where id = 9", "attachments.content"),
    ],
)
def test_a_wrong_load_is_named(loaded: tuple[Dataset, str], damage: str, fact: str) -> None:
    """Every kind of damage moves at least one fact of its own column."""
    dataset, dsn = loaded
    execute(dsn, damage)
    differences = find_differences(dataset, dsn, EXACT_TOLERANCE)
    assert any(fact in line for line in differences), differences
