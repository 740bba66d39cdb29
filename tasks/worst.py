"""The worst slices of a model: searched on one set of rows, to be judged on another.

Rows are described by what any language has (words, characters, letters, digits, marks), cut into bins, and every bin
and pair of bins is looked at: the search of slice finders (Chung et al. 2019), with the judgement left to fresh rows.
"""

import unicodedata
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tasks.core.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

Mask = NDArray[np.bool_]

QUARTERS = (0.25, 0.5, 0.75)
SHARES = {"upper case": "Lu", "digits": "N", "punctuation": "P", "symbols": "S"}
"""Shares of a text's characters, by the beginning of their Unicode category."""
ALIKE = 0.5  # Jaccard similarity of rows beyond which two slices say the same


class WorstSettings(Settings):
    """A search for slices nobody named."""

    most: int = Field(5, ge=0, le=50, description="How many slices are judged; 0 searches none.")
    floor: float = Field(ge=0, le=1, description="The least accuracy that each should have.")
    min_rows: int = Field(50, ge=10, description="Validation rows that a slice must have to be looked at.")


class Bin(NamedTuple):
    """Rows whose descriptor lies from `low` up to but not including `high`, or whose source has this name."""

    descriptor: str
    low: float = -np.inf
    high: float = np.inf
    source: str = ""

    def __str__(self) -> str:
        if self.source:
            return f"source {self.source}"
        form = "{:.1%}" if self.descriptor in SHARES else "{:g}"
        ends = (("≥ ", self.low), ("< ", self.high))
        return f"{self.descriptor} " + " and ".join(sign + form.format(end) for sign, end in ends if np.isfinite(end))

    def holds(self, described: "pd.DataFrame") -> Mask:
        """Which rows belong to it."""
        column = described[self.descriptor].to_numpy()
        found: Mask = column == self.source if self.source else (column >= self.low) & (column < self.high)
        return found


Slice = tuple[Bin, ...]


def name(found: Slice) -> str:
    """The bins of a slice in words."""
    return ", ".join(map(str, found))


def holds(found: Slice, described: "pd.DataFrame") -> Mask:
    """Which rows belong to all bins of a slice."""
    together: Mask = np.prod([part.holds(described) for part in found], axis=0, dtype=bool)
    return together


def describe(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Descriptors of each text, and its source."""
    import pandas as pd

    texts = rows["text"].tolist()
    size = np.array([max(1, len(text)) for text in texts], dtype=np.float64)
    words = np.array([len(text.split()) for text in texts], dtype=np.float64)
    kinds = [[unicodedata.category(char) for char in text] for text in texts]
    shares = {
        called: np.array([sum(kind.startswith(prefix) for kind in row) for row in kinds]) / size
        for called, prefix in SHARES.items()
    }
    counts = {"words": words, "characters": size, "characters per word": size / np.maximum(words, 1)}
    return pd.DataFrame({**counts, **shares}).assign(source=rows["source"].to_numpy())


def bins(described: "pd.DataFrame") -> list[Bin]:
    """Quarters of each descriptor, with a bin of its own for none at all; and each source."""
    found = []
    for column in described.columns.drop("source"):
        found += [Bin(column, low, high) for low, high in _intervals(described[column].to_numpy())]
    sources = sorted(set(described["source"]))
    return found + [Bin("source", source=source) for source in sources if len(sources) > 1]


def _intervals(values: NDArray[np.float64]) -> Iterator[tuple[float, float]]:
    edges = set(_down(np.quantile(values, QUARTERS)))
    if (values == 0).any() and (values > 0).any():
        edges.add(max(0.001, float(_down(values[values > 0].min()))))
    kept = sorted(edge for edge in edges if values.min() < edge <= values.max())
    ends = [-np.inf, *kept, np.inf]
    return ((float(low), float(high)) for low, high in pairwise(ends) if kept)


def _down(values: Any) -> Any:
    """To three decimals, never upwards: a bin from the lowest value on must hold the lowest value."""
    return np.floor(np.round(values * 1000, 6)) / 1000


def search(described: "pd.DataFrame", right: Mask, settings: WorstSettings) -> list[Slice]:
    """The slices whose rows are right less often than chance would explain, the least likely first.

    A slice is a bin or two bins of different descriptors with at least `min_rows` rows; of slices that share most of
    their rows the first alone is kept. The order is that of the binomial probability of so few right answers at the
    accuracy of all rows, then of the names.
    """
    from scipy.stats import binom

    singles = bins(described)
    masks = np.array([part.holds(described) for part in singles], dtype=np.float32).reshape(len(singles), len(right))
    rows, hits = masks @ masks.T, (masks * right) @ masks.T
    pairs = [(n, n) for n in range(len(singles))] + [
        (a, b) for a, b in combinations(range(len(singles)), 2) if singles[a].descriptor != singles[b].descriptor
    ]
    enough = [pair for pair in pairs if settings.min_rows <= rows[pair] < len(right)]
    chance = {pair: float(binom.cdf(hits[pair], rows[pair], right.mean())) for pair in enough}
    candidates = {pair: tuple(singles[n] for n in sorted(set(pair))) for pair in enough}
    order = sorted(enough, key=lambda pair: (round(chance[pair], 12), name(candidates[pair])))
    chosen: list[tuple[Slice, Mask]] = []
    for pair in order:
        mask = holds(candidates[pair], described)
        if len(chosen) < settings.most and all(_jaccard(mask, other) <= ALIKE for _, other in chosen):
            chosen.append((candidates[pair], mask))
    return [found for found, _ in chosen]


def _jaccard(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))
