"""Exact search in a base of answers, with numpy alone: what evaluates, gates and serves.

An entry of a base is a text with the label that it leads to and its embedding, a float32 vector of length 1. What a
library's index would take over for millions of entries is `Exact`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import StageError
from tasks.core.files import atomic

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

SCALE = 20.0
"""Of cosines as logits, in training as in answers: a softmax over cosines alone would be nearly even."""
FILE = "answers.npz"
"""The base of a variant is `<variant>.answers.npz` beside its graph; where it serves, there is no reader of parquet."""
COLUMNS = ["id", "text", "label"]
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
    texts: list[str]
    labels: list[str]
    vectors: Floats


def ranks(similarities: NDArray[np.floating[Any]], actual: Indices) -> Indices:
    """[queries], the place of the actual label among all labels, nearest first, from 1; of equals the first counts."""
    own = similarities[np.arange(len(actual)), actual][:, None]
    before = np.arange(similarities.shape[1]) < actual[:, None]
    places: Indices = 1 + ((similarities > own) | ((similarities == own) & before)).sum(axis=1)
    return places


def reciprocal(places: Indices, most: int = 10) -> NDArray[np.float64]:
    """[queries], one over the place, and 0 beyond the first `most`: its mean is MRR@most (Voorhees 1999)."""
    return np.where(places <= most, 1 / places, 0.0)


def write(path: Path, base: Base) -> None:
    """Write a base as numpy's npz: `entries`, the bytes of JSON with COLUMNS, and `embedding` [entries, width]."""
    columns = dict(zip(COLUMNS, (base.ids, base.texts, base.labels), strict=True))
    entries = np.frombuffer(json.dumps(columns, ensure_ascii=False).encode(), np.uint8)
    with atomic(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, entries=entries, embedding=base.vectors)


def read(path: Path) -> Base:
    """A base as it was written. Raises StageError when it is missing or broken."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            columns = json.loads(stored["entries"].tobytes())
            base = Base(columns["id"], columns["text"], columns["label"], stored["embedding"])
    except FileNotFoundError:
        raise StageError(f"{path} is missing: the model has no answers to find. Export and release again.") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise StageError(f"{path} is broken ({error}). Export and release again.") from None
    if not len(base.ids) == len(base.texts) == len(base.labels) == len(base.vectors) > 0:
        raise StageError(f"{path} is broken: it has no entries, or not all of each. Export and release again.")
    return base


def owned(labels: Sequence[str], names: Sequence[str]) -> Indices:
    """[entries], the number of each label among `names`. Raises StageError on one that is not there."""
    numbers = {name: number for number, name in enumerate(names)}
    if strange := sorted(set(labels) - set(numbers)):
        raise StageError(
            f"The base leads to labels that the model does not know: {', '.join(strange[:5])}. Train and export again."
        )
    return np.array([numbers[label] for label in labels], dtype=np.int64)
