"""Look at a line's sources and put what is new into its inbox. The one step that meets the outside world."""

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import inbox
from tasks.core.errors import BusyError, SourceError
from tasks.core.files import read_json, sha256, write_json
from tasks.core.line import STATE, Line
from tasks.core.progress import Progress, progress
from tasks.policy_report import Treated
from tasks.rows import BATCH
from tasks.sources.base import Opened, Piece, SourceSettings
from tasks.sources.file import public
from tasks.text import TextSettings, fingerprint, salt_digest, split_key

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("tidegate")


def sync(line: Line, sources: Sequence[SourceSettings], text: TextSettings) -> list[Path]:
    """Write what the sources hold and the inbox does not: an immutable `data/<line>/inbox/<hash>.parquet` a file.

    A batch has the columns of tasks.rows.BATCH, its texts cleaned and masked, and its provenance in the metadata, with
    how many rows each step of the policy changed, and how many were left out for personal data that is set to `drop`.
    Returns the new batches. A source whose bytes were read before is not read again; a row taken before is not taken
    again. Killed at any moment, a batch is there whole or not at all, and the next call goes on.

    Raises SourceError when a source is gone, changed or unreadable, BusyError when another sync of the line runs.
    """
    with _alone(line), _enough_disk(line):
        taken = Taken.of(line)
        written: list[Path] = []
        for source in sources:
            taken.refuse_other_reading(source)
            for piece in source.look():
                if taken.has(source, piece):
                    continue
                with source.open(piece) as opened:
                    if not taken.has_bytes(source, opened.sha256):
                        written += _take(line, source, piece, opened, text, taken)
                taken.remember(source, piece, opened.sha256)
        return written


def news(line: Line, sources: Sequence[SourceSettings]) -> bool:
    """Whether sync has something to read. Cheap: package pins and file sizes and times, no file is opened.

    True also where only sync can tell, or where a source is gone: it then says what is wrong.
    """
    taken = Taken.of(line)
    try:
        for source in sources:
            taken.refuse_other_reading(source)
            if not all(taken.has(source, piece) for piece in source.look()):
                return True
    except SourceError:
        return True
    return False


@dataclass
class Taken:
    """What the inbox holds, and what earlier syncs on this machine found out about files."""

    line: Line
    batches: list[tuple[Path, dict[str, Any]]]
    memory: dict[str, Any]
    counters: dict[str, inbox.Counter] = field(default_factory=dict)

    @classmethod
    def of(cls, line: Line) -> "Taken":
        """Read the provenance of every batch of a line."""
        known = [(path, inbox.provenance(path)) for path in inbox.batches(line)]
        return cls(line, known, _remembered(_memory(line)))

    def has(self, source: SourceSettings, piece: Piece) -> bool:
        """Whether the piece is known to be taken, without opening it."""
        digest = piece.sha256
        if digest is None and piece.stamp is not None:
            stamp, digest = self.memory.get(f"{source.name} {public(piece.uri)}", (None, None))
            digest = digest if stamp == piece.stamp else None
        return digest is not None and self.has_bytes(source, digest)

    def has_bytes(self, source: SourceSettings, digest: str) -> bool:
        """Whether bytes with this digest were taken from this source, or brought nothing beyond the inbox as it is."""
        if any(known["source"] == source.name and known["sha256"] == digest for _, known in self.batches):
            return True
        return bool(self.memory.get(f"{source.name} {digest}") == self._state(source))

    def remember(self, source: SourceSettings, piece: Piece, digest: str) -> None:
        """Keep what was found out, so that the next look is cheap. Losing it costs time only."""
        if piece.stamp is not None:
            self.memory[f"{source.name} {public(piece.uri)}"] = [piece.stamp, digest]
        if not any(known["source"] == source.name and known["sha256"] == digest for _, known in self.batches):
            self.memory[f"{source.name} {digest}"] = self._state(source)
        write_json(_memory(self.line), self.memory)

    def refuse_other_reading(self, source: SourceSettings) -> None:
        """Raise SourceError when a source's batches were read with other settings: both readings would mix."""
        for path, known in self.batches:
            if known["source"] == source.name and known["reading"] != source.reading():
                raise SourceError(
                    f"Source {source.name!r} is set to be read otherwise (format, columns, member, ...) than it was "
                    f"for {path}, and batches are immutable. Give it another name to keep both, or delete its "
                    f"batches in {self.line.inbox} and sync again."
                )

    def rows(self, source: SourceSettings) -> inbox.Counter:
        """The content keys of all rows taken from a source."""
        if source.name not in self.counters:
            counter = self.counters[source.name] = inbox.Counter()
            for path, known in self.batches:
                if known["source"] == source.name:
                    counter.add(inbox.content_keys(inbox.row_keys(path)))
        return self.counters[source.name]

    def add(self, path: Path) -> None:
        """Count in a batch that was just written."""
        known = inbox.provenance(path)
        self.batches = sorted([*self.batches, (path, known)], key=lambda batch: batch[0])
        self.counters[known["source"]].add(inbox.content_keys(inbox.row_keys(path)))

    def _state(self, source: SourceSettings) -> list[str]:
        return [source.reading(), *(path.stem for path, known in self.batches if known["source"] == source.name)]


