"""The texts that a queue is chosen from: drawn from files of any size, cleaned, without those that are known."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks import inbox
from tasks.annotation.events import Item, item_id
from tasks.annotation.settings import AnnotateSettings
from tasks.core.errors import SourceError
from tasks.core.line import Line
from tasks.core.progress import progress
from tasks.forgotten import Listed
from tasks.text import TextSettings, split_key

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

PIECE = 10_000  # rows
SURE = 0.5
"""From this certainty on a text is taken to be in the language that it looks like; else anybody is asked."""


@dataclass(frozen=True)
class Pool:
    """Texts after the policy, each once, and how many rows were read for them."""

    texts: list[str]
    read: int


def draw(
    files: Sequence[Path], column: str, line: Line, queue: Sequence[Item], text: TextSettings, block: AnnotateSettings
) -> Pool:
    """At most `annotate.candidates` texts of csv, tsv, jsonl or parquet files: no label, not queued, not forgotten.

    Of more so many are drawn by lot. The lot is the text's own hash: the same texts are drawn again, in whatever order
    they come. Memory does not grow with the files. Raises SourceError for a file that cannot be read to its end.
    """
    from tasks.sources.tables import TableSettings, read

    table, known = TableSettings(columns={"text": column}), _known(line, queue, text.split_salt)
    salt, limit, count = block.seed.to_bytes(8, "big"), b"\xff" * 16, 0
    lots: dict[bytes, str] = {}
    with progress("read", None) as bar:
        for file in files:
            if not file.is_file():
                raise SourceError(f"There is no file {file}.")
            for part in _parts(read(file, table, str(file), table.columns)):
                for each in _unknown(part.to_pylist(), known, text.split_salt):
                    lot = hashlib.blake2b(each.encode("utf-8", "replace"), digest_size=16, salt=salt).digest()
                    if lot < limit:
                        lots[lot] = each
                if len(lots) > 2 * block.candidates:
                    lots = dict(sorted(lots.items())[: block.candidates])
                    limit = max(lots)
                count += len(part)
                bar.update(len(part))
    listed = Listed.of(line, text.split_salt)
    drawn = [each for _, each in sorted(lots.items())[: block.candidates] if not listed.has(each)]
    return Pool([each for each in _treated(drawn, queue, text) if not listed.has(each)], count)


def _parts(tables: Iterable["pa.Table"]) -> Iterator["pa.Array"]:
    """The texts in pieces that are small as Python's, too."""
    for table in tables:
        for batch in table.select(["text"]).to_batches(max_chunksize=PIECE):
            yield batch.column(0)


def overlaps(rows: int, block: AnnotateSettings) -> list[int]:
    """How many people each item is asked of; those that several are asked of are drawn by lot."""
    several = np.random.default_rng(block.seed + 1).permutation(rows) < block.overlap_share * rows
    return [block.overlap if each else 1 for each in several]


def languages(texts: Sequence[str]) -> list[str | None]:
    """The language of each text where it is clear."""
    from tasks.languages import UNKNOWN, detect

    return [found.code if found.certainty >= SURE and found.code != UNKNOWN else None for found in detect(texts)]


def _known(line: Line, queue: Iterable[Item], salt: str) -> "NDArray[np.uint64]":
    """Split keys, hashed, of texts that have a label or are queued."""
    import pyarrow.parquet as pq

    keys = [split_key(item.text, salt) for item in queue]
    path = line.file("ingest", "rows.parquet")
    if path.exists():
        with pq.ParquetFile(path) as file:
            names = [name for name in ("label", "ratings", "votes") if name in file.schema_arrow.names]
            for batch in file.iter_batches(columns=["split_key", *names]):
                keys += batch.column("split_key").filter(_labelled([batch.column(name) for name in names])).to_pylist()
    return np.unique(inbox.hashed(keys)) if keys else np.empty(0, np.uint64)


def _labelled(columns: list[Any]) -> Any:
    import pyarrow as pa

    return pa.array(np.any([column.is_valid().to_numpy(zero_copy_only=False) for column in columns], axis=0))


def _unknown(texts: list[str | None], known: "NDArray[np.uint64]", salt: str) -> Iterable[str]:
    """Those that say anything and are not known."""
    said = [text for text in texts if text and text.strip()]
    if not len(known):
        return said
    there = np.isin(inbox.hashed([split_key(text, salt) for text in said]), known)
    return [text for text, is_there in zip(said, there, strict=True) if not is_there]


def _treated(raw: list[str], queue: Iterable[Item], text: TextSettings) -> list[str]:
    """The texts after the policy, each once, without those that are queued."""
    import pyarrow as pa

    from tasks.policy_report import Treated

    cleaned, kept = Treated(text).rows(pa.chunked_array([raw], pa.string()))
    queued = {item.id for item in queue}
    texts = dict.fromkeys(each for each, stays in zip(cleaned, kept, strict=True) if stays and each and each.strip())
    return [each for each in texts if item_id(each) not in queued]
