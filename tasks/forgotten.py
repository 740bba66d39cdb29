"""Rows of the inbox that are to be forgotten: taken out of its batches, and kept from coming back with the next sync.

`data/<line>/forgotten.txt` is in git, because a sync on any clone must heed it: a line per row or text, the digest of
the salt and a keyed hash. It tells a text to none who could not guess it and look at the salt as well.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import inbox
from tasks.core.errors import SourceError
from tasks.core.files import sha256, write_text
from tasks.core.line import Line
from tasks.rows import BATCH, completed
from tasks.text import salt_digest, split_key

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclass(frozen=True)
class Subject:
    """What is to be forgotten: texts, and rows by the id that their source or the stage ingest gave them."""

    texts: frozenset[str] = frozenset()
    """As given, and as the text policy leaves them."""
    keys: frozenset[str] = frozenset()
    """Their split keys."""
    ids: frozenset[str] = frozenset()

    def rows(self, table: "pa.Table") -> list[bool]:
        """Which rows of a table are meant, by whatever of `split_key`, `text` and `id` it has."""
        found = [False] * table.num_rows
        for name, wanted in (("split_key", self.keys), ("text", self.texts), ("id", self.ids)):
            if wanted and name in table.column_names:
                found = [was or value in wanted for was, value in zip(found, table[name].to_pylist(), strict=True)]
        return found


def path(line: Line) -> Path:
    """The list of a line."""
    return line.folder / "forgotten.txt"


def hashes(line: Line, salt: str) -> frozenset[str]:
    """The keyed hashes of a line's list. Raises SourceError when they were keyed with another salt."""
    if not path(line).exists():
        return frozenset()
    entries = [entry.split() for entry in path(line).read_text(encoding="utf-8").splitlines()]
    if any(len(entry) != 2 or entry[0] != salt_digest(salt) for entry in entries):
        raise SourceError(
            f"{path(line)} was written with another `text.split_salt` than lines.{line.name} now has, so that a sync "
            "would bring forgotten rows back. Put the old salt back, or forget these texts again by `tidegate forget`."
        )
    return frozenset(digest for _, digest in entries)


@dataclass(frozen=True)
class Listed:
    """A line's list, as a sync heeds it."""

    hashes: frozenset[str]
    salt: str

    @classmethod
    def of(cls, line: Line, salt: str) -> "Listed":
        """Read the list. Raises SourceError when it was written with another salt."""
        return cls(hashes(line, salt), salt)

    def digest(self) -> str:
        """Changes with the list."""
        return hashlib.blake2b("".join(sorted(self.hashes)).encode(), digest_size=8).hexdigest()

    def rows(self, content_hashes: Sequence[str], texts: "pa.ChunkedArray") -> "np.ndarray":
        """[rows], which rows of a source are to be forgotten; told by tasks.fresh.content_hashes and their texts."""
        import numpy as np

        if not self.hashes:
            return np.zeros(len(content_hashes), bool)
        pairs = zip(content_hashes, texts.to_pylist(), strict=True)
        return np.array([self.has(row) or self.has(text or "") for row, text in pairs], bool)

    def has(self, given: str) -> bool:
        """Whether a text, or the content's hash that names a row, is listed."""
        return split_key(given, self.salt) in self.hashes


@dataclass(frozen=True)
class Taken:
    """What was taken out of an inbox."""

    rows: int
    batches: list[Path]
    """The batches that held them; they are gone."""
    ids: frozenset[str]
    """The ids that the stage ingest gave the rows."""
    texts: frozenset[str]


def take_out(line: Line, subject: Subject, salt: str) -> Taken:
    """Write every batch that holds the subject anew without it, and put the subject on the line's list.

    The list comes first: killed at any moment, the next call goes on. Call it with the inbox held (tasks.sync.alone).
    """
    listed = {split_key(text, salt) for text in subject.texts}
    _write(line, salt, hashes(line, salt) | listed)
    rows, batches, ids, texts = 0, [], set[str](), set[str]()
    for batch in inbox.batches(line):
        table, meant = _look(batch, subject)
        if not any(meant):
            continue
        gone = table.filter(meant).to_pylist()
        ids |= {f"{row['source']}-{row['id'] or row['row_key']}" for row in gone}
        texts |= {row["text"] for row in gone if row["text"]}
        by_id = {split_key(row["row_key"].partition("-")[0], salt) for row in gone}
        by_text = {row["split_key"] for row in gone if row["text"] in subject.texts}
        _write(line, salt, hashes(line, salt) | by_id | by_text)
        _replace(batch, table.filter([not is_meant for is_meant in meant]), line)
        rows += len(gone)
        batches.append(batch)
    return Taken(rows, batches, frozenset(ids), frozenset(texts))


def heed(line: Line, salt: str) -> int:
    """Take what the line's list names out of batches that came from elsewhere; returns how many rows that were.

    Call it with the inbox held (tasks.sync.alone).
    """
    listed = Listed.of(line, salt)
    taken = 0
    for batch in inbox.batches(line) if listed.hashes else []:
        with inbox.opened(batch) as file:
            table = file.read()
        keys = zip(table["row_key"].to_pylist(), table["split_key"].to_pylist(), strict=True)
        kept = [not (listed.has(row.partition("-")[0]) or text in listed.hashes) for row, text in keys]
        if not all(kept):
            _replace(batch, table.filter(kept), line)
            taken += kept.count(False)
    return taken


def _look(batch: Path, subject: Subject) -> "tuple[pa.Table, list[bool]]":
    """A batch, and which of its rows are meant: by the source's own id, or by the one that ingest makes of it."""
    with inbox.opened(batch) as file:
        table = file.read()
    meant = subject.rows(table)
    if subject.ids:
        columns = (table[name].to_pylist() for name in ("source", "id", "row_key"))
        made = [f"{source}-{own or key}" for source, own, key in zip(*columns, strict=True)]
        meant = [was or name in subject.ids for was, name in zip(meant, made, strict=True)]
    return table, meant


def _replace(batch: Path, kept: "pa.Table", line: Line) -> None:
    """Put what is kept of a batch in its place, under the name of its content; nothing, where nothing is kept."""
    import pyarrow.parquet as pq

    told: dict[str, Any] = inbox.provenance(batch)
    told["forgotten"] = told.get("forgotten", 0) + told["rows"] - kept.num_rows
    told["rows"] = kept.num_rows
    told["was"] = [*told.get("was", []), batch.stem]
    if kept.num_rows:
        temporary = line.folder / ".sync" / "kept.parquet"
        temporary.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(temporary, BATCH, compression="zstd") as writer:
            writer.write_table(completed(kept, BATCH))
            writer.add_key_value_metadata({inbox.PROVENANCE: json.dumps(told, sort_keys=True)})
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(line.inbox / f"{sha256(temporary)[:16]}.parquet")
    batch.unlink()


def _write(line: Line, salt: str, listed: frozenset[str]) -> None:
    if listed:
        write_text(path(line), "".join(f"{salt_digest(salt)} {digest}\n" for digest in sorted(listed)))
