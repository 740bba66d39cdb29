"""The queue and the events of a line on disk: two files that only ever grow, read on from where the last look ended."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

from filelock import FileLock
from pydantic import BaseModel, ValidationError

from tasks.annotation.events import Event, Item
from tasks.annotation.state import State
from tasks.core.line import STATE, Line

log = logging.getLogger("tidegate")

FOLDER = STATE / "annotation"
RecordT = TypeVar("RecordT", Item, Event)


class Journal:
    """`items.jsonl` and `events.jsonl` of a folder. Several processes may write; one instance is for one thread.

    Every record is a line of its own, on the disk before a call returns, and never changed. A record whose id is known
    is not written again, so that whoever is unsure may repeat.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._items = _File(folder / "items.jsonl", Item)
        self._events = _File(folder / "events.jsonl", Event)
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

    @property
    def warnings(self) -> list[str]:
        """What could not be read, in sentences; each was logged once."""
        return [*self._items.warnings.values(), *self._events.warnings.values()]


class _File(Generic[RecordT]):
    """Records of one kind, a line of JSON each."""

    def __init__(self, path: Path, model: type[RecordT]) -> None:
        self.path, self.model = path, model
        self.warnings: dict[int, str] = {}
        self.begun = -1
        self._begin()

    def _begin(self) -> None:
        self.records: list[RecordT] = []
        self.ids: set[str] = set()
        self.offset = self.number = 0
        self.begun += 1

    def append(self, records: Iterable[RecordT]) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock(), self.path.open("ab") as stream:
            _end_line(stream.fileno(), self.path)
            self._read_on()
            fresh: dict[str, RecordT] = {}
            for record in records:
                if record.id not in self.ids:
                    fresh.setdefault(record.id, record)
            stream.write(b"".join(_line(record) for record in fresh.values()))
            stream.flush()
            os.fsync(stream.fileno())
            self._read_on()
        return len(fresh)

    def read(self) -> list[RecordT]:
        """All records so far, for the caller to read, not to change; a file that did not grow is not opened."""
        if _size(self.path) != self.offset:
            with self._lock():
                self._read_on()
        return self.records

    def _lock(self) -> FileLock:
        return FileLock(f"{self.path}.lock")

    def _read_on(self) -> None:
        """Read the lines behind the offset. With the lock held, a line without an end is one that a kill cut."""
        if _size(self.path) < self.offset:
            self._begin()  # another file stands in its place
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    self._warn(self.number + 1, "is cut: whoever wrote it was ended. It counts for nothing.")
                    return
                self.number += 1
                self.offset += len(line)
                self._take(line)

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            record = self.model.model_validate_json(line)
        except ValidationError as error:
            places = ", ".join(".".join(map(str, detail["loc"])) for detail in error.errors()) or "it is no JSON"
            self._warn(self.number, f"is left out: {places}. Mend it by hand if it is worth it.")
            return
        if record.id not in self.ids:
            self.ids.add(record.id)
            self.records.append(record)

    def _warn(self, number: int, what: str) -> None:
        """Never with what stands in the line: that is somebody's text."""
        said = f"{self.path}: line {number} {what}"
        if self.warnings.get(number) != said:
            self.warnings[number] = said
            log.warning("%s", said)


def _line(record: BaseModel) -> bytes:
    return record.model_dump_json(exclude_none=True).encode() + b"\n"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _end_line(target: int, path: Path) -> None:
    """End a line that a kill cut, so that the next record has one of its own."""
    size = _size(path)
    if size:
        with path.open("rb") as stream:
            stream.seek(size - 1)
            if stream.read(1) != b"\n":
                os.write(target, b"\n")
