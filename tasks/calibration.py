"""Calibration: probabilities that mean what they say. Fitted on validation, judged on test; numpy only, no files.

A calibration is a mapping as it stands in calibration.json, one of

- `{"method": "temperature", "temperature": T}`: softmax(logits / T), Guo et al. 2017;
- `{"method": "vector", "weights": [...], "bias": [...]}`: softmax(weights * logits + bias), one of each per class;
- `{"method": "isotonic", "knots": [{"x": [...], "y": [...]} per class]}`: the softmax probability of each class through
  a piecewise linear curve (constant outside its knots, x strictly increasing, y > 0), then divided by the row's sum.

Logits are float arrays [rows, classes], labels are class indices [rows], probabilities are float64 [rows, classes].
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

FOLDS = 5  # of the cross-validation that chooses a method
ENOUGH = 100  # validation rows below which no choice is made
CLEARLY = 1.0  # standard errors by which another method must beat temperature (the rule of Breiman et al. 1984)
BLOCK = 4_000_000  # logits that are looked at together
MOST = 50_000  # validation rows looked at; more would cost minutes with many classes and tell no more


class Judgement(NamedTuple):
    """How well confidence is calibrated: three figures, and one value per bin by rising confidence."""

    ece: float
    ece_debiased: float
    band_high: float
    rows: Floats
    confidence: Floats
    accuracy: Floats
    low: Floats  # the 95% band of a perfectly calibrated model's accuracy
    high: Floats

    @property
    def inside_band(self) -> bool:
        """Whether a perfectly calibrated model would often look this bad."""
        return self.ece_debiased <= self.band_high


def softmax(logits: ArrayLike) -> Floats:
    """Row-wise softmax that does not overflow."""
    z = np.asarray(logits, dtype=np.float64)
    exponent = np.exp(z - z.max(axis=1, keepdims=True))
    total: Floats = exponent / exponent.sum(axis=1, keepdims=True)
    return total


def apply(calibration: Mapping[str, Any], logits: ArrayLike) -> Floats:
    """Calibrated probabilities [rows, classes] of logits [rows, classes]. Raises ValueError on an unknown method."""
    z = np.asarray(logits, dtype=np.float64)
    match calibration["method"]:
        case "temperature":
            return softmax(z / calibration["temperature"])
        case "vector":
            return softmax(z * np.asarray(calibration["weights"]) + np.asarray(calibration["bias"]))
        case "isotonic":
            columns = zip(softmax(z).T, calibration["knots"], strict=True)
            curves = np.column_stack([np.interp(p, knots["x"], knots["y"]) for p, knots in columns])
            total: Floats = curves / curves.sum(axis=1, keepdims=True)
            return total
        case method:
            raise ValueError(f"calibration method {method!r} is unknown; known are temperature, vector and isotonic")


def fit(
    logits: ArrayLike, labels: ArrayLike, method: str = "auto", seed: int = 0
) -> tuple[dict[str, Any], dict[str, float]]:
    """The calibration that suits validation rows, and the cross-validated log loss of each method looked at.

    `auto` takes temperature scaling, which has one parameter and keeps every label. Another method takes its place
    only where its gain in log loss, row by row over `FOLDS` folds, is more than `CLEARLY` standard error of that gain.
    With fewer than `ENOUGH` rows or with one class alone nothing can be told apart, and it stays with temperature.
    Of more than `MOST` rows a sample is taken.
    """
    z, y = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if len(y) > MOST:
        sample = np.random.default_rng(seed).choice(len(y), MOST, replace=False)
        z, y = z[sample], y[sample]
    if method != "auto":
        return _FITS[method](z, y), {}
    if len(y) < ENOUGH or len(np.unique(y)) < 2:
        return fit_temperature(z, y), {}
    losses = {name: _out_of_fold(name, z, y, seed) for name in _FITS}
    gains = {name: losses["temperature"] - loss for name, loss in losses.items() if name != "temperature"}
    clear = {n: g.mean() for n, g in gains.items() if g.mean() > CLEARLY * g.std(ddof=1) / np.sqrt(len(y))}
    best = max(clear, key=lambda name: clear[name]) if clear else "temperature"
    return _FITS[best](z, y), {name: float(loss.mean()) for name, loss in losses.items()}


def row_losses(probabilities: Floats, labels: Indices) -> Floats:
    """Log loss of each row in nats; a probability of 0 counts as the smallest step of a float."""
    chosen = probabilities[np.arange(len(labels)), labels]
    losses: Floats = -np.log(np.maximum(chosen, np.finfo(np.float64).eps))
    return losses


def _out_of_fold(method: str, z: Floats, y: Indices, seed: int) -> Floats:
    """Log loss of each row under a calibration fitted on the other folds."""
    fold = np.random.default_rng(seed).permutation(len(y)) % FOLDS
    losses = np.empty(len(y))
    for n in range(FOLDS):
        held = fold == n
        losses[held] = row_losses(apply(_FITS[method](z[~held], y[~held]), z[held]), y[held])
    return losses


def fit_temperature(z: Floats, y: Indices) -> dict[str, Any]:
    """Temperature by maximum a posteriori, with log T ~ N(0, 1): a prior that weighs as much as one row.

    It keeps T finite where every row is right, and is not seen where there are many rows.
    """
    from scipy.optimize import minimize_scalar

    size = max(1, BLOCK // z.shape[1])

    def loss(log_t: float) -> float:
        parts = [slice(start, start + size) for start in range(0, len(y), size)]
        losses = [row_losses(softmax(z[rows] * np.exp(-log_t)), y[rows]) for rows in parts]
        return float(np.concatenate(losses).sum() + log_t**2 / 2)

    found = minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-7})
    return {"method": "temperature", "temperature": float(np.exp(found.x))}


def fit_vector(z: Floats, y: Indices) -> dict[str, Any]:
    """Vector scaling by maximum a posteriori: log weights and biases ~ N(temperature's, 1)."""
    from scipy.optimize import minimize

    classes = z.shape[1]
    start = np.r_[np.full(classes, -np.log(fit_temperature(z, y)["temperature"])), np.zeros(classes)]

    def loss(theta: Floats) -> tuple[float, Floats]:
        weights, bias = np.exp(theta[:classes]), theta[classes:]
        residual = softmax(z * weights + bias)
        value = row_losses(residual, y).sum() + ((theta - start) ** 2).sum() / 2
        residual[np.arange(len(y)), y] -= 1
        gradient = np.r_[(residual * z).sum(axis=0) * weights, residual.sum(axis=0)]
        return float(value), gradient + theta - start

    theta = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return {"method": "vector", "weights": np.exp(theta[:classes]).tolist(), "bias": theta[classes:].tolist()}


def fit_isotonic(z: Floats, y: Indices) -> dict[str, Any]:
    """Isotonic regression per class (Zadrozny and Elkan 2002) on equal-mass bins of its probability.

    There are rows^(1/3) bins, at most 32: as many as a curve drawn through bin means can bear without following chance.
    Probabilities are rounded to 0.001 first, so that no two knots lie closer than float32 arithmetic can serve.
    """
    probabilities = softmax(z).round(3)
    knots = [_isotonic_knots(p, y == n) for n, p in enumerate(probabilities.T)]
    return {"method": "isotonic", "knots": knots}


def _isotonic_knots(p: Floats, hit: NDArray[np.bool_]) -> dict[str, list[float]]:
    """One knot per level of the isotonic fit. Each bin is pulled to its own mean by a share of one row: y > 0."""
    from sklearn.isotonic import isotonic_regression

    rows, x, rate = bin_means(p, hit, bins=min(32, round(len(p) ** (1 / 3))))
    pull = 1 / len(rows)
    levels = isotonic_regression((rate * rows + pull * np.clip(x, 1e-6, 1)) / (rows + pull), sample_weight=rows + pull)
    _, level = np.unique(levels, return_inverse=True)
    mass = np.bincount(level, weights=rows)
    centre = np.bincount(level, weights=rows * x) / mass
    return {"x": centre.tolist(), "y": (np.bincount(level, weights=rows * levels) / mass).tolist()}


_FITS = {"temperature": fit_temperature, "vector": fit_vector, "isotonic": fit_isotonic}


def bin_means(x: ArrayLike, hit: ArrayLike, bins: int = 15) -> tuple[Floats, Floats, Floats]:
    """Equal-mass bins of `x`: rows, mean of `x` and mean of `hit` in each, by rising `x`.

    Equal values share a bin, so that the order of rows decides nothing; there are fewer bins than asked for then, and
    where a bin would get under ten rows.
    """
    x, hit = np.asarray(x, dtype=np.float64), np.asarray(hit, dtype=np.float64)
    bins = max(1, min(bins, len(x) // 10))
    edges = np.unique(np.sort(x)[np.arange(1, bins) * len(x) // bins])
    place = np.searchsorted(edges, x, side="right")
    rows = np.bincount(place)
    mass = rows[rows > 0].astype(np.float64)
    mean_x, mean_hit = (np.bincount(place, weights=w)[rows > 0] / mass for w in (x, hit))
    return mass, mean_x, mean_hit


def ece(rows: Floats, confidence: Floats, accuracy: Floats) -> Floats:
    """Plug-in expected calibration error over bins (last axis): mean |accuracy - confidence|, weighted by rows."""
    total: Floats = (rows * np.abs(accuracy - confidence)).sum(axis=-1) / rows.sum()
    return total


def ece_debiased(rows: Floats, confidence: Floats, accuracy: Floats) -> Floats:
    """ECE less the part that chance alone brings in, not below 0; bins on the last axis.

    Kumar, Liang and Ma 2019 (Verified Uncertainty Calibration), debiased by resampling each bin's accuracy from
    N(accuracy, accuracy (1 - accuracy) / rows): ECE - (mean ECE of resamples - ECE). The mean over resamples is that of
    a folded normal and is taken in closed form here, per bin with gap d and standard error s:
    s sqrt(2 / pi) exp(-d^2 / 2 s^2) + d (1 - 2 Phi(-d / s)).
    """
    from scipy.special import ndtr

    gap = np.abs(accuracy - confidence)
    error = np.sqrt(accuracy * (1 - accuracy) / rows)
    ratio = gap / np.maximum(error, 1e-12)
    resampled = error * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + gap * (1 - 2 * ndtr(-ratio))
    total: Floats = np.maximum((rows * (2 * gap - resampled)).sum(axis=-1) / rows.sum(), 0.0)
    return total


def judge(confidence: ArrayLike, correct: ArrayLike, bins: int = 15, draws: int = 1000, seed: int = 0) -> Judgement:
    """Hold the confidence of predicted labels against whether they were right, and against a perfect model.

    A perfectly calibrated model's labels are drawn `draws` times from the bins' confidences (binomial, so the cost
    does not grow with the rows). `band_high` is the 95% point of its debiased ECE.
    """
    rows, mean, accuracy = bin_means(confidence, correct, bins)
    chance = np.clip(mean, 0, 1)
    perfect = np.random.default_rng(seed).binomial(rows.astype(np.int64), chance, size=(draws, len(rows))) / rows
    low, high = np.quantile(perfect, [0.025, 0.975], axis=0)
    return Judgement(
        ece=float(ece(rows, mean, accuracy)),
        ece_debiased=float(ece_debiased(rows, mean, accuracy)),
        band_high=float(np.quantile(ece_debiased(rows, mean, perfect), 0.95)),
        rows=rows, confidence=mean, accuracy=accuracy, low=low, high=high,
    )  # fmt: skip
