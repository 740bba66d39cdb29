"""Counts over all rows of a window, streamed: what the cheap checks compare, in the reference's own bins."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.drift.window import Window

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BINS = 32
"""Quantiles of the reference: a shift that shows at all shows between two of them."""
OTHER = "(other)"
BEGINNING = 100
"""Characters of a text that are tokenized: they tell how its words are known, and no tokenizer cuts them off."""

Counts = NDArray[np.int64]
Values = NDArray[Any] | Sequence[str]
Reader = Callable[[Window], Mapping[str, Values]]
"""Some properties of a window's rows by name, each with one value a row."""


@dataclass
class Numbers:
    """A property that is a number."""

    edges: NDArray[np.float64]
    """Rising. The bins: up to the first, up to the second, ..., above the last, and last those that are no number."""
    reference: Counts
    current: Counts

    @classmethod
    def of(cls, values: Values) -> "Numbers":
        """Bins of these values, the reference's, filled with them."""
        numbers = np.asarray(values, np.float64)
        known = numbers[np.isfinite(numbers)]
        shares = np.linspace(0, 1, BINS + 1)
        edges = np.unique(np.quantile(known, shares, method="inverted_cdf")) if len(known) else known
        empty = np.zeros(len(edges) + 2, np.int64)
        return cls(edges, cls(edges, empty, empty).count(values), empty)

    def count(self, values: Values) -> Counts:
        """Rows in each bin."""
        numbers = np.asarray(values, np.float64)
        places = np.where(np.isnan(numbers), len(self.edges) + 1, np.searchsorted(self.edges, numbers))
        return np.bincount(places, minlength=len(self.edges) + 2).astype(np.int64)

    def median(self, counts: Counts) -> float:
        """The edge that half of the rows do not exceed; NaN without rows. Rows above the last edge count as on it."""
        known = np.cumsum(counts[:-1])
        if not len(self.edges) or not known[-1]:
            return float("nan")
        return float(self.edges[min(int(np.searchsorted(known, known[-1] / 2)), len(self.edges) - 1)])


@dataclass
class Categories:
    """A property with a few values."""

    names: list[str]
    """Those of the reference, and OTHER for all that it does not know."""
    reference: Counts
    current: Counts

    @classmethod
    def of(cls, values: Values) -> "Categories":
        """The values of the reference, and how many rows have each."""
        names = [*sorted(set(values) - {OTHER}), OTHER]
        empty = np.zeros(len(names), np.int64)
        return cls(names, cls(names, empty, empty).count(values), empty)

    def count(self, values: Values) -> Counts:
        """Rows of each category."""
        found = Counter(values)
        known = [found[name] for name in self.names[:-1]]
        return np.array([*known, len(values) - sum(known)], np.int64)


Column = Numbers | Categories


@dataclass
class Tallies:
    """The reference's counts, and those of the current window as far as its chunks were added."""

    columns: dict[str, Column]
    right: dict[str, Counts]
    """`reference` and `current`: rows with a true label whose answer was right, and wrong."""
    reader: Reader
    rows: int = 0
    """Of the current window."""

    @classmethod
    def of(cls, reference: Window, reader: Reader | None = None) -> "Tallies":
        """Bins of the reference's quantiles and categories, filled with the reference; nothing of the current yet."""
        read = reader or cheap
        made = {name: _column(values) for name, values in read(reference).items()}
        return cls(made, {"reference": _right(reference), "current": np.zeros(2, np.int64)}, read)

    def add(self, chunk: Window) -> "Tallies":
        """Count rows of the current window; itself."""
        for name, values in self.reader(chunk).items():
            self.columns[name].current = self.columns[name].current + self.columns[name].count(values)
        self.right["current"] = self.right["current"] + _right(chunk)
        self.rows += len(chunk)
        return self


def cheap(window: Window) -> dict[str, Values]:
    """What needs no text."""
    return {
        "length": window.characters,
        "characters": window.non_letters,
        "language": window.script,
        "prediction": window.label,
        "confidence": confidence(window),
    }


def confidence(window: Window) -> NDArray[np.float64]:
    """[rows], the probability of the answer; NaN where there is none."""
    probabilities = np.asarray(window.probabilities, np.float64)
    highest = np.where(np.isnan(probabilities), -np.inf, probabilities).max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(highest), highest, np.nan)


def tokenized(tokenizer: "Tokenizer") -> Reader:
    """A reader of tokens per character and of the share of tokens that stand for what the tokenizer does not know."""
    unknown = getattr(tokenizer.model, "unk_token", None)
    code = tokenizer.token_to_id(unknown) if unknown is not None else None

    def read(window: Window) -> dict[str, Values]:
        texts = [(text or "")[:BEGINNING] for text in window.text]
        encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        tokens = np.array([len(one) for one in encoded], np.float64)
        strange = np.array([one.ids.count(code) if code is not None else 0 for one in encoded], np.float64)
        characters = np.array([sum(map(len, text.split())) for text in texts], np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {"tokens": tokens / characters, "unknown": strange / tokens}

    return read


def _column(values: Values) -> Column:
    return Numbers.of(values) if isinstance(values, np.ndarray) else Categories.of(values)


def _right(window: Window) -> Counts:
    known = [(label, true) for label, true in zip(window.label, window.true_label, strict=True) if true is not None]
    right = sum(label == true for label, true in known)
    return np.array([right, len(known) - right], np.int64)
