"""Forgetting: headlines out of the database of opinions, with all that names them."""

import json
from collections.abc import Collection, Iterator
from typing import NamedTuple

import sqlalchemy as sa

from tasks.forgotten import Subject
from tasks.opinion.tables import causes, headlines, mentions

MANY = 500
"""Values in one statement: SQLite takes no more than a thousand parameters."""


class Erased(NamedTuple):
    """Headlines that were erased."""

    ids: frozenset[str]
    texts: frozenset[str]


def find(connection: sa.Connection, product: str, subject: Subject, feeds: Collection[str] = ()) -> Erased:
    """The headlines of a product that are meant: by text or split key, by id, or by the id that one of `feeds` gave."""
    h = headlines.c
    ids = subject.ids | {f"{feed}-{name}" for feed in feeds for name in subject.ids}
    found = [
        row
        for column, values in ((h.text, subject.texts), (h.split_key, subject.keys), (h.id, ids))
        for part in _parts(values)
        for row in connection.execute(sa.select(h.id, h.text).where(h.product == product, column.in_(part)))
    ]
    return Erased(frozenset(row.id for row in found), frozenset(row.text for row in found))


def erase(engine: sa.Engine, product: str, subject: Subject, feeds: Collection[str] = ()) -> Erased:
    """Delete what `find` finds, with its mentions and its place among causes, and overwrite what it was on disk.

    The index keeps its figures until the next look draws it anew.
    """
    with engine.begin() as connection:
        gone = find(connection, product, subject, feeds)
        for part in _parts(gone.ids):
            connection.execute(sa.delete(mentions).where(mentions.c.product == product, mentions.c.headline.in_(part)))
            connection.execute(sa.delete(headlines).where(headlines.c.product == product, headlines.c.id.in_(part)))
        for row in connection.execute(sa.select(causes).where(causes.c.product == product)).all():
            named = json.loads(row.headlines)
            if gone.ids.intersection(named):
                its = [causes.c[key.name] == row._mapping[key.name] for key in causes.primary_key]
                left = json.dumps([name for name in named if name not in gone.ids])
                connection.execute(sa.update(causes).where(*its).values(headlines=left))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        tables = "" if engine.dialect.name == "sqlite" else " opinion_headlines, opinion_mentions, opinion_causes"
        connection.exec_driver_sql(f"VACUUM{tables}")
    return gone


def _parts(values: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    return (ordered[at : at + MANY] for at in range(0, len(ordered), MANY))
