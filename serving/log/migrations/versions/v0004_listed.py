"""What was given as a list, where a list was asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; of answers before nobody knows."""
    op.add_column("predictions", sa.Column("listed", sa.String))
