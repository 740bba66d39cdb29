"""The queue and the events of a line on disk: two files that only ever grow, read on from where the last look ended."""

from collections.abc import Iterable, Set
from pathlib import Path

from tasks.annotation.events import Event, Item
from tasks.annotation.records import Records
from tasks.annotation.state import State
from tasks.core.line import STATE, Line

FOLDER = STATE / "annotation"


class Journal:
    """`items.jsonl` and `events.jsonl` of a folder. Several processes may write; one instance is for one thread.

    Every record is a line of its own, on the disk before a call returns, and never changed. A record whose id is known
    is not written again, so that whoever is unsure may repeat.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._items = Records(folder / "items.jsonl", Item)
        self._events = Records(folder / "events.jsonl", Event)
        self._state = State()
        self._seen = self._begun = (0, 0)

    @classmethod
    def of(cls, line: Line) -> "Journal":
        """The journal of a line: .tidegate/annotation/<line>/."""
        return cls(FOLDER / line.name)

    def add(self, items: Iterable[Item]) -> int:
        """Put items into the queue; how many were new."""
        return self._items.append(items)

    def append(self, *events: Event) -> int:
        """Keep what people said; how many of the events were new."""
        return self._events.append(events)

    def items(self) -> list[Item]:
        """The queue as it grew."""
        return self._items.read()

    def events(self) -> list[Event]:
        """All events in the order of the file."""
        return self._events.read()

    def knows(self, event: str) -> bool:
        """Whether an event of that id is kept."""
        self._events.read()
        return event in self._events.ids

    def state(self) -> State:
        """What follows from both files now. It is one object that each call brings up to date."""
        items, events = self.items(), self.events()
        begun = (self._items.begun, self._events.begun)
        if begun != self._begun:
            self._state, self._seen, self._begun = State(), (0, 0), begun
        self._state.add(items[self._seen[0] :])
        self._state.apply(events[self._seen[1] :])
        self._seen = (len(items), len(events))
        return self._state

    def forget(self, texts: Set[str], rows: Set[str] = frozenset()) -> int:
        """Take items with one of these texts, or of one of these rows, and all that was said of them out of both files.

        The one thing that changes what is written. Returns how many items there were.
        """
        gone = {item.id for item in self.items() if item.text in texts or item.corrects in rows}
        if gone:
            self._events.rewrite(lambda event: event.item not in gone)
            self._items.rewrite(lambda item: item.id not in gone)
        return len(gone)

    @property
    def warnings(self) -> list[str]:
        """What could not be read, in sentences; each was logged once."""
        return [*self._items.warnings.values(), *self._events.warnings.values()]
