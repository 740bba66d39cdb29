"""The tables of opinion monitoring. A later schema has another name: these only ever gain tables."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, MetaData, String, Table, Text

metadata = MetaData()

headlines = Table(
    "opinion_headlines",
    metadata,
    Column("product", String, primary_key=True),
    Column("id", String, primary_key=True),  # <feed>-<the feed's id>
    Column("time", BigInteger, nullable=False),  # microseconds since 1970, UTC
    Column("feed", String, nullable=False),
    Column("text", Text, nullable=False),  # cleaned and masked
    Column("split_key", String, nullable=False),
    Column("copy", Boolean, nullable=False),  # of a text that came shortly before
    Column("label", String, nullable=False),
    Column("score", Float, nullable=False),  # from -1 to 1
    Column("topic", String, nullable=False),  # "" without a topic line
    Column("release", String, nullable=False),  # that gave the label
    Index("opinion_headlines_key", "product", "split_key", "time"),
)

mentions = Table(
    "opinion_mentions",
    metadata,
    Column("product", String, primary_key=True),
    Column("entity", String, primary_key=True),
    Column("headline", String, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Index("opinion_mentions_time", "product", "entity", "time"),
)

indices = Table(
    "opinion_index",
    metadata,
    Column("product", String, primary_key=True),
    Column("entity", String, primary_key=True),
    Column("topic", String, primary_key=True),  # "" is all of them
    Column("day", BigInteger, primary_key=True),  # days since 1970, UTC
    Column("headlines", BigInteger, nullable=False),
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
)

causes = Table(
    "opinion_causes",
    metadata,
    Column("product", String, primary_key=True),
    Column("entity", String, primary_key=True),
    Column("rule", String, primary_key=True),
    Column("time", BigInteger, primary_key=True),  # when it was found first
    Column("last", BigInteger, nullable=False),  # and last
    Column("over", BigInteger),
    Column("severity", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("headlines", Text, nullable=False),  # ids as a JSON list
    Column("alert", String, nullable=False),
)

taken = Table(
    "opinion_taken",
    metadata,
    Column("product", String, primary_key=True),
    Column("batch", String, primary_key=True),
)

looks = Table(
    "opinion_looks",
    metadata,
    Column("product", String, primary_key=True),
    Column("time", BigInteger, nullable=False),
)
