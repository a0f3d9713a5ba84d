"""All tables, as the models have them."""

from __future__ import annotations

from alembic import op

from tests.orm.alembic_app.models import Base

revision = "0001"
down_revision = None


def upgrade() -> None:
    Base.metadata.create_all(op.get_bind())
