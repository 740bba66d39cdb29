"""Look at a line's sources and put what is new into its inbox. The one step that meets the outside world."""

import contextlib
import errno
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import feeds, inbox
from tasks.core.errors import BusyError, SourceError
from tasks.core.files import sha256
from tasks.core.line import STATE, Line
from tasks.core.progress import progress
from tasks.forgotten import Listed
from tasks.fresh import Fresh, batch, latest
from tasks.policy_report import Treated
from tasks.rows import BATCH
from tasks.sources.base import FeedSettings, Mark, Opened, Piece, SourceBase, SourceSettings
from tasks.sources.file import public
from tasks.taken import Taken
from tasks.text import TextSettings, fingerprint, salt_digest

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("tidegate")


def sync(line: Line, sources: Sequence[SourceSettings | FeedSettings], text: TextSettings) -> list[Path]:
    """Write what the sources hold and the inbox does not.

    Each file and each feed with new rows gives one immutable `data/<line>/inbox/<hash>.parquet`: the columns of
    tasks.rows.BATCH, texts cleaned and masked, provenance in the metadata, with how many rows each step of the policy
    changed, and how many were left out for personal data that is set to `drop`. Returns the new batches. A source whose
    bytes were read before is not read again; a row taken before is not taken again. Killed at any moment, a batch is
    there whole or not at all, and the next call goes on.

    Raises SourceError when a source is gone, changed or unreadable, BusyError when another sync of the line runs.
    """
    with alone(line), _enough_disk(line):
        taken = Taken.of(line)
        written: list[Path] = []
        for source in sources:
            taken.refuse_other_reading(source)
            if isinstance(source, FeedSettings):
                written += _take_feed(line, source, text, taken)
                continue
            for piece in source.look():
                if taken.has(source, piece):
                    continue
                with source.open(piece) as opened:
                    if not taken.has_bytes(source, opened.sha256):
                        written += _take(line, source, piece, opened, text, taken)
                taken.remember(source, piece, opened.sha256)
        return written


def news(line: Line, sources: Sequence[SourceSettings | FeedSettings]) -> bool:
    """Whether sync has something to read.

    Cheap: package pins, file sizes and times, one question to a feed; no file is opened. True
    also where only sync can tell, or where a source is gone: it then says what is wrong.
    """
    taken = Taken.of(line)
    try:
        for source in sources:
            taken.refuse_other_reading(source)
            if isinstance(source, FeedSettings):
                if source.has_news(taken.mark(source)):
                    return True
            elif not all(taken.has(source, piece) for piece in source.look()):
                return True
    except SourceError:
        return True
    return False


def _take(
    line: Line, source: SourceSettings, piece: Piece, opened: Opened, text: TextSettings, taken: Taken
) -> list[Path]:
    """Write the new rows of a piece as a batch, if there are any, and count it in."""
    told = {**_origin(source, public(piece.uri), text), "sha256": opened.sha256}
    if piece.revision is not None:
        told["revision"] = piece.revision
    return _write(line, _new_rows(line, source, opened, piece, text, taken, told), told, taken)


def _take_feed(line: Line, source: FeedSettings, text: TextSettings, taken: Taken) -> list[Path]:
    """Write what a feed has beyond the inbox as a batch, and keep where it ended."""
    told = {**_origin(source, source.address(), text), **taken.link(source), "sha256": None}
    with feeds.collected(line, source, text, taken, told) as tables:
        written = _write(line, tables, told, taken)
        taken.remember_mark(source, Mark(**told["mark"]))
    return written


def _origin(source: SourceBase, uri: str, text: TextSettings) -> dict[str, Any]:
    """The provenance of a batch before its rows are counted."""
    return {
        "schema_version": inbox.SCHEMA,
        "source": source.name,
        "kind": source.kind,  # type: ignore[attr-defined]
        "uri": uri,
        "reading": source.reading(),
        "text": fingerprint(text),
        "salt": salt_digest(text.split_salt),
        "watermark": None,
        "rows": 0,
        "duplicates": 0,
    }


def _write(line: Line, tables: Iterator["pa.Table"], told: dict[str, Any], taken: Taken) -> list[Path]:
    """A batch of these tables; `told`, which they may change on their way, is its provenance."""
    import pyarrow.parquet as pq

    scratch = _scratch(line)
    scratch.mkdir(parents=True, exist_ok=True)
    temporary = scratch / "batch.parquet"
    with pq.ParquetWriter(temporary, BATCH, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
        writer.add_key_value_metadata({inbox.PROVENANCE: json.dumps(told, sort_keys=True)})
    if dropped := sum(told["dropped"].values()):
        log.info("Source %s: %d rows left out for their personal data.", told["source"], dropped)
    if not told["rows"]:
        log.info("Source %s: %s brings no new row (%d known).", told["source"], told["uri"], told["duplicates"])
        return []
    path = _put(line, temporary)
    taken.add(path)
    return [path]


def _new_rows(
    line: Line, source: SourceSettings, opened: Opened, piece: Piece, text: TextSettings, taken: Taken,
    told: dict[str, Any],
) -> Iterator["pa.Table"]:  # fmt: skip
    """The rows of a piece that are not in the inbox, as BATCH tables; counts them in `told` on the way."""
    fresh, treated = Fresh(taken.rows(source), Listed.of(line, text.split_salt)), Treated(text)
    with progress(f"sync {source.name}", None) as bar:
        for table in source.rows(opened, piece.uri):
            found = fresh.rows(table)
            bar.update(table.num_rows)
            told["duplicates"] += found.known
            if found.names:
                rows = batch(table, found, source.name, treated)
                told["rows"] += rows.num_rows
                told["watermark"] = latest(told["watermark"], rows)
                yield rows
    told |= treated.told()


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


@contextlib.contextmanager
def alone(line: Line) -> Iterator[None]:
    """Hold the inbox: one sync at a time. The lock goes with the process; what a killed one left is removed."""
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
