"""What follows from the queue and all that people said: a pure function of items and events."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tasks.annotation.events import DECISIONS, Event, Item

ItemState = Literal["open", "answered", "disagreed", "flagged", "decided", "discarded"]
SKIPS = 2
"""An item that so many people skipped goes to the adjudicators, else nobody would ever see it again."""


@dataclass
class Standing:
    """One item and what is said of it now."""

    item: Item
    place: int
    """In the order in which items were added."""
    events: list[Event] = field(default_factory=list)
    """All that was ever said of it."""
    answers: dict[str, Event] = field(default_factory=dict)
    """By person."""
    skips: dict[str, Event] = field(default_factory=dict)
    flags: dict[str, Event] = field(default_factory=dict)
    comments: list[Event] = field(default_factory=list)
    decision: Event | None = None
    """Its label, or none where the item is discarded."""
    state: ItemState = "open"
    """Where the item stands; State says what each word means."""

    @property
    def last(self) -> Event | None:
        """The event that made it what it is now: the newest one that counts or took something back."""
        return next((event for event in reversed(self.events) if event.kind != "comment"), None)

    def said(self, person: str) -> Event | None:
        """A person's word on it: their answer, skip or flag."""
        return self.answers.get(person) or self.skips.get(person) or self.flags.get(person)

    def renew(self) -> None:
        """Work all out anew from the events."""
        self.answers, self.skips, self.flags, self.comments, self.decision = {}, {}, {}, [], None
        for event in _counting(self.events):
            if event.kind in DECISIONS:
                self.decision = event
            elif event.kind == "comment":
                self.comments.append(event)
            else:
                for words in (self.answers, self.skips, self.flags):
                    words.pop(event.person, None)
                {"answer": self.answers, "skip": self.skips, "flag": self.flags}[event.kind][event.person] = event
        self.state = self._state()

    def _state(self) -> ItemState:
        if self.decision is not None:
            return "decided" if self.decision.kind == "decide" else "discarded"
        if self.flags or (len(self.skips) >= SKIPS and len(self.answers) < self.item.overlap):
            return "flagged"
        if not self.answers or len(self.answers) < self.item.overlap:
            return "open"
        return "answered" if len({event.label for event in self.answers.values()}) == 1 else "disagreed"


class State:
    """Every item and what is said of it, and who said what.

    An item is `decided` or `discarded` by an adjudicator; `flagged` where somebody's word is a flag, or SKIPS people
    skipped it; `open` while fewer people answered than its overlap; then `answered`, or `disagreed` where labels
    differ.

    Where events contradict each other the order in the file counts, not the clocks of those who wrote it:
    - Of a person's answers, skips and flags of an item the last is their word. All answers count, also beyond overlap.
    - The last decision, or discard, stands, over all answers. Answers that come after it are kept and change nothing.
    - An undo takes back an earlier event of the same person and item, and what that person said before stands again.
      It does nothing to other people's events, to what was taken back before, or to another undo.
    - Events of items that nobody added wait until somebody does.
    """

    def __init__(self, items: Iterable[Item] = (), events: Iterable[Event] = ()) -> None:
        self.standings: dict[str, Standing] = {}
        """By item id."""
        self.people: dict[str, dict[str, Standing]] = {}
        """By person and item id, what they said something of, in the order in which they last did."""
        self.early: dict[str, list[Event]] = {}
        """Events of unknown items."""
        self._ranked: list[Standing] | None = None
        self.add(items)
        self.apply(events)

    def add(self, items: Iterable[Item]) -> None:
        """Take in more items; those with a known id are left out."""
        for item in items:
            if item.id not in self.standings:
                self.standings[item.id] = Standing(item, len(self.standings))
                self._ranked = None
                self.apply(self.early.pop(item.id, ()))

    def apply(self, events: Iterable[Event]) -> None:
        """Take in more events, which stand behind all those before."""
        touched = {}
        for event in events:
            standing = self.standings.get(event.item)
            if standing is None:
                self.early.setdefault(event.item, []).append(event)
                continue
            standing.events.append(event)
            touched[event.item] = standing
            theirs = self.people.setdefault(event.person, {})
            theirs.pop(event.item, None)
            theirs[event.item] = standing
        for standing in touched.values():
            standing.renew()

    def ranked(self) -> list[Standing]:
        """All items by rank, of equal ones that first which was added first."""
        if self._ranked is None:
            self._ranked = sorted(self.standings.values(), key=lambda one: (one.item.rank, one.place))
        return self._ranked

    def answered(self, person: str, since: datetime) -> int:
        """How many items a person answered or decided since then, without what was taken back."""
        found = 0
        for standing in self.people.get(person, {}).values():
            decided = standing.decision if standing.decision and standing.decision.person == person else None
            event = decided or standing.answers.get(person)
            found += event is not None and event.time >= since
        return found

    def undoable(self, person: str) -> Event | None:
        """The last event of a person that an undo can take back."""
        for standing in reversed(self.people.get(person, {}).values()):
            for event in reversed(_counting(standing.events)):
                if event.person == person:
                    return event
        return None


def _counting(events: Iterable[Event]) -> list[Event]:
    """The events that are not taken back, without the undos."""
    kept: dict[str, Event] = {}
    for event in events:
        if event.kind != "undo":
            kept[event.id] = event
        elif event.undoes in kept and kept[event.undoes].person == event.person:
            del kept[event.undoes]
    return list(kept.values())
