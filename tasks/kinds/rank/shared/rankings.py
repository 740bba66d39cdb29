"""Lists of items held against what users liked: numpy only, no files.

Targets are the items that a user likes later, by number, the first of them first; every user has one at least.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

TOP = 10
HELD = 4_000_000  # scores at once


def together(items: int) -> int:
    """Users whose scores of all items are held at once: some 200 MB with what is made of them, at any size."""
    return max(1, HELD // items)


def top(scores: NDArray[np.floating], k: int = TOP) -> Indices:
    """[rows, k], the items with the highest scores, the best first; of equals the first by number."""
    k = min(k, scores.shape[1])
    lists = np.empty((len(scores), k), dtype=np.int64)
    if not k:
        return lists
    least = np.partition(scores, -k, axis=1)[:, -k]
    for row, bar, listed in zip(scores, least, lists, strict=True):
        best = np.flatnonzero(row >= bar)
        listed[:] = best[np.argsort(-row[best], kind="stable")[:k]]
    return lists


def first(probabilities: NDArray[np.float32]) -> tuple[Indices, NDArray[np.float32]]:
    """What is kept of probabilities over all items: those of the first TOP, [rows, TOP], and which these are.

    -1, with a probability of nought, where no item is left that the user does not have.
    """
    best = top(probabilities)
    chances = np.take_along_axis(probabilities, best, axis=1)
    return np.where(chances > 0, best, -1), chances


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
