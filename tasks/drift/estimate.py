"""Accuracy of a window: known where labels have come, else estimated from what the model's answers tell.

The estimate is ATC (Garg et al. 2022, "Leveraging unlabeled data to predict out-of-distribution performance": the share
of rows whose confidence is above the threshold that the reference's accuracy defines), less what a shift of the inputs
costs beyond the confidence that it costs. That price was fitted by benchmarks/estimates.py, which also shows what it is
worth on domains that it was not fitted on. No such estimate can be proven without labels: the interval grows with the
shift.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.drift.result import Figure
from tasks.drift.settings import MonitorSettings
from tasks.drift.window import Window

CONFIDENCE = 0.9
Z = 1.6449
PRICE = 0.11
"""Accuracy that a full shift costs beyond ATC's loss, over five domains."""
DOUBT = 0.14
"""Half of the interval at a full shift, beside what chance explains; less by the root of the shift."""
FOLDS = 3
RIDGE = 0.05  # of the mean of the squared singular values
ENOUGH = 50  # labels by which a figure is known well enough to stand alone


def accuracy(right: int, rows: int) -> Figure | None:
    """A share with its interval (Wilson 1927, two-sided 90 %); None without rows."""
    if not rows:
        return None
    from scipy.stats import binomtest

    ends = binomtest(right, rows).proportion_ci(CONFIDENCE, method="wilson")
    return Figure(value=right / rows, low=float(ends.low), high=float(ends.high), rows=rows)


def estimated(reference: Window, current: Window, settings: MonitorSettings) -> Figure | None:
    """Accuracy of all rows of the current window without a look at their labels; None where there is nothing to go by.

    The reference's rows have true labels. Rows without finite probabilities are left out.
    """
    sides = [side.take(np.flatnonzero(np.isfinite(_confidence(side)))) for side in (reference, current)]
    known = [(said, true) for said, true in zip(sides[0].label, sides[0].true_label, strict=True) if true is not None]
    if not known or not len(sides[1]):
        return None
    base = sum(said == true for said, true in known) / len(known)
    value, spread = atc(base, *(_confidence(side) for side in sides))
    moved = shift(sides[0], sides[1], settings.seed)
    middle, half = value - PRICE * moved, float(np.hypot(Z * spread, DOUBT * moved**0.5))
    low, high = _share(middle - half), _share(middle + half)
    return Figure(value=_share(middle), low=low, high=high, rows=len(sides[1]), estimated=True)


def atc(base: float, reference: NDArray[np.floating], current: NDArray[np.floating]) -> tuple[float, float]:
    """Share of the current confidences above the reference's threshold, and its standard error.

    The threshold leaves a share `base` of the reference's confidences above it; equal ones count by halves.
    """
    threshold = float(np.quantile(reference, 1 - base))
    above = float((current > threshold).mean() + (current == threshold).mean() / 2)
    error = np.sqrt(above * (1 - above) / len(current) + base * (1 - base) / len(reference))
    return above, float(error)


def shift(reference: Window, current: Window, seed: int) -> float:
    """How well a linear classifier of embeddings tells the windows apart: 0 not at all, 1 surely (2 AUC - 1).

    Length and punctuation are left out: texts of the same source in another form cost nothing.
    """
    values = np.concatenate([reference.projection, current.projection]).astype(np.float64)
    values = values[:, np.isfinite(values).all(axis=0)]
    side = np.r_[np.zeros(len(reference)), np.ones(len(current))]
    if min(len(reference), len(current)) < FOLDS or not values.shape[1]:
        return 0.0
    values = (values - values.mean(axis=0)) / np.where((spread := values.std(axis=0)) > 0, spread, 1)
    fold = np.random.default_rng(seed).permutation(len(side)) % FOLDS
    scores = np.empty(len(side))
    for n in range(FOLDS):
        scores[fold == n] = values[fold == n] @ _direction(values[fold != n], side[fold != n])
    return max(0.0, 2 * _auc(scores, side) - 1)


def cost(reference: Figure | None, known: Figure | None, estimated: Figure | None) -> Figure | None:
    """Accuracy lost against the reference; None where nothing tells.

    By labels where at least ENOUGH have come, else by the estimate and the labels there are, each weighted by how
    narrow its interval is.
    """
    if reference is None or (found := _best(known, estimated)) is None:
        return None
    lost = reference.value - found.value
    half = float(np.hypot((reference.high - reference.low) / 2, (found.high - found.low) / 2))
    return Figure(value=lost, low=lost - half, high=lost + half, rows=found.rows, estimated=found.estimated)


def _best(known: Figure | None, estimated: Figure | None) -> Figure | None:
    if known is None or estimated is None or known.rows >= ENOUGH:
        return known or estimated
    figures = (known, estimated)
    weights = np.array([1 / max(figure.high - figure.low, 1e-3) ** 2 for figure in figures])
    weights /= weights.sum()
    middle, low, high = (
        float(sum(w * getattr(figure, name) for w, figure in zip(weights, figures, strict=True)))
        for name in ("value", "low", "high")
    )
    return Figure(value=middle, low=low, high=high, rows=known.rows + estimated.rows, estimated=True)


def _confidence(window: Window) -> NDArray[np.float32]:
    """The highest probability of each row; NaN where there is none."""
    finite = np.where(np.isfinite(window.probabilities), window.probabilities, -np.inf)
    highest: NDArray[np.float32] = finite.max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(highest), highest, np.nan)


def _direction(values: NDArray[np.float64], side: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ridge regression on the side, both sides weighing the same."""
    weight = np.where(side == 1, 1 / max(side.mean(), 1e-9), 1 / max(1 - side.mean(), 1e-9))
    weighted: Any = values * weight[:, None]
    gram = values.T @ weighted
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    direction: NDArray[np.float64] = np.linalg.solve(gram, weighted.T @ (side - 0.5))
    return direction


def _auc(scores: NDArray[np.float64], side: NDArray[np.float64]) -> float:
    """Area under the ROC curve (Mann and Whitney 1947), ties by halves."""
    from scipy.stats import rankdata

    ones = int(side.sum())
    ranks = rankdata(scores)[side == 1].sum()
    return float((ranks - ones * (ones + 1) / 2) / (ones * (len(side) - ones)))


def _share(value: float) -> float:
    return float(min(1.0, max(0.0, value)))
