"""Exact search in a base of answers: numpy and pyarrow alone, what evaluates, gates and serves.

An entry of a base is a text with the label that it leads to and its embedding, a float32 vector of length 1. What a
library's index would take over for millions of entries is `Exact`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import StageError
from tasks.core.files import atomic

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

SCALE = 20.0
"""Of cosines as logits, in training as in answers: a softmax over cosines alone would be nearly even."""
FILE = "answers.parquet"
"""The base of a variant is `<variant>.answers.parquet` beside its graph, with COLUMNS."""
COLUMNS = ["id", "text", "label", "embedding"]
CELLS = 1 << 24  # similarities held at a time: 64 MB


class Exact:
    """Entries that are compared with a query one and all."""

    def __init__(self, vectors: Floats, owners: Indices, names: int) -> None:
        """`vectors` [entries, width]; `owners` [entries] gives each one's label, by its number among `names`."""
        order = np.argsort(owners, kind="stable")
        self.names = names
        self.vectors = np.ascontiguousarray(vectors[order], dtype=np.float32)
        self.present, self.starts = np.unique(owners[order], return_index=True)

    def similarities(self, queries: Floats) -> Floats:
        """[queries, names], the cosine of the nearest entry of each label; -1, the least there is, without one."""
        found = np.full((len(queries), self.names), -1, dtype=np.float32)
        if len(self.present):
            block = max(1, CELLS // len(self.vectors))
            for start in range(0, len(queries), block):
                cosines = queries[start : start + block] @ self.vectors.T
                found[start : start + block, self.present] = np.maximum.reduceat(cosines, self.starts, axis=1)
        return found


@dataclass(frozen=True)
class Base:
    """The entries of a base, [entries] each."""

    ids: list[str]
    labels: list[str]
    vectors: Floats

    def index(self, names: Sequence[str]) -> Exact:
        """What finds the nearest entry of each of `names`. Raises StageError on an entry of another label."""
        return Exact(self.vectors, owned(self.labels, names), len(names))


def ranks(similarities: NDArray[np.floating[Any]], actual: Indices) -> Indices:
    """[queries], the place of the actual label among all labels, nearest first, from 1; of equals the first counts."""
    own = similarities[np.arange(len(actual)), actual][:, None]
    before = np.arange(similarities.shape[1]) < actual[:, None]
    places: Indices = 1 + ((similarities > own) | ((similarities == own) & before)).sum(axis=1)
    return places


def reciprocal(places: Indices, most: int = 10) -> NDArray[np.float64]:
    """[queries], one over the place, and 0 beyond the first `most`: its mean is MRR@most (Voorhees 1999)."""
    return np.where(places <= most, 1 / places, 0.0)


def write(path: Path, entries: "pd.DataFrame", vectors: Floats) -> None:
    """Write a base: the entries' id, text and label with their embeddings [entries, width]."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [pa.array(entries[name], pa.string()) for name in COLUMNS[:-1]]
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1])
    with atomic(path) as temporary:
        pq.write_table(pa.table([*columns, embedding], COLUMNS), temporary, compression="zstd")


def read(path: Path) -> Base:
    """A base without its texts. Raises StageError when it is missing or broken."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=["id", "label", "embedding"])
        vectors = table["embedding"].combine_chunks()
        width = vectors.type.list_size
    except FileNotFoundError:
        raise StageError(f"{path} is missing: the model has no answers to find. Export and release again.") from None
    except (OSError, pa.ArrowException, AttributeError) as error:
        raise StageError(f"{path} is broken ({str(error).splitlines()[0]}). Export and release again.") from None
    found = vectors.flatten().to_numpy().reshape(-1, width)
    return Base(table["id"].to_pylist(), table["label"].to_pylist(), found)


def owned(labels: Sequence[str], names: Sequence[str]) -> Indices:
    """[entries], the number of each label among `names`. Raises StageError on one that is not there."""
    numbers = {name: number for number, name in enumerate(names)}
    if strange := sorted(set(labels) - set(numbers)):
        raise StageError(
            f"The base leads to labels that the model does not know: {', '.join(strange[:5])}. Train and export again."
        )
    return np.array([numbers[label] for label in labels], dtype=np.int64)
