"""Schemas that ORMs made themselves: the same models on both sides, filled by us, used by the ORM afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fix_command import EtlCommand
from tests.fix_server import rows_of


def run(etl: EtlCommand, module: str, *arguments: str) -> None:
    """Run the application as a process of its own; what it prints is the message of a failure."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=etl.environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_django_application_goes_on_on_postgresql(etl: EtlCommand, tmp_path: Path, database_dsn: str) -> None:
    """Its migrations fill tables of their own on both sides: they are named, and --force takes the source's."""
    source, app = tmp_path / "app.sqlite3", "tests.orm.django_app.manage"
    for action in ("migrate", "seed"):
        run(etl, app, action, str(source))
    run(etl, app, "migrate", database_dsn)
    refused = etl("migrate", source, database_dsn, "--cast", "*.took=interval:us")
    assert refused.status == 1
    assert "django_migrations" in refused.errors[0]
    assert "auth_permission" in refused.errors[0]
    done = etl("migrate", source, database_dsn, "--force", "--cast", "*.took=interval:us")
    assert done.status == 0, done.out + done.err
    run(etl, app, "use", database_dsn)


def test_an_alembic_application_goes_on_on_postgresql(etl: EtlCommand, tmp_path: Path, database_dsn: str) -> None:
    """Enum types, identities, a computed column, a reference of a table to itself; alembic_version may stay."""
    source, app = tmp_path / "app.sqlite3", "tests.orm.alembic_app.models"
    here, there = f"sqlite:///{source}", database_dsn.replace("postgresql://", "postgresql+psycopg://", 1)
    for action in ("upgrade", "seed"):
        run(etl, app, action, here)
    run(etl, app, "upgrade", there)
    refused = etl("migrate", source, database_dsn)
    assert refused.status == 1
    assert "alembic_version" in refused.errors[0]
    done = etl("migrate", source, database_dsn, "--keep", "alembic_version")
    assert done.status == 0, done.out + done.err
    assert rows_of(database_dsn, "select version_num from alembic_version") == [("0001",)]
    run(etl, app, "use", there)


def test_an_application_without_migrations_goes_on_on_postgresql(
    etl: EtlCommand, tmp_path: Path, database_dsn: str
) -> None:
    """Keys of two columns, a table with its parent's key, rows that lead to the one before: all by `create_all`."""
    source, app = tmp_path / "app.sqlite3", "tests.orm.recorder_app.models"
    here, there = f"sqlite:///{source}", database_dsn.replace("postgresql://", "postgresql+psycopg://", 1)
    for action, url in (("create", here), ("seed", here), ("create", there)):
        run(etl, app, action, url)
    done = etl("migrate", source, database_dsn)
    assert (done.status, done.errors) == (0, []), done.out + done.err
    run(etl, app, "use", there)
