"""The spool: what was answered, on disk before the answer goes out, until the database has it.

`<root>/v1-<process>/` belongs to one process: `counters`, `lock`, and segments `000001.spool`, ... A record is a frame
of sequence number, length, crc32 and payload. The operating system has it when `append` returns, so that a killed
process loses nothing; a failing machine may take the last seconds. What a dead process left is adopted by a living one.
"""

import contextlib
import mmap
import os
import secrets
import shutil
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "v1-"
"""The format's version: a program adopts only what it can read."""
SEGMENT_BYTES = 4 << 20
_HEADER = struct.Struct("<QII")  # sequence number, bytes of payload, crc32 of both and the payload
_COUNTERS = 4096  # bytes: a page, written whole at the start so that no store into it can want for room


@dataclass(frozen=True)
class Record:
    """One accepted record."""

    number: int
    payload: bytes


class Counters:
    """Numbers in a mapped file. They outlive the process, however it ends: a store is one write of 8 bytes."""

    accepted, dropped, settled = 0, 1, 2

    def __init__(self, path: Path) -> None:
        if not path.exists() or path.stat().st_size < _COUNTERS:
            path.write_bytes(bytes(_COUNTERS))
        with path.open("r+b") as stream:
            self._map = mmap.mmap(stream.fileno(), _COUNTERS)
        self._numbers = memoryview(self._map).cast("Q")

    def __getitem__(self, place: int) -> int:
        return int(self._numbers[place])

    def __setitem__(self, place: int, value: int) -> None:
        self._numbers[place] = value

    def close(self) -> None:
        """Let go of the file."""
        self._numbers.release()
        self._map.close()


