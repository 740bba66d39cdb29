"""The label model: what the functions' votes say together, each weighed by how often it is right."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.weak.functions import ABSTAINS

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

EASED = 10.0  # rows as good as which the accuracy that is assumed counts beside rows with a known label
PULL = (1.0, 2.0)  # weight of what is assumed or known of a function against its own votes: without, with known rows
MARGIN = 0.01  # no function is taken for one that is always right, or no better than a guess
ROUNDS, STEADY = 200, 1e-6


@dataclass(frozen=True)
class LabelModel:
    """How often each function is right where it votes, and how often each label is the true one."""

    accuracy: Floats
    """[functions]"""
    shares: Floats
    """[classes]"""

    def posterior(self, votes: Codes) -> Floats:
        """[rows, classes], the probability of each label given the votes [rows, functions].

        Functions err independently of each other, and an error falls on each wrong label alike: naive Bayes, where a
        vote adds ln(a (K - 1) / (1 - a)) to the logit of its label. Where all abstain it is `shares`.
        """
        classes = len(self.shares)
        scores = np.tile(np.log(self.shares), (len(votes), 1))
        for place, right in enumerate(self.accuracy):
            rows = np.flatnonzero(votes[:, place] != ABSTAINS)
            scores[rows, votes[rows, place]] += np.log(right * (classes - 1) / (1 - right))
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        result: Floats = scores / scores.sum(axis=1, keepdims=True)
        return result


def fit(votes: Codes, known: Codes, classes: int, assumed: float, shares: Floats | None = None) -> LabelModel:
    """The label model by expectation maximisation (one accuracy a function, after Dawid and Skene 1979).

    `votes` is [rows, functions] and `known` [rows], the label that people gave or ABSTAINS. Each function has an
    anchor: its accuracy where labels are known, eased towards `assumed`. The anchor weighs as many rows as the function
    votes on without a known label, or twice as many where there are known ones: functions that seldom meet each other
    would drift to whatever fits best. `shares` are those of the known labels, eased by one row each, or even.
    """
    people = known != ABSTAINS
    voted = votes != ABSTAINS
    right = (votes == known[:, None]) & voted
    seen = (voted & people[:, None]).sum(axis=0)
    anchor = ((right & people[:, None]).sum(axis=0) + EASED * assumed) / (seen + EASED)
    if shares is None:
        counts = np.bincount(known[people], minlength=classes) + 1.0
        shares = counts / counts.sum()
    left, own = votes[~people], voted[~people]
    pull = np.where(seen > 0, PULL[1], PULL[0])
    model = LabelModel(_bounded(anchor, classes), shares)
    for _ in range(ROUNDS):
        hits = _expected(left, model.posterior(left))
        rows = own.sum(axis=0)
        estimate = (hits + pull * rows * anchor) / np.maximum((1 + pull) * rows, 1)
        updated = _bounded(np.where(rows > 0, estimate, anchor), classes)
        steady = np.abs(updated - model.accuracy).max(initial=0) < STEADY
        model = LabelModel(updated, shares)
        if steady:
            break
    return model


def _expected(votes: Codes, posterior: Floats) -> Floats:
    """[functions], the votes that are right, in expectation."""
    places = np.maximum(votes, 0)
    agreed: Any = np.take_along_axis(posterior, places, axis=1) * (votes != ABSTAINS)
    result: Floats = agreed.sum(axis=0)
    return result


def _bounded(accuracy: Floats, classes: int) -> Floats:
    """Between better than a guess and not always right."""
    return np.clip(accuracy, 1 / classes + MARGIN, 1 - MARGIN)
