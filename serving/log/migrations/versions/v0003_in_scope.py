"""Whether a text had one of the labels at all, as far as the release could tell."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; of answers before nobody knows."""
    op.add_column("predictions", sa.Column("in_scope", sa.Boolean))
