"""The list that a user gets: the best items, none that the user has, varied where that is asked for, and why each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.kinds.rank.shared.catalogue import Catalogue, Floats

CONSIDERED = 10  # items that compete for a place of a varied list, for each place that it has
REASONS = 3

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Wanted:
    """What a list is to be like."""

    top: int
    """Items at most."""
    exclude_seen: bool = True
    """Without the items of the history."""
    diversity: float = 0.0
    """From 0, the best items, to 1, the most different ones."""


@dataclass(frozen=True)
class Reason:
    """An item of the history that speaks for an item of the list."""

    item: str
    text: str
    share: float
    """Of all that speaks for it."""


@dataclass(frozen=True)
class Listed:
    """An item of a list."""

    item: str
    text: str
    score: float
    """Its calibrated probability to be the next that the user likes."""
    reasons: list[Reason]
    """The items of the history that speak for it, the first the most; none where its popularity alone does."""


def varied(scores: Floats, vectors: Floats, top: int, diversity: float) -> list[int]:
    """The places of up to `top` candidates, which stand in the order of their `scores`.

    With `diversity` from 0 to 1 by maximal marginal relevance (Carbonell and Goldstein 1998): each place goes to the
    item whose score, as a share of the range that the candidates have, less its greatest cosine to an item before it,
    is highest. `vectors` are [candidates, width].
    """
    if not diversity or len(scores) <= 1:
        return [*range(min(top, len(scores)))]
    span = max(float(scores[0] - scores[-1]), 1e-12)
    relevance = (scores - scores[-1]) / span
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.maximum(lengths, 1e-12)
    cosines = units @ units.T
    chosen = [0]
    nearest = cosines[0].astype(np.float64)
    while len(chosen) < min(top, len(scores)):
        worth = (1 - diversity) * relevance - diversity * nearest
        worth[chosen] = -np.inf
        chosen.append(int(worth.argmax()))
        nearest = np.maximum(nearest, cosines[chosen[-1]])
    return chosen


def reasons(catalogue: Catalogue, parts: Floats, history: Sequence[int], item: int) -> list[Reason]:
    """The items of a history that speak most for an item.

    A user's vector is a sum over the history, so that what each place of it adds to the score is exact: `parts`
    [places, width] are the summands of the items `history` [places].
    """
    added = parts @ catalogue.outward[item]
    gain = np.where(added > 0, added, 0)
    best = np.argsort(-gain, kind="stable")[:REASONS]
    return [
        Reason(catalogue.ids[history[at]], catalogue.texts[history[at]], float(gain[at] / gain.sum()))
        for at in best
        if gain[at] > 0
    ]
