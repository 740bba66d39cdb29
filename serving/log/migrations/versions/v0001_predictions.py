"""Predictions, feedback and losses."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "predictions",
        sa.Column("id", number, primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("line", sa.String, nullable=False),
        sa.Column("release", sa.String, nullable=False),
        sa.Column("variant", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("text", sa.String),
        sa.Column("content", sa.LargeBinary),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("probabilities", sa.LargeBinary, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("projection", sa.LargeBinary),
        sa.Column("projected_by", sa.String),
        sa.Column("characters", sa.Integer, nullable=False),
        sa.Column("words", sa.Integer, nullable=False),
        sa.Column("non_letters", sa.Float, nullable=False),
        sa.Column("script", sa.String, nullable=False),
        sa.Column("script_share", sa.Float, nullable=False),
        sa.Column("latency_ms", sa.Float, nullable=False),
        sa.UniqueConstraint("request_id", "position", "role", name="predictions_once"),
    )
    op.create_index("predictions_window", "predictions", ["line", "time", "id"])
    op.create_table(
        "feedback",
        sa.Column("id", number, primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("line", sa.String, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.UniqueConstraint("request_id", "position", "time", "source", "label", name="feedback_once"),
    )
    op.create_index("feedback_window", "feedback", ["line", "time"])
    op.create_table(
        "losses",
        sa.Column("id", number, primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("spool", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("spool", "kind", "first", name="losses_once"),
    )
