"""Who is asked what next, and what waits for the adjudicators."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from tasks.annotation.events import Item
from tasks.annotation.settings import AnnotateSettings
from tasks.annotation.state import Standing, State

ADJUDICATED = {"flagged": 0, "disagreed": 1, "open": 2}


@dataclass(frozen=True)
class Turn:
    """What a person gets: an item, or why there is none."""

    item: Item | None
    reason: Literal["item", "nothing left", "done for this week"]


@dataclass(frozen=True)
class Progress:
    """How far a person is."""

    today: int
    week: int
    left: int
    """Items that the person could be asked now."""


class Holds:
    """Who looks at which item until when. In memory: what a restart forgets costs one answer more at worst."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._until: dict[str, dict[str, datetime]] = {}

    def others(self, item: str, person: str, now: datetime) -> int:
        """How many others look at an item."""
        return sum(until > now for who, until in self._until.get(item, {}).items() if who != person)

    def own(self, person: str, now: datetime) -> list[str]:
        """The items that a person looks at."""
        return [item for item, held in self._until.items() if held.get(person, now) > now]

    def hold(self, item: str, person: str, until: datetime) -> None:
        """Keep an item for a person."""
        self._until.setdefault(item, {})[person] = until

    def release(self, item: str, person: str) -> None:
        """The person is done with the item."""
        held = self._until.get(item, {})
        held.pop(person, None)
        if not held:
            self._until.pop(item, None)


def next_item(
    state: State,
    person: str,
    settings: AnnotateSettings,
    languages: Sequence[str] = (),
    capacity: int | None = None,
    holds: Holds | None = None,
    now: datetime | None = None,
) -> Turn:
    """What a person is asked next: the item held for them, else the first by rank that needs them; it is then held.

    An item needs a person who said nothing of it and knows its language (no `languages`: all), while fewer people
    answered it, or look at it, than its overlap. `capacity` is the person's per week, else the settings' counts.
    """
    holds, now = holds or Holds(), now or datetime.now(UTC)
    most = settings.capacity_per_week if capacity is None else capacity
    if most is not None and state.answered(person, monday(now)) >= most:
        return Turn(None, "done for this week")
    with holds.lock:
        for held in holds.own(person, now):
            standing = state.standings.get(held)
            if standing is None or not _asks(standing, person, languages):
                holds.release(held, person)
        own = [state.standings[item] for item in holds.own(person, now)]
        free = (one for one in state.ranked() if _asks(one, person, languages) and _has_room(one, person, holds, now))
        found = next(iter(own), None) or next(free, None)
        if found is None:
            return Turn(None, "nothing left")
        holds.hold(found.item.id, person, now + timedelta(minutes=settings.hold_minutes))
        return Turn(found.item, "item")


def progress(state: State, person: str, languages: Sequence[str] = (), now: datetime | None = None) -> Progress:
    """How far a person is: today and this week (UTC, weeks begin on Monday), and what is left for them."""
    now = now or datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    left = sum(_asks(standing, person, languages) for standing in state.standings.values())
    return Progress(state.answered(person, today), state.answered(person, monday(now)), left)


def adjudications(state: State) -> list[Standing]:
    """What waits for an adjudicator: flagged items, then those with different answers, then suspects; each by rank."""
    waiting = [
        one for one in state.ranked() if one.state in ADJUDICATED and (one.state != "open" or not one.item.overlap)
    ]
    return sorted(waiting, key=lambda one: ADJUDICATED[one.state])


def monday(now: datetime) -> datetime:
    """The beginning of the week, in UTC."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def _asks(standing: Standing, person: str, languages: Sequence[str]) -> bool:
    """Whether an item needs this person, whoever else looks at it."""
    item = standing.item
    known = not languages or item.language is None or item.language in languages
    return known and len(standing.answers) < item.overlap and standing.state == "open" and not standing.said(person)


def _has_room(standing: Standing, person: str, holds: Holds, now: datetime) -> bool:
    return len(standing.answers) + holds.others(standing.item.id, person, now) < standing.item.overlap