class Spool:
    """The folder of one process, held by its lock: segments to be read, and how far they are settled."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder, self._held = folder, lock
        self.counters = Counters(folder / "counters")
        self.torn = False
        """Whether the segment that was read last ended in half a record."""

    @property
    def name(self) -> str:
        """Names the process that wrote it, for ever."""
        return self.folder.name

    @property
    def accepted(self) -> int:
        """Records that got a sequence number, from 1."""
        return self.counters[Counters.accepted]

    @property
    def dropped(self) -> int:
        """Records for which there was no room."""
        return self.counters[Counters.dropped]

    @property
    def settled(self) -> int:
        """All records up to this one are in the database or counted as lost."""
        return self.counters[Counters.settled]

    def settle(self, number: int) -> None:
        """Say that all records up to this one need no more care."""
        self.counters[Counters.settled] = number

    def sealed(self) -> list[Path]:
        """Segments that nobody writes to any more, oldest first."""
        return sorted(self.folder.glob("*.spool"))

    def size(self) -> int:
        """Bytes of the segments on disk."""
        return sum(path.stat().st_size for path in self.folder.glob("*.spool"))

    def read(self, segment: Path) -> tuple[list[Record], bool]:
        """The unsettled records of a segment, and whether it is whole: see read_segment."""
        records, whole = read_segment(segment)
        return [record for record in records if record.number > self.settled], whole

    def remove(self, segment: Path) -> None:
        """Delete a segment whose records are settled."""
        segment.unlink()

    def let_go(self) -> None:
        """Close the files; the folder is removed when all of it is settled."""
        with _registry(self.folder.parent):
            if self.settled == self.accepted and not self.sealed():
                shutil.rmtree(self.folder)
            self.counters.close()
            self._held.release(force=True)


class Writer(Spool):
    """The spool of this process."""

    def __init__(self, root: Path, max_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        """A folder of its own below `root`, at once locked. `max_bytes` bounds it together with `elsewhere`."""
        with _registry(root):
            folder = root / f"{PREFIX}{time.time_ns():x}-{os.getpid()}-{secrets.token_hex(4)}"
            folder.mkdir()
            lock = FileLock(folder / "lock", timeout=0, thread_local=False)
            lock.acquire()
            super().__init__(folder, lock)
        self.max_bytes, self.segment_bytes = max_bytes, segment_bytes
        self.elsewhere = 0
        """Bytes of adopted spools, which need room as well."""
        self._guard = threading.Lock()
        self._segments = 0
        self._file: int | None = None
        self._written = 0
        self._bytes = 0
        self._closed = False

    def append(self, payload: bytes) -> bool:
        """Hand a record to the operating system; False when there is no room, and it is dropped and counted.

        From any thread. Never waits for the database and never raises.
        """
        with self._guard:
            number = self.accepted + 1
            head = struct.pack("<QI", number, len(payload))
            frame = head + struct.pack("<I", zlib.crc32(payload, zlib.crc32(head))) + payload
            if self._closed or self._bytes + self.elsewhere + len(frame) > self.max_bytes:
                return self._drop()
            try:
                if self._file is None:
                    self._file = self._open()
                self.counters[Counters.accepted] = number
                if os.write(self._file, frame) < len(frame):
                    raise OSError("no space left for the whole record")
            except OSError:
                self._take_back(number)
                return self._drop()
            self._written += len(frame)
            self._bytes += len(frame)
            if self._written >= self.segment_bytes:
                self._seal()
            return True

    def seal(self) -> None:
        """End the segment that is being written; the next record begins another."""
        with self._guard:
            self._seal()

    def sealed(self) -> list[Path]:
        """Segments that are not being written."""
        with self._guard:
            found = super().sealed()
            return found if self._file is None else [path for path in found if path != self._path()]

    def size(self) -> int:
        """Bytes of the segments on disk."""
        return self._bytes

    def remove(self, segment: Path) -> None:
        """Delete a segment whose records are settled."""
        size = segment.stat().st_size
        segment.unlink()
        with self._guard:
            self._bytes = max(0, self._bytes - size)

    def close(self) -> None:
        """Take no more records."""
        with self._guard:
            self._closed = True
            self._seal()

    def _drop(self) -> bool:
        self.counters[Counters.dropped] += 1
        return False

    def _path(self) -> Path:
        return self.folder / f"{self._segments:06d}.spool"

    def _open(self) -> int:
        self._segments += 1
        self._written = 0
        return os.open(self._path(), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def _seal(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take_back(self, number: int) -> None:
        """Undo a write that failed; where that fails too, the half record ends its segment."""
        self.counters[Counters.accepted] = number - 1
        if self._file is not None:
            try:
                os.ftruncate(self._file, self._written)
            except OSError:
                self._seal()


def read_segment(path: Path) -> tuple[list[Record], bool]:
    """The records of a segment, and whether nothing but records is in it.

    The first frame that is cut or damaged ends it: where the next would begin, nobody can know.
    """
    content = path.read_bytes()
    records, place = [], 0
    while place + _HEADER.size <= len(content):
        number, length, crc = _HEADER.unpack_from(content, place)
        payload = content[place + _HEADER.size : place + _HEADER.size + length]
        if len(payload) < length or crc != zlib.crc32(payload, zlib.crc32(content[place : place + 12])):
            break
        records.append(Record(number, payload))
        place += _HEADER.size + length
    return records, place == len(content)


def adopt(root: Path, but: str | None = None) -> list[Spool]:
    """The spools of dead processes, each now held by this one. `but` names one to leave out."""
    found = []
    with _registry(root):
        for folder in sorted(root.glob(f"{PREFIX}*")):
            lock = FileLock(folder / "lock", timeout=0, thread_local=False)
            if folder.name != but:
                with contextlib.suppress(Timeout):
                    lock.acquire()
                    found.append(Spool(folder, lock))
    return found


def held(root: Path) -> bool:
    """Whether a living process writes to a spool here."""
    for folder in root.glob(f"{PREFIX}*"):
        try:
            with FileLock(folder / "lock", timeout=0):
                continue
        except Timeout:
            return True
    return False


def waiting(root: Path) -> list[Path]:
    """Segments of all processes, dead or alive, that are not in the database yet."""
    found = []
    for path in sorted(root.glob(f"{PREFIX}*/*.spool")):
        with contextlib.suppress(FileNotFoundError):  # drained meanwhile
            if path.stat().st_size:
                found.append(path)
    return found


def lag(root: Path) -> int:
    """Records of all processes, dead or alive, that are not in the database yet."""
    total = 0
    for path in root.glob(f"{PREFIX}*/counters"):
        with contextlib.suppress(FileNotFoundError):
            accepted, _, settled = struct.unpack_from("=3Q", path.read_bytes().ljust(24, b"\0"))
            total += accepted - settled
    return total


@contextlib.contextmanager
def _registry(root: Path) -> Iterator[None]:
    """Folders come, go and change hands one at a time."""
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "lock", timeout=60):
        yield
