"""Accuracy of a window: known where labels have come, else estimated from what the model's answers tell.

The estimate is ATC (Garg et al. 2022, "Leveraging unlabeled data to predict out-of-distribution performance": the share
of rows whose confidence is above the threshold that the reference's accuracy defines), less what a shift of the inputs
costs beyond the confidence that it costs. That price was fitted by benchmarks/estimates.py, which also shows what it is
worth on domains that it was not fitted on. No such estimate can be proven without labels: the interval grows with the
shift.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.drift import words
from tasks.drift.result import Figure
from tasks.drift.settings import MonitorSettings
from tasks.drift.window import Window

CONFIDENCE = 0.9
Z = 1.6449
PRICE = 0.125
"""Accuracy that a full shift costs beyond ATC's loss, over five domains."""
DOUBT = 0.14
"""Half of the 90 % prediction interval for one more domain at a full shift, beside chance; less by the shift's root."""
FOLDS = 3
RIDGE = 0.05  # of the mean of the squared singular values
FIFTHS = 5
LIKE = 10  # rows of the reference about as long, below which length is not kept out
TEXTS = 5_000  # of either window: letters cost a second for so many
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
    """How much of the current window is about something else: 0 nothing, 1 all of it.

    2 AUC - 1 of linear classifiers that tell the windows apart, by embeddings and by the letters of the texts; the
    smaller of the two, or the first alone where there are no texts. Letters know neither case nor punctuation, which
    move embeddings and cost nothing; and rows are compared with rows about as long, for longer texts of the same source
    are no other texts.
    """
    embedded = _told_apart(reference, current, _standardised, _ridge, seed)
    sides = [_texts(window, seed) for window in (reference, current)]
    if not embedded or not all(map(len, sides)):
        return embedded
    return min(embedded, _told_apart(sides[0], sides[1], _letters, _difference, seed))


def _told_apart(
    reference: Window,
    current: Window,
    features: Callable[[Window, Window], Any],
    direction: Callable[[Any, NDArray[np.float64]], NDArray[np.float64]],
    seed: int,
) -> float:
    """2 AUC - 1 out of fold, at least 0; 0 where there is nothing to learn from."""
    if min(len(reference), len(current)) < FOLDS:
        return 0.0
    values = features(reference, current)
    if not values.shape[1]:
        return 0.0
    side = np.r_[np.zeros(len(reference)), np.ones(len(current))]
    fold = np.random.default_rng(seed).permutation(len(side)) % FOLDS
    scores = np.empty(len(side))
    for n in range(FOLDS):
        found = values[fold == n] @ direction(values[fold != n], side[fold != n])
        scores[fold == n] = (found - found.mean()) / max(found.std(), 1e-6)
    length = np.r_[reference.characters, current.characters]
    return max(0.0, 2 * _auc_among_like(scores, side, length) - 1)


def _auc_among_like(scores: NDArray[np.float64], side: NDArray[np.float64], length: NDArray[np.int32]) -> float:
    """Area under the ROC curve among rows of about the same length, each fifth of the current rows weighing the same.

    Where the reference has hardly a row so long, all rows are compared.
    """
    edges = np.quantile(length[side == 1], np.arange(FIFTHS + 1) / FIFTHS)
    part = np.searchsorted(edges[1:-1], length, side="right")
    part[(length < edges[0]) | (length > edges[-1])] = FIFTHS
    found = []
    for n in range(FIFTHS):
        among = part == n
        rows = int(side[among].sum())
        if rows and int(among.sum()) - rows < LIKE:
            among = np.ones_like(among)
        if rows:
            found.append((rows, _auc(scores[among], side[among])))
    return sum(rows * auc for rows, auc in found) / sum(rows for rows, _ in found)


def _texts(window: Window, seed: int) -> Window:
    """The rows with a text; of many, a sample."""
    there = np.array([n for n, text in enumerate(window.text) if text is not None and text.strip()], np.int64)
    if len(there) > TEXTS:
        there = np.sort(np.random.default_rng(seed).choice(there, TEXTS, replace=False))
    return window.take(there)


def _standardised(reference: Window, current: Window) -> NDArray[np.float64]:
    values = np.concatenate([reference.projection, current.projection]).astype(np.float64)
    values = values[:, np.isfinite(values).all(axis=0)]
    found: NDArray[np.float64] = (values - values.mean(axis=0)) / np.where((s := values.std(axis=0)) > 0, s, 1)
    return found


def _letters(reference: Window, current: Window) -> Any:
    """[rows, n-grams] by tf-idf of runs of three and four letters, across the words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = ["".join(words.tokens(text or "")) for text in [*reference.text, *current.text]]
    vectorizer = TfidfVectorizer(
        analyzer="char", ngram_range=(3, 4), min_df=2, max_features=words.TERMS, sublinear_tf=True, dtype=np.float32
    )
    try:
        return vectorizer.fit_transform(texts).tocsr()
    except ValueError:  # sklearn's word for an empty vocabulary
        return np.empty((len(texts), 0))


def _difference(values: Any, side: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the two means: with thousands of sparse features nothing is better for its price."""
    ones, zeros = (np.asarray(values[side == one].mean(axis=0)).ravel() for one in (1, 0))
    found: NDArray[np.float64] = ones - zeros
    return found


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


def _ridge(values: NDArray[np.float64], side: NDArray[np.float64]) -> NDArray[np.float64]:
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