def _take(
    line: Line, source: SourceSettings, piece: Piece, opened: Opened, text: TextSettings, taken: Taken
) -> list[Path]:
    """Write the new rows of a piece as a batch, if there are any, and count it in."""
    import pyarrow.parquet as pq

    scratch = _scratch(line)
    scratch.mkdir(parents=True, exist_ok=True)
    temporary = scratch / "batch.parquet"
    told = {
        "schema_version": inbox.SCHEMA,
        "source": source.name,
        "kind": source.kind,  # type: ignore[attr-defined]
        "uri": public(piece.uri),
        "sha256": opened.sha256,
        "reading": source.reading(),
        "text": fingerprint(text),
        "salt": salt_digest(text.split_salt),
        "watermark": None,
        "rows": 0,
        "duplicates": 0,
    }
    treated = Treated(text)
    with progress(f"sync {source.name}", None) as bar, pq.ParquetWriter(temporary, BATCH, compression="zstd") as writer:
        for table in _new_rows(source, opened, piece, treated, taken, told, bar):
            writer.write_table(table)
        told |= treated.told()
        writer.add_key_value_metadata({inbox.PROVENANCE: json.dumps(told, sort_keys=True)})
    if dropped := sum(told["dropped"].values()):
        log.info("Source %s: %d rows left out for their personal data.", source.name, dropped)
    if not told["rows"]:
        log.info("Source %s: %s brings no new row (%d known).", source.name, public(piece.uri), told["duplicates"])
        return []
    path = _put(line, temporary)
    taken.add(path)
    return [path]


def _new_rows(
    source: SourceSettings, opened: Opened, piece: Piece, treated: Treated, taken: Taken,
    told: dict[str, Any], bar: Progress,
) -> Iterator["pa.Table"]:  # fmt: skip
    """The rows of a piece that are not in the inbox, as BATCH tables; counts them in `told` on the way."""
    import pyarrow.compute as pc

    before, seen = taken.rows(source), inbox.Counter()
    for table in source.rows(opened, piece.uri):
        hashes = content_hashes(table)
        keys = inbox.content_keys(hashes)
        nth = seen.count(keys) + inbox.occurrence(keys)
        new = nth >= before.count(keys)
        seen.add(keys)
        bar.update(table.num_rows)
        told["duplicates"] += int((~new).sum())
        if not new.any():
            continue
        names = [f"{digest}-{n}" if n else digest for digest, n, is_new in zip(hashes, nth, new, strict=True) if is_new]
        fresh = table.filter(new)
        latest = pc.max(fresh["created_at"]).as_py()
        if latest is not None:
            told["watermark"] = max(filter(None, [told["watermark"], latest.isoformat()]))
        batch = _batch(fresh, names, source.name, treated)
        told["rows"] += batch.num_rows
        yield batch


def content_hashes(table: "pa.Table") -> list[str]:
    """blake2b (16 bytes, as hex) of each row as its source gave it."""
    import pyarrow as pa

    columns = [
        table["id"].to_pylist(), table["text"].to_pylist(), table["label"].to_pylist(), table["ratings"].to_pylist(),
        table["created_at"].cast(pa.int64()).to_pylist(),
    ]  # fmt: skip
    return [hashlib.blake2b(repr(row).encode(), digest_size=16).hexdigest() for row in zip(*columns, strict=True)]


def _batch(table: "pa.Table", row_keys: list[str], source: str, treated: Treated) -> "pa.Table":
    import pyarrow as pa

    raw = table["text"].to_pylist()
    texts, kept = treated.rows(raw)
    content = {name: table[name] for name in table.column_names}
    content["text"] = texts
    content["source"] = [source] * len(raw)
    content["split_key"] = [split_key(given or "", treated.settings.split_salt) for given in raw]
    content["row_key"] = row_keys
    batch = pa.table(content, schema=BATCH)
    return batch if all(kept) else batch.filter(pa.array(kept))


def _put(line: Line, temporary: Path) -> Path:
    """Move a finished batch into the inbox under the name of its content."""
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    path = line.inbox / f"{sha256(temporary)[:16]}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.replace(path)
    return path


def _scratch(line: Line) -> Path:
    """Beside the inbox, so that moving a batch into it is one step; what DVC hashes never holds half a batch."""
    return line.folder / ".sync"


def _memory(line: Line) -> Path:
    return STATE / "sync" / f"{line.name}.json"


def _remembered(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@contextlib.contextmanager
def _alone(line: Line) -> Iterator[None]:
    """One sync of a line at a time. The lock goes with the process; what a killed one left is removed."""
    from filelock import FileLock, Timeout

    lock = STATE / "locks" / f"sync-{line.name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            shutil.rmtree(_scratch(line), ignore_errors=True)
            yield
            shutil.rmtree(_scratch(line), ignore_errors=True)
    except Timeout:
        raise BusyError(f"Another sync of {line.name} is running. Wait for its end, or stop it.") from None


@contextlib.contextmanager
def _enough_disk(line: Line) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SourceError(
            f"No space left on the disk while new rows of {line.name} were written. Free some and run sync again; "
            "batches written before are whole."
        ) from None
