"""The tables of the prediction log, the same on SQLite and PostgreSQL.

Times are microseconds since 1970, UTC. Arrays are little-endian bytes: probabilities float32 in the order of the
release's labels, or of the list that was given; projections float16.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

SCHEMA = "0004"
"""The newest revision in migrations/versions, which makes the tables as they stand here."""
VERSIONS = "tidegate_log_version"

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")  # only an INTEGER key is SQLite's own row id

predictions = Table(
    "predictions",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("time", BigInteger, nullable=False),  # when the request came
    Column("request_id", String, nullable=False),
    Column("position", Integer, nullable=False),  # of the text in its request, from 0
    Column("line", String, nullable=False),
    Column("release", String, nullable=False),
    Column("variant", String, nullable=False),
    Column("role", String, nullable=False),  # champion, canary, shadow
    Column("source", String, nullable=False),  # who asked: the name behind the API key
    Column("text", String),  # masked, or its HMAC-SHA256, or null
    Column("content", LargeBinary),  # keyed hash of the masked text, by which it is found to be forgotten
    Column("label", String, nullable=False),
    Column("probabilities", LargeBinary, nullable=False),
    Column("confidence", Float, nullable=False),  # probability of the label
    Column("projection", LargeBinary),
    Column("projected_by", String),  # serving.log.projection.name
    Column("characters", Integer, nullable=False),
    Column("words", Integer, nullable=False),
    Column("non_letters", Float, nullable=False),
    Column("script", String, nullable=False),
    Column("script_share", Float, nullable=False),
    Column("latency_ms", Float, nullable=False),
    Column("in_scope", Boolean),  # whether it has one of the labels; null where the release does not tell
    Column("listed", String),  # JSON list of the labels that were given as a list; null where the best alone was
    UniqueConstraint("request_id", "position", "role", name="predictions_once"),
    Index("predictions_window", "line", "time", "id"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("request_id", String, nullable=False),  # of a prediction, or of none: that is counted, not refused
    Column("position", Integer, nullable=False),
    Column("line", String, nullable=False),
    Column("label", String, nullable=False),
    Column("source", String, nullable=False),
    UniqueConstraint("request_id", "position", "time", "source", "label", name="feedback_once"),
    Index("feedback_window", "line", "time"),
)

losses = Table(
    "losses",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("time", BigInteger, nullable=False),  # when it was found out
    Column("spool", String, nullable=False),  # of the process whose records they were
    Column("kind", String, nullable=False),  # dropped (no room), lost or torn (a crash), refused (by the database)
    Column("first", BigInteger, nullable=False),  # sequence number; of dropped records the count before
    Column("count", BigInteger, nullable=False),
    UniqueConstraint("spool", "kind", "first", name="losses_once"),
)

forgotten = Table(
    "forgotten",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("line", String, nullable=False),
    Column("request_id", String),  # one of the two: all of a request,
    Column("content", LargeBinary),  # or all equal texts of requests before `time`
)
