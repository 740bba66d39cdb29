"""Rows of the inbox that are to be forgotten: taken out of its batches, and kept from coming back with the next sync.

`data/<line>/forgotten.txt` is in git, because a sync on any clone must heed it: a line per row, text or user, the
digest of the salt and a keyed hash. It tells a text or a user to none who could not guess it and look at the salt as
well.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import inbox
from tasks.core.errors import SettingsError, SourceError
from tasks.core.files import sha256, write_text
from tasks.core.line import Line
from tasks.rows import BATCH, completed
from tasks.text import TextSettings, group_of, salt_digest, split_key

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclass(frozen=True)
class Subject:
    """What is to be forgotten: texts, rows by the id that their source or the stage ingest gave them, and users."""

    texts: frozenset[str] = frozenset()
    """As given, and as the text policy leaves them."""
    keys: frozenset[str] = frozenset()
    """Their split keys."""
    ids: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    """Whose rows: users as they are named and as they are hashed."""

    def rows(self, table: "pa.Table") -> list[bool]:
        """Which rows of a table are meant, by whatever of `split_key`, `text`, `id` and `group` it has."""
        found = [False] * table.num_rows
        by = (("split_key", self.keys), ("text", self.texts), ("id", self.ids), ("group", self.groups))
        for name, wanted in by:
            if wanted and name in table.column_names:
                found = [was or value in wanted for was, value in zip(found, table[name].to_pylist(), strict=True)]
        return found


def path(line: Line) -> Path:
    """The list of a line."""
    return line.folder / "forgotten.txt"


def named(users: Sequence[str], salt: str) -> frozenset[str]:
    """Users as rows bear them, whatever `text.group` is or was: as they are named and as they are hashed.

    Raises SettingsError for a name that is nobody's.
    """
    import pyarrow as pa

    given = pa.chunked_array([pa.array(users, pa.string())])
    plain = group_of(given, TextSettings(split_salt=salt, group="keep")).to_pylist()
    if None in plain:
        raise SettingsError("A user to be forgotten is named by nothing. Give the id as the source writes it.")
    return frozenset([*plain, *_hashed(given, salt)])


def _hashed(groups: "pa.ChunkedArray", salt: str) -> list[str | None]:
    """[rows], whose they are as a hash, also where the line keeps names."""
    found: list[str | None] = group_of(groups, TextSettings(split_salt=salt, group="hash")).to_pylist()
    return found


def _users(subject: Subject, salt: str) -> set[str]:
    import pyarrow as pa

    found = _hashed(pa.chunked_array([pa.array(sorted(subject.groups), pa.string())]), salt)
    return {user for user in found if user}


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

    def rows(self, content_hashes: Sequence[str], texts: "pa.ChunkedArray", groups: "pa.ChunkedArray") -> "np.ndarray":
        """[rows], which rows of a source are to be forgotten; told by tasks.fresh.content_hashes, text and user."""
        import numpy as np

        if not self.hashes:
            return np.zeros(len(content_hashes), bool)
        rows = zip(content_hashes, texts.to_pylist(), self.of_users(groups), strict=True)
        return np.array([self.has(row) or self.has(text or "") or theirs for row, text, theirs in rows], bool)

    def of_users(self, groups: "pa.ChunkedArray") -> list[bool]:
        """[rows], which are those of a listed user."""
        users = _hashed(groups, self.salt)
        listed = {user for user in {*users} if user and self.has(user)}
        return [user in listed for user in users]

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
    listed = {split_key(given, salt) for given in subject.texts | _users(subject, salt)}
    _write(line, salt, hashes(line, salt) | listed)
    rows, batches, ids, texts = 0, [], set[str](), set[str]()
    for batch in inbox.batches(line):
        table, meant = _look(batch, subject, salt)
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
            table = completed(file.read(), BATCH)
        theirs = listed.of_users(table["group"])
        keys = zip(table["row_key"].to_pylist(), table["split_key"].to_pylist(), theirs, strict=True)
        kept = [not (listed.has(row.partition("-")[0]) or text in listed.hashes or user) for row, text, user in keys]
        if not all(kept):
            _replace(batch, table.filter(kept), line)
            taken += kept.count(False)
    return taken


def _look(batch: Path, subject: Subject, salt: str) -> "tuple[pa.Table, list[bool]]":
    """A batch, and which of its rows are meant: by the source's own id, by the one that ingest makes of it, by user."""
    with inbox.opened(batch) as file:
        table = completed(file.read(), BATCH)
    meant = subject.rows(table)
    if users := _users(subject, salt):
        meant = [was or user in users for was, user in zip(meant, _hashed(table["group"], salt), strict=True)]
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
