"""Which rows without a label would tell most, if people labelled them."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Why = Literal["at random", "unsure", "unfamiliar"]
WHYS: tuple[Why, ...] = ("at random", "unsure", "unfamiliar")
FARTHEST = 0.2
"""The share of rows, farthest from the reference, of which unfamiliar ones are drawn: the very farthest are often no
sentences at all."""
REFERENCE_ROWS = 5_000


def most_telling(
    text: Sequence[str],
    margin: NDArray[np.float32],
    projection: NDArray[np.float32],
    reference: NDArray[np.float32],
    rows: int,
    seed: int = 0,
) -> list[tuple[int, Why]]:
    """Places of at most `rows` rows and why each, in the order in which they should be labelled; no text twice.

    `margin` is the probability between a row's first two labels; `projection` and `reference` are projected embeddings.
    A third is drawn at random from all rows, and on these alone accuracy can be estimated. The others are by turns rows
    between whose first two labels the model hardly decides, and rows far from all that the release knows, where there
    are projections. All are mixed, so that who stops early has some of each.
    """
    rng = np.random.default_rng(seed)
    places = np.array(sorted({each: n for n, each in enumerate(text)}.values()), np.int64)
    if not len(places):
        return []
    drawn = rng.permutation(places)[: -(-rows // 3)]
    left = np.setdiff1d(places, drawn)
    unsure = left[np.argsort(margin[left], kind="stable")]
    unfamiliar = rng.permutation(_farthest(left, projection[left], reference, rng))
    chosen: dict[int, Why] = {}
    for turn in zip_longest(drawn, unsure, unfamiliar):
        for why, place in zip(WHYS, turn, strict=True):
            if place is not None and len(chosen) < rows:
                chosen.setdefault(int(place), why)
    return list(chosen.items())


def _farthest(
    places: NDArray[np.int64], projection: NDArray[np.float32], reference: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The share of the rows that lies farthest from its nearest row of the reference."""
    from sklearn.neighbors import NearestNeighbors

    if not len(reference) or not len(places) or not projection.shape[1] or np.isnan(projection).any():
        return places[:0]
    known = reference[rng.permutation(len(reference))[:REFERENCE_ROWS]]
    distance = NearestNeighbors(n_neighbors=1).fit(known).kneighbors(projection)[0][:, 0]
    most = max(1, int(FARTHEST * len(places)))
    return places[np.argsort(-distance, kind="stable")[:most]]
