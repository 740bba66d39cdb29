"""Which rows of a source are new, and what becomes of them on the way into the inbox."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks import inbox
from tasks.forgotten import Listed
from tasks.policy_report import Treated
from tasks.rows import BATCH
from tasks.sources.tables import ROWS, Column
from tasks.text import group_of, split_key

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


LATER: tuple[Column, ...] = ("votes", "group")
"""Columns that a first version had not."""


class Found(NamedTuple):
    """What is to be known of a table's rows before they are taken."""

    new: "np.ndarray"
    """[rows], which ones are new; those that are to be forgotten are not."""
    names: list[str]
    """Row keys of the new ones: the content's hash, and the number of equal rows before it where there are any."""
    keys: "np.ndarray"
    """[rows], the content keys."""
    known: int
    """How many the inbox holds, or this sync met before."""


class Fresh:
    """Tells the rows of one sync of a source that the inbox does not hold, by their content.

    A row that stands three times in the source is three rows, unless `once`: then equal rows are one that came again.
    """

    def __init__(
        self, before: inbox.Counter, listed: Listed, once: bool = False, told_apart_by: Sequence[Column] = ROWS
    ) -> None:
        self.before, self.listed, self.once, self.told_apart_by = before, listed, once, told_apart_by
        self.seen = inbox.Counter()

    def rows(self, table: "pa.Table") -> Found:
        """Look at a table with the columns ROWS, and remember its rows as seen."""
        hashes = content_hashes(table, self.told_apart_by)
        keys = inbox.content_keys(hashes)
        nth = self.seen.count(keys) + inbox.occurrence(keys)
        times = self.before.count(keys)
        new = (nth == 0) & (times == 0) if self.once else nth >= times
        self.seen.add(keys)
        wanted = ~self.listed.rows(hashes, table["text"], table["group"])
        known = int((~new & wanted).sum())
        new &= wanted
        names = [f"{digest}-{n}" if n else digest for digest, n, is_new in zip(hashes, nth, new, strict=True) if is_new]
        return Found(new, names, keys, known)


def content_hashes(table: "pa.Table", names: Sequence[Column] = ROWS) -> list[str]:
    """blake2b (16 bytes, as hex) of these columns of each row as its source gave it."""
    import pyarrow as pa

    times = table["created_at"].cast(pa.int64())
    columns = [(times if name == "created_at" else table[name]).to_pylist() for name in names if name not in LATER]
    rows: list[tuple[Any, ...]] = list(zip(*columns, strict=True))
    for name in LATER:  # only where there are some: rows without keep the key that they had before these were known
        if name in names:
            told = zip(rows, table[name].to_pylist(), strict=True)
            rows = [row if value is None else (*row, value) for row, value in told]
    return [hashlib.blake2b(repr(row).encode(), digest_size=16).hexdigest() for row in rows]


def batch(table: "pa.Table", found: Found, source: str, treated: Treated) -> "pa.Table":
    """The new rows of a table with the columns ROWS as rows of the inbox: cleaned, masked and keyed.

    Without those that have personal data of a kind that is set to `drop`.
    """
    import pyarrow as pa

    table = table.filter(found.new)
    content = {name: table[name] for name in table.column_names}
    content["text"], kept = treated.rows(table["text"])
    content["source"] = [source] * table.num_rows
    content["split_key"] = [split_key(given or "", treated.settings.split_salt) for given in table["text"].to_pylist()]
    content["group"] = group_of(table["group"], treated.settings)
    content["row_key"] = found.names
    rows = pa.table(content, schema=BATCH)
    return rows if all(kept) else rows.filter(pa.array(kept, pa.bool_()))


def latest(known: str | None, table: "pa.Table") -> str | None:
    """The later of a time (ISO 8601) and those of the rows, None where neither tells any."""
    import pyarrow.compute as pc

    found = pc.max(table["created_at"]).as_py()
    return max(filter(None, [known, found and found.isoformat()]), default=None)
