"""Forgetting: dialogues, or texts of them, out of the database."""

from collections.abc import Collection, Iterator
from typing import TypeVar

import sqlalchemy as sa

from tasks.dialogue.store import MANY
from tasks.dialogue.tables import dialogues, events
from tasks.forgotten import Subject

T = TypeVar("T", int, str)


def find(connection: sa.Connection, product: str, subject: Subject, requests: Collection[str] = ()) -> set[int]:
    """The numbers of the events that are meant: by text, by dialogue, by request to the service."""
    e = events.c
    spoken = e.what.in_(("said", "answered", "replied"))
    read = sa.func.replace(sa.func.replace(e.text, "\n\n", " "), "\n", " ")  # tasks.dialogue.spoken.one_line
    meant = ((e.dialogue, subject.ids), (e.id, subject.ids), (e.request, requests))
    wanted = [
        *(sa.and_(spoken, read.in_(part)) for part in _parts(subject.texts)),
        *(column.in_(part) for column, values in meant for part in _parts(values)),
    ]
    return {
        number
        for which in wanted
        for number in connection.scalars(sa.select(e.number).where(e.product == product, which))
    }


def erase(engine: sa.Engine, product: str, subject: Subject, requests: Collection[str] = ()) -> int:
    """Delete what `find` finds, and dialogues of which nothing is left, and overwrite what it was on disk.

    Returns how many events those were.
    """
    with engine.begin() as connection:
        gone = find(connection, product, subject, requests)
        for part in _parts(gone):
            connection.execute(sa.delete(events).where(events.c.number.in_(part)))
        same = (events.c.product == dialogues.c.product, events.c.dialogue == dialogues.c.id)
        connection.execute(sa.delete(dialogues).where(dialogues.c.product == product, ~sa.exists().where(*same)))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(
            "VACUUM" if engine.dialect.name == "sqlite" else "VACUUM chat_events, chat_dialogues"
        )
    return len(gone)


def _parts(values: Collection[T]) -> Iterator[list[T]]:
    ordered = sorted(values)
    return (ordered[at : at + MANY] for at in range(0, len(ordered), MANY))
