"""What Alembic runs to migrate a database."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine

from tests.orm.alembic_app.models import Base

with create_engine(context.config.attributes["url"]).begin() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
