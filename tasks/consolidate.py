"""Many small batches of an inbox as one, for an inbox that no stage reads and DVC does not keep: that of a product.

A product that looks every quarter of an hour has some 35,000 batches of a feed after a year, each of which every look
opens. A line's inbox is left alone: what its stages read is named by content, and every batch written anew would run
them all.
"""

import json
import os
from collections.abc import Collection
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import inbox
from tasks.core.files import sha256
from tasks.core.line import Line
from tasks.rows import BATCH, completed
from tasks.standing import CHANGING

if TYPE_CHECKING:
    import pyarrow.parquet as pq

FEW = 20
"""Batches of a source below which nothing is done."""
LARGE = 100_000
"""Rows from which on a batch is left as it is, so that what is written anew each time stays little."""
SAME = ("source", "kind", "uri", "reading", "text", "salt", "schema_version")
"""What must be told alike of batches that become one."""

Batch = tuple[Path, dict[str, Any]]


def small(line: Line, done: Collection[str]) -> list[list[Batch]]:
    """Groups of batches that can become one, each in the order in which they came; `done` names those to be looked at.

    Sources whose rows come again where people change their minds need every batch by itself.
    """
    if line.inbox.with_name("inbox.dvc").exists():
        return []
    known = [(path, inbox.provenance(path)) for path in inbox.batches(line) if path.stem in done]
    fit = [one for one in known if one[1]["kind"] not in CHANGING and one[1]["rows"] < LARGE]
    groups = [list(its) for _, its in groupby(sorted(fit, key=_order), key=_same)]
    return [its for its in groups if len(its) >= FEW]


def merged(line: Line, batches: list[Batch]) -> Path:
    """Write one batch with the rows of these; they stay until `superseded` names them. Hold the inbox meanwhile.

    Its provenance is that of the last, with the sums of all, and `was` names the batches whose rows it holds.
    """
    import pyarrow.parquet as pq

    told = [known for _, known in batches]
    first, whole = told[0], dict(told[-1])
    whole |= {name: sum(known[name] for known in told) for name in ("rows", "duplicates")}
    whole["watermark"] = max(filter(None, (known["watermark"] for known in told)), default=None)
    whole["was"] = [name for path, known in batches for name in (*known.get("was", ()), path.stem)]
    whole["digests"] = sorted({one for known in told for one in (known["sha256"], *known.get("digests", ())) if one})
    if forgotten := sum(known.get("forgotten", 0) for known in told):
        whole["forgotten"] = forgotten
    whole |= {"follows": first["follows"]} if "follows" in first else {}
    temporary = line.folder / ".sync" / "merged.parquet"
    temporary.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(temporary, BATCH, compression="zstd") as writer:
        for path, _ in batches:
            _copy(path, writer)
        writer.add_key_value_metadata({inbox.PROVENANCE: json.dumps(whole, sort_keys=True)})
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    target = line.inbox / f"{sha256(temporary)[:16]}.parquet"
    temporary.replace(target)
    return target


def superseded(line: Line) -> list[Path]:
    """Batches whose rows stand in another one as well: what a killed clean-up left."""
    known = {path: inbox.provenance(path) for path in inbox.batches(line)}
    gone = {name for told in known.values() for name in told.get("was", ())}
    return [path for path in known if path.stem in gone]


def _copy(path: Path, writer: "pq.ParquetWriter") -> None:
    with inbox.opened(path) as file:
        writer.write_table(completed(file.read(), BATCH))


def _same(batch: Batch) -> tuple[str, ...]:
    return tuple(str(batch[1].get(name)) for name in SAME)


def _order(batch: Batch) -> tuple[Any, ...]:
    path, told = batch
    return (*_same(batch), told.get("number", 0), told["watermark"] or "", path.stem)
