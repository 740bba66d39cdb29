"""Methods of recommendation, their settings chosen on validation, and their lists held against what users liked."""

import sys
import time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from project import Figures
from recommenders import LIKED, SEED, Floats, Known, popularity
from sklearn.model_selection import ParameterGrid

from tasks.kinds.rank.shared import rankings
from tasks.resampled import interval
from tasks.split import SIDES

Lists = NDArray[np.intp]

TOP = 10
DRAWS = 2000


def known(rows: pd.DataFrame, judged: str) -> Known:
    """What stands before a side, and what of that side is liked."""
    shape = rows["user"].max() + 1, rows["item"].max() + 1
    before = rows[rows["side"].isin(SIDES[: SIDES.index(judged)])]
    liked = rows[(rows["side"] == judged) & (rows["rating"] >= LIKED)]
    rating, age, target = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
    rating[before["user"], before["item"]] = before["rating"]
    age[before["user"], before["item"]] = before.groupby("user").cumcount(ascending=False)
    target[liked["user"], liked["item"]] = True
    return Known(rating, age, target)


def chosen(rows: pd.DataFrame, scores: Any, grid: dict[str, list[Any]]) -> Figures:
    """Choose a method's settings on validation; the lists of the judged users of test with these alone."""
    start = time.perf_counter()
    validation, test = (known(rows, side) for side in SIDES[1:])
    tried = list(ParameterGrid(grid))
    values = [ndcg(listed(scores(validation, **one), validation), validation).mean() for one in tried]
    best = tried[int(np.argmax(values))]
    found = listed(scores(test, **best), test).tolist()
    seconds = time.perf_counter() - start
    print(f"{scores.__name__}: {len(tried)} settings in {seconds:.0f} s", file=sys.stderr, flush=True)
    return {"settings": best, "tried": len(tried), "validation": max(values), "seconds": seconds, "lists": found}


def listed(scores: Floats, data: Known) -> Lists:
    """[judged users, TOP], the best items first, none that the user rated; ties by the item's number.

    Who rated nothing gets what is popular.
    """
    users = data.target.any(axis=1)
    scores = np.where(data.rating.any(axis=1, keepdims=True), scores, popularity(data))
    return rankings.top(np.where(data.rating[users] > 0, -np.inf, scores[users]), TOP)


def _hits(lists: Lists, data: Known) -> tuple[Floats, Floats]:
    """Whether an item is a target [judged users, TOP], and the number of targets [judged users]."""
    target = data.target[data.target.any(axis=1)]
    return np.take_along_axis(target, lists, axis=1).astype(np.float64), target.sum(axis=1)


def ndcg(lists: Lists, data: Known) -> Floats:
    """[judged users]; the best list has as many targets in front as there are, TOP at most."""
    found, targets = _hits(lists, data)
    discounts = 1 / np.log2(np.arange(2, TOP + 2))
    return found @ discounts / np.cumsum(discounts)[np.minimum(targets, TOP).astype(int) - 1]


def figures(lists: Lists, data: Known, base: Floats, ours: Floats) -> Figures:
    """Each figure as (value, low, high); `less_base` and `ours_less` are differences of NDCG of the same users."""
    found, targets = _hits(lists, data)
    gained = ndcg(lists, data)
    means = {
        "ndcg": gained,
        "recall": found.sum(axis=1) / targets,
        "less_base": gained - base,
        "ours_less": ours - gained,
    }
    return {name: mean(values) for name, values in means.items()} | {
        "new": int((~data.rating.any(axis=1) & data.target.any(axis=1)).sum()),
        "coverage": _coverage(lists, data.rating.shape[1]), "users": len(lists), "items": data.rating.shape[1],
    }  # fmt: skip


def mean(values: Floats) -> list[float]:
    """(mean, low, high)"""
    sums = np.column_stack([values, np.ones(len(values))])
    found = interval(sums, lambda drawn: drawn[..., 0] / drawn[..., 1], DRAWS, SEED) or {}
    return [found[key] for key in ("value", "low", "high")]


def _coverage(lists: Lists, items: int) -> list[float]:
    """The share of the items that stand in any list."""
    rng = np.random.default_rng(SEED)
    drawn = [len(np.unique(lists[rng.integers(len(lists), size=len(lists))])) / items for _ in range(DRAWS)]
    value, half = len(np.unique(lists)) / items, 1.96 * float(np.std(drawn))
    return [value, value - half, value + half]
