"""Known methods of recommendation, to compare with: each gives scores [users, items], the best highest."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

LIKED = 4.0
SEED = 0


@dataclass(frozen=True, eq=False)
class Known:
    """What is known when lists are made, and what should be in them; all [users, items]."""

    rating: Floats
    """0 where there is none."""
    age: Floats
    """How many ratings the user gave after this one."""
    target: NDArray[np.bool_]

    def binary(self, least: float) -> Floats:
        """1 where the rating is `least` or more and there is one."""
        return ((self.rating > 0) & (self.rating >= least)).astype(np.float64)


def popularity(data: Known) -> Floats:
    """How many like an item."""
    return np.tile(data.binary(LIKED).sum(axis=0), (len(data.rating), 1))


def item_knn(data: Known, least: float, neighbours: int, shrink: float) -> Floats:
    """Cosines of the `neighbours` items nearest to an item, added up over those that the user has.

    `shrink` is added to the product of the norms, against cosines of few users.
    """
    used, x, together = _together(data, least)
    norms = np.sqrt(together.diagonal())
    cosines = together / (norms[:, None] * norms + shrink)
    np.fill_diagonal(cosines, 0)
    if neighbours < len(used):
        least_kept = np.partition(cosines, -neighbours, axis=1)[:, -neighbours]  # rows are columns, and faster
        cosines[cosines < least_kept] = 0
    scores = np.zeros(data.rating.shape, dtype=np.float32)
    scores[:, used] = x @ cosines
    return scores


@lru_cache(maxsize=1)
def _together(data: Known, least: float) -> tuple[NDArray[np.intp], Floats, Floats]:
    """The items that anyone has, who has them [users, items], and how many have both of two [items, items]."""
    history = data.binary(least)
    used = np.flatnonzero(history.any(axis=0))
    x = history[:, used].astype(np.float32)
    return used, x, x.T @ x


def ease(data: Known, least: float, weight: float, history: Floats | None = None) -> Floats:
    """Scores of a history [users, items], by default the one that is learned from (Steck 2019, equation 8)."""
    x = data.binary(least)
    history = x if history is None else history
    inner, diagonal = _inverted(data, least, weight)
    return history - (history - (history @ x.T) @ inner) / diagonal


@lru_cache(maxsize=8)
def _inverted(data: Known, least: float, weight: float) -> tuple[Floats, Floats]:
    """What the inverse P of the items' Gram matrix is made of, and its diagonal.

    P follows from the inverse of the users' Gram matrix (Woodbury): there are fewer users.
    """
    x = data.binary(least)
    inner = np.linalg.solve(x @ x.T + weight * np.eye(len(x)), x)
    return inner, 1 - np.einsum("ui,ui->i", x, inner)


def ease_recent(data: Known, least: float, weight: float, recency: tuple[float, float], rates: Any) -> Floats:
    """EASE where a history weighs by age and rating; what was learned from weighs as in `ease`.

    `recency` is (ratings after which the weight falls by e, the weight that never falls away), `rates` the weight of
    what was rated (below 3, from 3 to below 4); likes have 1.
    """
    scale, floor = recency
    rated = np.select([data.rating >= LIKED, data.rating >= 3, data.rating > 0], [1.0, rates[1], rates[0]])
    return ease(data, least, weight, rated * (floor + (1 - floor) * np.exp(-data.age / scale)))


def als(data: Known, least: float, factors: int, regularization: float, alpha: float) -> Floats:
    """Implicit ALS (Hu, Koren and Volinsky 2008)."""
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):  # implicit has threads of its own
        model = AlternatingLeastSquares(factors, regularization, alpha, iterations=15, random_state=SEED)
        model.fit(csr_matrix(data.binary(least).astype(np.float32)), show_progress=False)
    return np.asarray(model.user_factors @ model.item_factors.T)


LEAST = [0, LIKED]  # learn from all that was rated, or from what was liked
METHODS: dict[str, tuple[Callable[..., Floats], dict[str, list[Any]]]] = {
    "popularity": (popularity, {}),
    "item-kNN": (item_knn, {"least": LEAST, "neighbours": [20, 50, 100, 200, 400], "shrink": [0, 10, 50]}),
    "ALS": (als, {"least": LEAST, "factors": [32, 64, 128], "regularization": [10, 30, 100], "alpha": [1, 5, 20]}),
    "EASE": (ease, {"least": LEAST, "weight": [50, 100, 200, 400, 800, 1600]}),
    "EASE, recent": (
        ease_recent,
        {
            "least": [LIKED], "weight": [200, 400, 800],
            "recency": [(scale, floor) for scale in (5, 10, 20, 40) for floor in (0.0, 0.2)],
            "rates": [(0.0, 0.0), (0.0, 0.3), (-0.3, 0.0), (-0.3, 0.3)],
        },
    ),
}  # fmt: skip
