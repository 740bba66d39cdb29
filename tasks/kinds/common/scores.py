"""Scores of predicted labels: numpy only, no files.

Labels are class indices; a confusion is counts [actual, predicted].
Macro means are over the labels that occur as actual or as predicted; a precision or recall without rows counts 0 there
(both as in scikit-learn).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

Z95 = 1.959963984540054


def confusion(actual: Indices, predicted: Indices, classes: int) -> Indices:
    """Counts [actual, predicted]."""
    counts = np.bincount(actual * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def per_class(counts: Indices) -> dict[str, Floats]:
    """Precision, recall and F1 of each label; NaN where a label occurs neither as actual nor as predicted."""
    hits = np.diag(counts).astype(np.float64)
    actual, predicted = counts.sum(axis=1), counts.sum(axis=0)
    absent = actual + predicted == 0
    scores = {
        "precision": hits / np.maximum(predicted, 1),
        "recall": hits / np.maximum(actual, 1),
        "f1": 2 * hits / np.maximum(actual + predicted, 1),
    }
    return {name: np.where(absent, np.nan, score) for name, score in scores.items()}


def macro(counts: Indices) -> dict[str, float]:
    """Macro mean of precision, recall and F1."""
    return {name: float(np.nanmean(score)) for name, score in per_class(counts).items()}


def wilson(hits: int, rows: int) -> tuple[float, float]:
    """95% Wilson score interval of a share (Wilson 1927)."""
    share, z2 = hits / rows, Z95**2
    centre = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = Z95 / (1 + z2 / rows) * np.sqrt(share * (1 - share) / rows + z2 / (4 * rows**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def mean_interval(values: Floats) -> tuple[float, float, float]:
    """Mean of `values` and its 95% interval by the normal approximation; the mean alone for one row."""
    mean = float(values.mean())
    half = Z95 * float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return mean, mean - half, mean + half


def bootstrap_f1(counts: Indices, draws: int, seed: int) -> tuple[float, float]:
    """95% percentile bootstrap interval of the macro F1."""
    low, high = np.quantile(f1_draws(counts, draws, seed), [0.025, 0.975])
    return float(low), float(high)


def f1_draws(counts: Indices, draws: int, seed: int) -> Floats:
    """Macro F1 of `draws` bootstrap resamples [draws].

    Rows matter only by their cell of the confusion, so a resample of rows is a multinomial draw of cells: the cost does
    not grow with the rows.
    """
    rng = np.random.default_rng(seed)
    actual, predicted = np.nonzero(counts)
    cells, classes = counts[actual, predicted], len(counts)
    same = actual == predicted
    values = np.empty(draws)
    for n in range(draws):
        drawn = rng.multinomial(cells.sum(), cells / cells.sum())
        both = np.bincount(actual, drawn, classes) + np.bincount(predicted, drawn, classes)
        hits = np.bincount(actual[same], drawn[same], classes)
        values[n] = (2 * hits[both > 0] / both[both > 0]).mean()
    return values


def roc_auc(actual: Indices, probabilities: Floats) -> float | None:
    """Area under the ROC curve; with more than two classes the mean, each against the rest, of classes that occur.

    None where the rows hold one class alone.
    """
    from sklearn.metrics import roc_auc_score

    present = np.unique(actual)
    if len(present) < 2:
        return None
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(actual, probabilities[:, 1]))
    return float(np.mean([roc_auc_score(actual == label, probabilities[:, label]) for label in present]))


def brier(actual: Indices, probabilities: Floats) -> Floats:
    """Brier score of each row: the squared error summed over classes, from 0 to 2 (Brier 1950)."""
    squares = (probabilities**2).sum(axis=1)
    scores: Floats = squares + 1 - 2 * probabilities[np.arange(len(actual)), actual]
    return scores


def group(actual: Indices, predicted: Indices, classes: int) -> dict[str, float | int]:
    """What is said of a slice: rows, accuracy with interval, macro F1."""
    rows, hits = len(actual), int((actual == predicted).sum())
    low, high = wilson(hits, rows)
    f1 = macro(confusion(actual, predicted, classes))["f1"]
    return {"rows": rows, "accuracy": hits / rows, "accuracy_low": low, "accuracy_high": high, "f1_macro": f1}
