"""Where one line is labelled: its journal, who looks at what, and what each press of a button does."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from flows.annotate.said import Said, fresh
from flows.annotate.worker import Worker
from tasks.annotation.assign import Holds, Progress, adjudications, next_item, progress
from tasks.annotation.events import DECISIONS, Event, Item
from tasks.annotation.journal import Journal
from tasks.annotation.settings import AnnotateSettings
from tasks.annotation.state import Standing
from tasks.core.line import Line

Note = Literal["", "decided", "decided_again", "gone"]
"""What is to be said of the last press: the item was decided meanwhile, or twice, or the queue has it no longer."""


@dataclass(frozen=True)
class Done:
    """What a person did last and can take back."""

    event: Event
    text: str


@dataclass(frozen=True)
class Asked:
    """The page of an annotator."""

    item: Item | None
    reason: Literal["item", "nothing left", "done for this week", "no queue"]
    event: str
    """Id of the answer that is to come."""
    progress: Progress
    capacity: int | None
    done: Done | None


@dataclass(frozen=True)
class Case:
    """The page of an adjudicator."""

    standing: Standing | None
    event: str
    waiting: int
    votes: Mapping[str, int]
    done: Done | None


class Room:
    """One per line and process. Requests come in threads of their own: one at a time is let in."""

    def __init__(self, line: Line) -> None:
        self.journal = Journal.of(line)
        self._holds, self._cases = Holds(), Holds()
        self._shown: dict[tuple[str, str], float] = {}
        self._lock = threading.RLock()

    def ask(self, who: Worker, settings: AnnotateSettings, again: str = "") -> Asked:
        """What a person is asked now; `again` is an item whose answer they took back."""
        with self._lock:
            state = self.journal.state()
            how_far = progress(state, who.id, who.languages)
            capacity = settings.capacity_per_week if who.capacity is None else who.capacity
            item, reason = self._again(who, again), "item"
            if item is not None:
                self._look(self._holds, who, item, settings)
            else:
                turn = next_item(state, who.id, settings, who.languages, who.capacity, self._holds)
                item, reason = turn.item, turn.reason if state.standings else "no queue"
            if item is not None:
                self._shown.setdefault((who.id, item.id), time.monotonic())
            return Asked(item, reason, fresh(), how_far, capacity, self._done(who, decisions=False))  # type: ignore[arg-type]

    def case(self, who: Worker, settings: AnnotateSettings, at: str = "", after: str = "") -> Case:
        """What an adjudicator sees now: the first case that no other one looks at, that `at` an item or `after` it."""
        now = datetime.now(UTC)
        with self._lock:
            waiting = adjudications(self.journal.state())
            places = {one.item.id: place for place, one in enumerate(waiting)}
            first = places.get(at, places.get(after, -1) + 1)
            turned = [*waiting[first:], *waiting[:first]]
            free = [one for one in turned if one.item.id == at or not self._cases.others(one.item.id, who.id, now)]
            found = next(iter(free or turned), None)
            if found is not None:
                self._look(self._cases, who, found.item, settings)
            votes = Counter(str(event.label) for event in found.answers.values()) if found else {}
            return Case(found, fresh(), len(waiting), votes, self._done(who, decisions=True))

    def say(self, who: Worker, said: Said) -> Note:
        """Keep what a person said; once, however often it is sent."""
        with self._lock:
            standing = self.journal.state().standings.get(said.item)
            if standing is None:
                return "gone"
            decision, known = standing.decision, self.journal.knows(said.event)
            shown = self._shown.pop((who.id, said.item), None)
            self.journal.append(said.by(who.id, None if shown is None else time.monotonic() - shown))
            (self._cases if said.kind in DECISIONS else self._holds).release(said.item, who.id)
            if decision is None or known:
                return ""
            return "decided_again" if said.kind in DECISIONS else "decided"

    def undo(self, who: Worker, said: Said) -> None:
        """Take back what a person did; what is no longer theirs to take back stays as it is."""
        with self._lock:
            if said.item in self.journal.state().standings:
                self.journal.append(said.by(who.id, None))

    def counts(self) -> Counter[str]:
        """How many items stand where; `adjudicate` is what waits for adjudicators."""
        with self._lock:
            state = self.journal.state()
            found = Counter[str](one.state for one in state.standings.values())
            found["adjudicate"] = len(adjudications(state))
            return found

    def left(self, who: Worker) -> Progress:
        """How far a person is."""
        with self._lock:
            return progress(self.journal.state(), who.id, who.languages)

    def _look(self, holds: Holds, who: Worker, item: Item, settings: AnnotateSettings) -> None:
        """A person looks at this item, and at no other."""
        now = datetime.now(UTC)
        for held in holds.own(who.id, now):
            holds.release(held, who.id)
        holds.hold(item.id, who.id, now + timedelta(minutes=settings.hold_minutes))
        self._shown.setdefault((who.id, item.id), time.monotonic())

    def _again(self, who: Worker, item: str) -> Item | None:
        """An item that a person took their word on back, unless it was decided meanwhile."""
        found = self.journal.state().people.get(who.id, {}).get(item)
        if found is None or found.said(who.id) or found.decision:
            return None
        return found.item

    def _done(self, who: Worker, decisions: bool) -> Done | None:
        state = self.journal.state()
        event = state.undoable(who.id)
        if event is None or (event.kind in DECISIONS) != decisions:
            return None
        return Done(event, state.standings[event.item].item.text)
