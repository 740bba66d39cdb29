"""Can a classifier tell the rows of two windows apart? If they are of one kind, it cannot, however it is trained.

A classifier two-sample test (Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017) whose classifier
is linear in the labels, so that it is trained anew for every permutation of them, and whose statistic looks at the top:
where a tenth of a window comes from elsewhere, the other rows say nothing. Rows count by Savage's scores of their rank
(Savage 1956, Annals of Mathematical Statistics 27:590), the locally most powerful ones for that kind of shift.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.drift.chance import POWER

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FOLDS = 5
DRAWS = 999
CHUNK = 37
"""Permutations at once; 999 are 27 chunks."""
ENOUGH = 30
"""Permutations that do as well as the true labels, after which no more are drawn: p is nowhere near an alarm."""
TOP = 0.9

Labels = NDArray[np.float32]
"""[rows of a fold, permutations], 1 for the current window."""
Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Told:
    """How well two windows are told apart, by rows that the classifier was not trained on."""

    auc: float
    """0.5 where the windows are alike."""
    p: float
    """By permutation of the labels."""
    detectable: float
    """The AUC that shows in 8 of 10 windows where every row differs a little; a few very different rows show sooner."""
    rank: NDArray[np.float64]
    """[rows], 0 to 1: the place of each row in its fold, most like the current window at the end."""
    unlike: float
    """Share of the current rows that are less like the reference than nine in ten of its own; 0.1 by chance."""


def tell_apart(
    features: "csr_matrix | NDArray[np.float32]",
    current: NDArray[np.bool_],
    level: float,
    seed: int,
    ridge: float | None = None,
) -> Told:
    """Whether rows marked `current` are told from the others by their features [rows, width].

    Without `ridge` the classifier is the difference of the two means, which suits thousands of sparse features; with
    it ridge regression on the labels. Either window needs FOLDS rows. `level` is the p that alarms.
    """
    rng = np.random.default_rng(seed)
    places = _folds(current, rng)
    parts = [features[rows] for rows in places]
    labels = [current[rows].astype(np.float32)[:, None] for rows in places]
    inverses = [None] * FOLDS if ridge is None else _inverses(parts, ridge)
    scores = _scores(parts, labels, inverses)
    value = float(_savage(scores, labels)[0])
    chance: list[float] = []
    beyond = 0
    while len(chance) < DRAWS and beyond < ENOUGH:
        drawn = [rng.permuted(np.repeat(one, CHUNK, axis=1), axis=0) for one in labels]
        chance.extend(_savage(_scores(parts, drawn, inverses), drawn).tolist())
        beyond = sum(one >= value - 1e-9 for one in chance)
    enough = float(np.mean(chance)) + (NormalDist().inv_cdf(1 - level) + POWER) * float(np.std(chance))
    return Told(
        auc=_auc(scores, labels),
        p=(1 + beyond) / (1 + len(chance)),
        detectable=enough / (1 + enough),  # the mean of Savage's scores in terms of AUC, for Lehmann's alternatives
        rank=_ranks(scores, places),
        unlike=_unlike(scores, labels),
    )


def _folds(current: NDArray[np.bool_], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Places of each fold's rows: as many of either window in each, and in an order that tells no window."""
    sides = [np.array_split(rng.permutation(np.flatnonzero(current == side)), FOLDS) for side in (False, True)]
    return [rng.permutation(np.concatenate(pair)) for pair in zip(*sides, strict=True)]


def _inverses(parts: list[Any], ridge: float) -> list[Any]:
    """Of the ridge regression's matrix, for each fold without its rows."""
    squares = [part.T @ part for part in parts]
    whole = sum(squares) + ridge * np.eye(parts[0].shape[1], dtype=np.float32)
    return [np.linalg.inv(whole - square) for square in squares]


def _scores(parts: list[Any], labels: list[Labels], inverses: list[Any]) -> list[Scores]:
    """What the classifier of all other folds says of each fold's rows."""
    share = np.concatenate(labels)[:, 0].mean()
    sums = [part.T @ (one - share) for part, one in zip(parts, labels, strict=True)]
    whole = sum(sums)
    others = [whole - own for own in sums]
    weights = [other if inverse is None else inverse @ other for other, inverse in zip(others, inverses, strict=True)]
    return [part @ weight for part, weight in zip(parts, weights, strict=True)]


def _savage(scores: list[Scores], labels: list[Labels]) -> NDArray[np.float64]:
    """[permutations], the mean of Savage's scores of the current rows: 1 by chance, and the more the higher they stand.

    Ranks are taken within a fold: no two classifiers share a scale.
    """
    total = np.zeros(labels[0].shape[1])
    for score, label in zip(scores, labels, strict=True):
        rows = len(label)
        savage = -np.log1p(-(np.arange(rows) + 0.5) / rows)
        total += savage @ np.take_along_axis(label, np.argsort(score, axis=0, kind="stable"), axis=0)
    found: NDArray[np.float64] = total / sum(label[:, 0].sum() for label in labels)
    return found


def _auc(scores: list[Scores], labels: list[Labels]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(np.mean([roc_auc_score(one[:, 0], score[:, 0]) for score, one in zip(scores, labels, strict=True)]))


def _ranks(scores: list[Scores], places: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    ranks = np.empty(sum(map(len, places)))
    for score, rows in zip(scores, places, strict=True):
        ranks[rows] = (np.argsort(np.argsort(score[:, 0], kind="stable")) + 0.5) / len(rows)
    return ranks


def _unlike(scores: list[Scores], labels: list[Labels]) -> float:
    above = 0
    for score, label in zip(scores, labels, strict=True):
        of_current = label[:, 0] > 0
        above += int((score[of_current, 0] > np.quantile(score[~of_current, 0], TOP)).sum())
    return above / int(sum(label.sum() for label in labels))
