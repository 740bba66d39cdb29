"""How popular each item was, at any time: features that know nothing of what came later."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Floats = NDArray[np.float32]

POINTS = 64  # of time, at even shares of the events, at which features are told
RECENT = 30 * 86_400  # seconds that count as recent
WIDTH = 5
LIKES = 1  # the feature that tells how often an item was liked


@dataclass(frozen=True)
class Timeline:
    """Features of items at points of time."""

    points: NDArray[np.float64]
    """[points], seconds, rising."""
    features: Floats
    """[points + 1, items, WIDTH], first those before the first point: none of the events has been. The logarithms of
    how often an item was chosen, was liked, and was chosen in the last 30 days; the share that liked it; and whether
    nobody chose it yet; each less its mean, in standard deviations."""

    def at(self, times: NDArray[np.float64]) -> Indices:
        """The last point that is no later, by its place in `features`."""
        return np.searchsorted(self.points, times, side="right").astype(np.int64)


def timeline(items: Indices, liked: NDArray[np.bool_], times: NDArray[np.float64], count: int) -> Timeline:
    """The timeline of events [events], of `count` items; an event counts from the first point on that is no earlier."""
    points = np.unique(np.quantile(times, np.linspace(0, 1, POINTS)))
    after = np.searchsorted(points, times, side="left")

    def counted(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        table = np.zeros((len(points) + 1, count))
        np.add.at(table, (after + 1, items), weights)
        return table.cumsum(axis=0)

    chosen, likes = counted(np.ones(len(items))), counted(liked.astype(np.float64))
    earlier = np.concatenate([[0], np.searchsorted(points, points - RECENT, side="right")])
    recent = chosen - chosen[earlier]
    features = np.stack(
        [np.log1p(chosen), np.log1p(likes), np.log1p(recent), (likes + 2) / (chosen + 4), chosen == 0], axis=-1
    ).astype(np.float32)
    told = features[1:].reshape(-1, WIDTH)
    spread = told.std(axis=0)
    return Timeline(points, (features - told.mean(axis=0)) / np.where(spread > 0, spread, 1))
