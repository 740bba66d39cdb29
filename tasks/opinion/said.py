"""What was said of one entity: its headlines in the order of their time, and their sums by days."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.opinion.index import Tally

DAY = 86_400_000_000
"""Microseconds."""


@dataclass(frozen=True)
class Said:
    """Headlines of one entity, oldest first, copies left out. All arrays are [headlines]."""

    ids: NDArray[np.object_]
    times: NDArray[np.int64]
    """Microseconds since 1970, UTC."""
    scores: NDArray[np.float64]
    negative: NDArray[np.bool_]
    texts: NDArray[np.object_]

    @property
    def days(self) -> NDArray[np.int64]:
        """Days since 1970, UTC."""
        return self.times // DAY

    def by_day(self, first: int, last: int) -> tuple[Tally, NDArray[np.float64]]:
        """The tally of the days from `first` to `last`, and the negatives of each."""
        inside = (self.days >= first) & (self.days <= last)
        place, scores = self.days[inside] - first, self.scores[inside]
        length = last - first + 1
        sums = [np.bincount(place, weights, length) for weights in (None, scores, scores**2, self.negative[inside])]
        counts, total, squares, negatives = (one.astype(np.float64) for one in sums)
        return Tally(counts, total, squares), negatives
