"""What a table of rows is like: exact counts over all rows, and a sample of them for what costs more."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.inbox import Counter as Keys
from tasks.inbox import hashed
from tasks.masks import PLACEHOLDERS
from tasks.similar import plain

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

CHUNK = 50_000  # rows in memory at once
SAMPLE = 20_000  # rows that are looked at more closely
LONGEST = 20_000  # characters or words; longer texts count as this long


@dataclass
class Scan:
    """Counts over all rows of a table, in some 16 bytes a row, and the sampled rows.

    `characters` and `words` hold how many texts have 0, 1, 2, ... of them; `months` counts rows by source and month.
    """

    rows: int = 0
    columns: list[str] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)
    blank: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    months: Counter[tuple[str, str]] = field(default_factory=Counter)
    placeholders: Counter[str] = field(default_factory=Counter)
    repeated_texts: int = 0
    repeated_ids: int = 0
    characters: "np.ndarray" = field(default_factory=lambda: _zeros())
    words: "np.ndarray" = field(default_factory=lambda: _zeros())
    ratings: dict[str, float] = field(default_factory=dict)  # count_min, low, high over all rows that have some
    sample: "pd.DataFrame" = field(default_factory=lambda: _empty())


def scan(path: Path, sample: int = SAMPLE, seed: int = 0) -> Scan:
    """Scan a parquet file in chunks. It needs a column `text`; others of tasks.rows.RAW are counted where there are."""
    import numpy as np
    import pandas as pd
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        total = file.metadata.num_rows
        found = Scan(columns=[name for name in file.schema_arrow.names if name != "split_key"])
        chosen = np.sort(np.random.default_rng(seed).choice(total, min(sample, total), replace=False))
        texts, ids, parts = Keys(), Keys(), []
        for table in _chunks(file):
            here = chosen[(chosen >= found.rows) & (chosen < found.rows + table.num_rows)] - found.rows
            parts.append(table.take(here).to_pandas())
            _count(found, table)
            texts.add(hashed([plain(text or "") for text in table["text"].to_pylist()]))
            if "id" in table.column_names:
                ids.add(hashed(table["id"].to_pylist()))
    found.repeated_texts, found.repeated_ids = texts.repeated(), ids.repeated()
    if parts:
        found.sample = pd.concat(parts, ignore_index=True)
    return found


def quantiles(counts: "np.ndarray", shares: Iterable[float] = (0, 0.05, 0.5, 0.95, 0.99, 1)) -> list[int]:
    """Quantiles of values 0, 1, 2, ... that occur so often; zeros where nothing was counted."""
    import numpy as np

    total = np.cumsum(counts)
    if not total[-1]:
        return [0 for _ in shares]
    return [int(np.searchsorted(total, max(1, np.ceil(share * total[-1])))) for share in shares]


def _chunks(file: Any) -> Iterator["pa.Table"]:
    import pyarrow as pa

    for batch in file.iter_batches(batch_size=CHUNK):
        yield pa.table(batch)


def _count(found: Scan, table: "pa.Table") -> None:
    import pyarrow.compute as pc

    found.rows += table.num_rows
    for name in found.columns:
        found.missing[name] += table[name].null_count
    text = pc.fill_null(table["text"], "")
    found.characters += _histogram(pc.utf8_length(text))
    found.words += _histogram(pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(text))))
    found.blank += int(pc.sum(pc.equal(pc.utf8_trim_whitespace(text), "")).as_py() or 0)
    for kind, placeholder in PLACEHOLDERS.items():
        if rows := pc.sum(pc.match_substring(text, placeholder)).as_py():
            found.placeholders[kind] += rows
    for name, counter in (("source", found.sources), ("label", found.labels)):
        if name in table.column_names:
            counter.update(value for value in table[name].to_pylist() if value is not None)
    if "created_at" in table.column_names and "source" in table.column_names:
        months = pc.strftime(table["created_at"], format="%Y-%m").to_pylist()
        found.months.update(
            (source, month) for source, month in zip(table["source"].to_pylist(), months, strict=True) if month
        )
    if "ratings" in table.column_names and table["ratings"].null_count < table.num_rows:
        _count_ratings(found, table["ratings"])


def _count_ratings(found: Scan, ratings: Any) -> None:
    import pyarrow.compute as pc

    values, known = pc.list_flatten(ratings), found.ratings
    low, high, fewest = pc.min(values).as_py(), pc.max(values).as_py(), pc.min(pc.list_value_length(ratings)).as_py()
    if low is not None:
        known["low"], known["high"] = min(low, known.get("low", low)), max(high, known.get("high", high))
    known["count_min"] = min(fewest, known.get("count_min", fewest))


def _histogram(values: Any) -> "np.ndarray":
    import numpy as np

    return np.bincount(np.minimum(values.to_numpy(), LONGEST), minlength=LONGEST + 1)


def _zeros() -> "np.ndarray":
    import numpy as np

    return np.zeros(LONGEST + 1, np.int64)


def _empty() -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({"text": pd.Series(dtype=str)})
