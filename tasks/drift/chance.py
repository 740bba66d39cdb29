"""What chance does to two windows of the same rows: exact tests of counts, and their correction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 4_999
POWER = 0.84
"""Standard normal quantile: an effect by so many standard errors above what alarms shows in 8 of 10 windows."""

Counts = NDArray[np.int64]
Distance = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Of differences of shares [..., bins]."""


@dataclass(frozen=True)
class Compared:
    """A distance of two windows beside what chance does."""

    value: float
    p: float
    detectable: float
    """The smallest distance that 8 of 10 windows show."""


def kolmogorov_smirnov(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest gap of the cumulative shares: the rows that would have to move past one point."""
    largest: NDArray[np.float64] = np.abs(np.cumsum(gaps, axis=-1)).max(axis=-1)
    return largest


def total_variation(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of rows that would have to change."""
    half: NDArray[np.float64] = np.abs(gaps).sum(axis=-1) / 2
    return half


def compare(reference: Counts, current: Counts, distance: Distance, level: float, seed: int) -> Compared:
    """Permutation test of two histograms. Both must have rows; `level` is the p that alarms.

    Permuting the rows of both windows leaves their histogram a multivariate hypergeometric draw: drawing it is a
    permutation of all rows, however many there are.
    """
    rows = int(reference.sum()), int(current.sum())
    pooled = reference + current
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(pooled, rows[1], DRAWS, method="marginals")
    chance = distance(drawn / rows[1] - (pooled - drawn) / rows[0])
    value = float(distance(current / rows[1] - reference / rows[0]))
    error = 0.5 * float(np.sqrt(1 / rows[0] + 1 / rows[1]))
    alarm = float(np.quantile(chance, 1 - level))
    return Compared(value, _p(chance, value), min(1.0, alarm + POWER * error))


def fewer_right(reference: Counts, current: Counts, level: float) -> Compared:
    """Exact one-sided test (Fisher) that answers are right less often; [right, wrong] each, both with rows."""
    from scipy.stats import hypergeom

    rows = int(reference.sum()), int(current.sum())
    right = int(reference[0] + current[0])
    share = right / sum(rows)
    value = float(reference[0] / rows[0] - current[0] / rows[1])
    error = float(np.sqrt(share * (1 - share) * (1 / rows[0] + 1 / rows[1])))
    chance = hypergeom(sum(rows), right, rows[1])
    fewest = int(chance.ppf(level))
    alarm = (right - fewest) / rows[0] - fewest / rows[1]
    return Compared(value, float(chance.cdf(current[0])), min(1.0, max(0.0, alarm) + POWER * error))


def _p(chance: NDArray[np.float64], value: float) -> float:
    return float((1 + (chance >= value - 1e-12).sum()) / (1 + len(chance)))


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p of tests that may depend on each other in any way (Holm 1979, Scand. J. Statist. 6:65)."""
    adjusted, highest = [0.0] * len(p), 0.0
    for place, n in enumerate(sorted(range(len(p)), key=lambda n: p[n])):
        highest = max(highest, min(1.0, (len(p) - place) * p[n]))
        adjusted[n] = highest
    return adjusted
