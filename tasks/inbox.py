"""The inbox of a line: immutable batches of raw input, each a parquet file with its provenance inside."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.errors import DataError
from tasks.core.line import Line

if TYPE_CHECKING:
    import numpy as np
    import pyarrow.parquet as pq

SCHEMA = 1
PROVENANCE = b"tidegate"
"""Key of the provenance in the parquet file's metadata."""


def batches(line: Line) -> list[Path]:
    """The batches of a line by name, and so by content."""
    return sorted(line.inbox.glob("*.parquet"))


def opened(path: Path) -> "pq.ParquetFile":
    """A batch as parquet file; raises DataError when it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is damaged or no parquet ({error}). `dvc checkout` or `dvc pull` brings it back."
        ) from None


def provenance(path: Path) -> dict[str, Any]:
    """Where a batch came from, as sync wrote it: source, kind, uri, sha256, watermark, rows, duplicates and digests.

    Raises DataError when the file is no batch, or one of a newer program.
    """
    with opened(path) as file:
        content = (file.schema_arrow.metadata or {}).get(PROVENANCE) or (file.metadata.metadata or {}).get(PROVENANCE)
    if content is None:
        raise DataError(f"{path} is no batch: only sync writes into the inbox. Move it away and name it as a source.")
    known: dict[str, Any] = json.loads(content)
    if known["schema_version"] > SCHEMA:
        raise DataError(f"{path} has schema version {known['schema_version']}, this program knows {SCHEMA}. Update.")
    return known


def row_keys(path: Path) -> list[str]:
    """The row keys of a batch, in order."""
    with opened(path) as file:
        keys: list[str] = file.read(columns=["row_key"])["row_key"].to_pylist()
    return keys


def row_ids(path: Path) -> list[tuple[str | None, str]]:
    """The id, null where the source gives none, and the row key of each row of a batch, in order."""
    with opened(path) as file:
        columns = file.read(columns=["id", "row_key"])
    return list(zip(columns["id"].to_pylist(), columns["row_key"].to_pylist(), strict=True))


class Counter:
    """How often each key occurs among those added: a sorted array of 8 bytes a key instead of a dictionary."""

    def __init__(self) -> None:
        import numpy as np

        self.keys = np.empty(0, np.uint64)

    def add(self, keys: "np.ndarray") -> None:
        """Add keys, repeated ones as often as they occur."""
        import numpy as np

        self.keys = np.sort(np.concatenate([self.keys, keys]), kind="stable")

    def count(self, keys: "np.ndarray") -> "np.ndarray":
        """How often each of these was added."""
        import numpy as np

        return np.searchsorted(self.keys, keys, "right") - np.searchsorted(self.keys, keys, "left")

    def repeated(self) -> int:
        """How many of the keys had been added before."""
        return int((self.keys[1:] == self.keys[:-1]).sum())


def occurrence(keys: "np.ndarray") -> "np.ndarray":
    """For each key, how many equal ones stand before it in the array."""
    import numpy as np

    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    place = np.arange(len(keys))
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(keys)]
    result = np.empty(len(keys), np.int64)
    result[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    return result


def content_keys(row_keys: list[str]) -> "np.ndarray":
    """The first 64 bits of each row's content hash, as numbers.

    64 bits name a million rows with a chance of 3 in 100 million that any two of them fall together.
    """
    import numpy as np

    return np.frombuffer(bytes.fromhex("".join([key[:16] for key in row_keys])), dtype=">u8").astype(np.uint64)


def hashed(values: Sequence[str | None]) -> "np.ndarray":
    """64 bits of blake2b of each value, as numbers."""
    import numpy as np

    digests = b"".join([hashlib.blake2b((value or "").encode(), digest_size=8).digest() for value in values])
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)
