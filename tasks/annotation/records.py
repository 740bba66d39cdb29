"""A file of records that only grows, read on from where the last look ended, whoever writes beside."""

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from filelock import FileLock
from pydantic import BaseModel, ValidationError

from tasks.annotation.events import Event, Item
from tasks.core.files import atomic

log = logging.getLogger("tidegate")

RecordT = TypeVar("RecordT", Item, Event)


class Records(Generic[RecordT]):
    """Records of one kind, a line of JSON each. Every call takes in what others wrote since."""

    def __init__(self, path: Path, model: type[RecordT]) -> None:
        self.path = path
        self.model: type[RecordT] = model
        self.warnings: dict[int, str] = {}
        self.begun = -1
        self._begin()

    def _begin(self) -> None:
        self.records: list[RecordT] = []
        self.ids: set[str] = set()
        self.offset = self.number = 0
        self.inode = _inode(self.path)
        self.begun += 1

    def append(self, records: Iterable[RecordT]) -> int:
        """Write those whose id is new; they are on the disk when the call returns. How many they were."""
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
        if (_size(self.path), _inode(self.path)) != (self.offset, self.inode):
            with self._lock():
                self._read_on()
        return self.records

    def rewrite(self, stays: Callable[[RecordT], bool]) -> None:
        """Write the file anew with the records that stay; what could not be read goes: nobody knows what it holds."""
        if not self.path.exists():
            return
        with self._lock():
            self._read_on()
            with atomic(self.path) as temporary:
                temporary.write_bytes(b"".join(map(_line, filter(stays, self.records))))
            self._begin()

    def _lock(self) -> FileLock:
        return FileLock(f"{self.path}.lock")

    def _read_on(self) -> None:
        """Read the lines behind the offset. With the lock held, a line without an end is one that a kill cut."""
        if _size(self.path) < self.offset or _inode(self.path) != self.inode:
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


def _inode(path: Path) -> int:
    """Changes when another file takes the path's place."""
    try:
        return path.stat().st_ino
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
