"""The tables of dialogues. A later schema has another name: these only ever gain tables."""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

dialogues = Table(
    "chat_dialogues",
    metadata,
    Column("product", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("state", String, nullable=False),  # service, waiting, agent, closed: what the events come to
    Column("agent", String, nullable=False),  # who has it; "" for nobody
    Column("changed", BigInteger, nullable=False),  # its state, in microseconds since 1970, UTC
    Column("last", BigInteger, nullable=False),  # its last event
    Index("chat_dialogues_state", "product", "state"),
)

events = Table(
    "chat_events",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),  # given with the form: what is sent twice is kept once
    Column("product", String, nullable=False),
    Column("dialogue", String, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("who", String, nullable=False),  # customer, service, or the name of one of the staff
    Column("what", String, nullable=False),
    Column("text", Text, nullable=False),  # cleaned and masked
    Column("request", String, nullable=False),  # id of the request to the service that it is about, or ""
    Column("detail", Text, nullable=False),  # JSON
    Index("chat_events_dialogue", "product", "dialogue", "number"),
    Index("chat_events_what", "product", "what"),
)

secrets = Table(
    "chat_secrets",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
