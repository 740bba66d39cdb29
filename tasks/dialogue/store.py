"""Dialogues in a database: events are only ever added, and beside them stands what they come to."""

import contextlib
import json
import secrets as random
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from tasks.database import Database
from tasks.dialogue.events import Dialogue, Event, State
from tasks.dialogue.tables import dialogues, events, metadata, secrets

URL = "TIDEGATE_CHAT_URL"
# What customers write is for those alone who look after them.
DATABASE = Database(URL, "sqlite:///.tidegate/chat/chat.db", "dialogues", metadata, private=True)
url, file, opened = DATABASE.url, DATABASE.file, DATABASE.opened
SECRET = "cookies"  # noqa: S105 - a name
MANY = 500
"""Values in one statement: SQLite takes no more than a thousand parameters."""


class Store:
    """The dialogues of one product. Each call is a transaction of its own, from any thread."""

    def __init__(self, engine: sa.Engine, product: str) -> None:
        self.engine, self.product = engine, product

    def secret(self) -> bytes:
        """What cookies are signed with: random, made once."""
        wanted = sa.select(secrets.c.value).where(secrets.c.name == SECRET)
        with contextlib.suppress(sa.exc.IntegrityError), self._begun() as connection:
            if connection.scalar(wanted) is None:
                connection.execute(sa.insert(secrets).values(name=SECRET, value=random.token_hex(32)))
        with self._begun() as connection:
            return bytes.fromhex(connection.scalars(wanted).one())

    def add(self, event: Event) -> bool:
        """Keep an event, of a dialogue that may begin with it; False where it is kept already."""
        return self._keep(event, None, None, ())

    def move(self, event: Event, to: State, agent: str = "", only: Sequence[State] = (), by: str = "") -> bool:
        """Keep an event that changes the state; False where it is not in `only`, or not `by` has it.

        Of two who ask at once, one is refused.
        """
        return self._keep(event, to, agent, only, by)

    def dialogue(self, name: str) -> Dialogue | None:
        """Where a dialogue stands; None where there is none of that id."""
        return next(iter(self._dialogues(dialogues.c.id == name)), None)

    def open(self, states: Sequence[State] = ("waiting", "agent")) -> list[Dialogue]:
        """The dialogues in some states, those first that have been so longest."""
        return self._dialogues(dialogues.c.state.in_(states))

    def events(self, dialogue: str, most: int = 200) -> list[Event]:
        """The last events of a dialogue, in their order."""
        return self._events(events.c.dialogue == dialogue, most=most)

    def event(self, dialogue: str, name: str) -> Event | None:
        """An event of a dialogue; None where it has none of that id."""
        return next(iter(self._events(events.c.dialogue == dialogue, events.c.id == name)), None)

    def said(self, dialogue: str) -> str:
        """What the customer said last; empty where they said nothing."""
        found = self._events(events.c.dialogue == dialogue, events.c.what == "said")
        return found[0].text if found else ""

    def why(self, dialogue: str) -> str:
        """Why a dialogue was handed over last; empty where it never was."""
        found = self._events(events.c.dialogue == dialogue, events.c.what == "handed_over")
        return str(found[0].detail.get("why", "")) if found else ""

    def untold(self, most: int = 20) -> list[Event]:
        """Answers that a customer found helpful and that the service was not told of, the newest."""
        helpful = sa.select(events.c.request).where(self._its, events.c.what == "rated", events.c.text == "yes")
        told = sa.select(events.c.request).where(self._its, events.c.what == "told")
        request = events.c.request
        return self._events(events.c.what == "answered", request.in_(helpful), request.not_in(told), most=most)

    @property
    def _its(self) -> sa.ColumnElement[bool]:
        return events.c.product == self.product

    def _dialogues(self, which: sa.ColumnElement[bool]) -> list[Dialogue]:
        wanted = sa.select(dialogues).where(dialogues.c.product == self.product, which).order_by(dialogues.c.changed)
        with self._begun() as connection:
            return [Dialogue(r.id, r.state, r.agent, r.changed, r.last) for r in connection.execute(wanted)]

    def _events(self, *which: sa.ColumnElement[bool], most: int = 1) -> list[Event]:
        wanted = sa.select(events).where(self._its, *which).order_by(events.c.number.desc()).limit(most)
        with self._begun() as connection:
            rows = connection.execute(wanted).all()
        return [
            Event(r.id, r.dialogue, r.who, r.what, r.text, r.request, json.loads(r.detail), r.time, r.number)
            for r in reversed(rows)
        ]

    def _keep(self, event: Event, to: State | None, agent: str | None, only: Sequence[State], by: str = "") -> bool:
        allowed: list[sa.ColumnElement[bool]] = [dialogues.c.state.in_(only)] if only else []
        allowed += [dialogues.c.agent == by] if by else []
        change = {"last": event.time} | ({"state": to, "agent": agent, "changed": event.time} if to else {})
        try:
            return self._written(event, change, allowed)
        except sa.exc.IntegrityError:  # it is there, or its dialogue was begun by another at the same moment
            if self.event(event.dialogue, event.id) is not None:
                return False
        with contextlib.suppress(sa.exc.IntegrityError):
            return self._written(event, change, allowed)
        return False

    def _written(self, event: Event, change: dict[str, Any], allowed: Sequence[sa.ColumnElement[bool]]) -> bool:
        """Write an event and what it changes in one transaction; False where that is not allowed."""
        its = (dialogues.c.product == self.product, dialogues.c.id == event.dialogue)
        row = {"product": self.product, "dialogue": event.dialogue, "id": event.id, "time": event.time,
               "who": event.who, "what": event.what, "text": event.text, "request": event.request,
               "detail": json.dumps(event.detail, ensure_ascii=False)}  # fmt: skip
        with self._begun() as connection:
            if connection.scalar(sa.select(dialogues.c.id).where(*its)) is None:
                begun = {"state": "service", "agent": "", "changed": event.time, "last": event.time}
                new = {"product": self.product, "id": event.dialogue, **begun}
                connection.execute(sa.insert(dialogues).values(**new))
            if not connection.execute(sa.update(dialogues).where(*its, *allowed).values(change)).rowcount:
                return False
            connection.execute(sa.insert(events).values(**row))
        return True

    @contextlib.contextmanager
    def _begun(self) -> Iterator[sa.Connection]:
        try:
            with self.engine.begin() as connection:
                yield connection
        except sa.exc.IntegrityError:
            raise
        except sa.exc.DBAPIError as error:
            with DATABASE.plain_errors():
                raise error


def drop_old(engine: sa.Engine, before: int, dry_run: bool = False) -> int:
    """Delete dialogues whose last event is before a time in microseconds, of any product; returns how many."""
    old = dialogues.c.last < before
    with engine.begin() as connection:
        many: int = connection.scalar(sa.select(sa.func.count()).select_from(dialogues).where(old)) or 0
        if many and not dry_run:
            same = (dialogues.c.product == events.c.product, dialogues.c.id == events.c.dialogue)
            connection.execute(sa.delete(events).where(sa.exists().where(*same, old)))
            connection.execute(sa.delete(dialogues).where(old))
    return many
