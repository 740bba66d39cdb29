"""Lists of items held against what users liked: numpy only, no files.

Targets are the items that a user likes later, by number, the first of them first; every user has one at least.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

TOP = 10


def top(scores: NDArray[np.floating], k: int = TOP) -> Indices:
    """[rows, k], the items with the highest scores, the best first; of equals the first by number."""
    k = min(k, scores.shape[1])
    if k < scores.shape[1]:
        least = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
        scores = np.where(scores >= least, scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int64)


def hits(lists: Indices, targets: Sequence[Indices]) -> NDArray[np.bool_]:
    """[rows, places], whether each place of a list is a target."""
    return np.array([np.isin(row, wanted) for row, wanted in zip(lists, targets, strict=True)], dtype=np.bool_)


def ndcg(lists: Indices, targets: Sequence[Indices]) -> Floats:
    """[rows], discounted gain by that of the best list there is (Jarvelin and Kekalainen 2002)."""
    discounts = 1 / np.log2(np.arange(2, lists.shape[1] + 2))
    best = np.cumsum(discounts)
    sizes = np.array([min(len(wanted), lists.shape[1]) for wanted in targets])
    found: Floats = hits(lists, targets) @ discounts / best[sizes - 1]
    return found


def recall(lists: Indices, targets: Sequence[Indices]) -> Floats:
    """[rows], the share of the targets that are in the list."""
    found: Floats = hits(lists, targets).sum(axis=1) / np.array([len(wanted) for wanted in targets])
    return found


def reciprocal(lists: Indices, targets: Sequence[Indices]) -> Floats:
    """[rows], one over the place of the first target, 0 where there is none in the list: its mean is MRR."""
    found = hits(lists, targets)
    return np.where(found.any(axis=1), 1 / (1 + found.argmax(axis=1)), 0.0)
