"""What was forgotten, so that what still waits in a spool does not bring it back."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "forgotten",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("line", sa.String, nullable=False),
        sa.Column("request_id", sa.String),
        sa.Column("content", sa.LargeBinary),
    )
