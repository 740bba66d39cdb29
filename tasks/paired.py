"""Two models on the same rows: intervals and tests of their difference. Counts in, numbers out, no files.

Differences are challenger less champion. Of accuracy they follow from counts alone: `won` rows that only the challenger
gets right, `lost` rows that only the champion gets right, and all `rows`.
"""

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Outcome = Literal["better", "not worse", "worse", "undecided"]
Weights = NDArray[np.int64]
Floats = NDArray[np.float64]

EDGE = 1e-10  # keeps the root search off the estimate itself, where the score equation may hold as well
MOST_ROWS = 10_000_000  # a number of rows beyond it is no advice
CHUNK = 100  # resamples at once


def tango(won: float, lost: float, rows: float, confidence: float) -> tuple[float, float]:
    """Two-sided score interval of the difference of two paired shares (Tango 1998, Statistics in Medicine 17:891).

    Every difference that the score test does not reject. Holds at `won` = `lost` = 0 and at all other corners, and
    stays within -1 and 1. Counts need not be whole numbers.
    """
    if not (rows > 0 and min(won, lost) >= 0 and won + lost <= rows and 0 < confidence < 1):
        raise ValueError(f"no counts of paired rows: won {won}, lost {lost}, rows {rows}, confidence {confidence}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    return _lowest(won, lost, rows, z), -_lowest(lost, won, rows, z)


def _lowest(won: float, lost: float, rows: float, z: float) -> float:
    """The lower end: the difference at which the score statistic is `z`."""
    from scipy.optimize import brentq

    observed = (won - lost) / rows
    if observed - EDGE <= -1:
        return -1.0

    def beyond(difference: float) -> float:
        spread = math.sqrt(rows * _variance(won, lost, rows, difference))
        return rows * (observed - difference) - z * spread

    return float(brentq(beyond, -1.0, observed - EDGE, xtol=1e-12))


def _variance(won: float, lost: float, rows: float, difference: float) -> float:
    """Of one row's difference, where `difference` is true and all else is most likely (Tango 1998, eq. 24 to 26)."""
    a = 2 * rows
    b = -won - lost + (2 * rows - won + lost) * difference
    c = -lost * difference * (1 - difference)
    share_lost = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    return max(0.0, 2 * share_lost + difference * (1 - difference))


def mcnemar(won: int, lost: int) -> float:
    """Exact two-sided p of McNemar's test that neither model is right more often; 1 where they never differ."""
    from scipy.stats import binomtest

    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def bca(
    counts: Weights, statistic: Callable[[Weights], Floats], confidence: float, draws: int, seed: int
) -> tuple[float, float]:
    """Two-sided BCa bootstrap interval (Efron 1987, JASA 82:171) of a statistic of rows that matter by their cell.

    `counts` [cells] are the rows of each cell, at least 1; `statistic` turns resampled counts [draws, cells] into
    values [draws]. A resample of rows is then a multinomial draw of cells, so that the cost does not grow with the
    rows. The percentile interval where BCa is not defined: all values on one side of the estimate, or no row that moves
    it.
    """
    estimate = float(statistic(counts[None])[0])
    values = np.concatenate([statistic(drawn) for drawn in _resamples(counts, draws, seed)])
    below = float(((values < estimate).mean() + (values <= estimate).mean()) / 2)
    acceleration = _acceleration(counts, statistic)
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if 0 < below < 1 and acceleration is not None:
        tails = _corrected(tails, NormalDist().inv_cdf(below), acceleration)
    low, high = np.quantile(values, tails)
    return float(low), float(high)


def _resamples(counts: Weights, draws: int, seed: int) -> Iterator[Weights]:
    rng = np.random.default_rng(seed)
    rows = counts.sum()
    for start in range(0, draws, CHUNK):
        yield rng.multinomial(rows, counts / rows, size=min(CHUNK, draws - start))


def _acceleration(counts: Weights, statistic: Callable[[Weights], Floats]) -> float | None:
    """From the jackknife, where rows of one cell leave the same value behind; None where no row changes anything."""
    cells = np.arange(len(counts))
    parts = [counts - (part[:, None] == cells) for part in np.array_split(cells, len(cells) // CHUNK + 1)]
    left = np.concatenate([statistic(part) for part in parts])
    gaps = np.average(left, weights=counts) - left
    spread = float((counts * gaps**2).sum())
    return float((counts * gaps**3).sum()) / (6 * spread**1.5) if spread > 1e-20 else None


def _corrected(tails: Floats, bias: float, acceleration: float) -> Floats:
    """The tails that are read off the resamples instead, for bias and skew."""
    normal = NormalDist()
    moved = [bias + normal.inv_cdf(tail) for tail in tails.tolist()]
    return np.array([normal.cdf(bias + z / (1 - acceleration * z)) for z in moved])


def outcome(low: float, high: float, margin: float) -> Outcome:
    """What an interval of the difference says, where a loss up to `margin` is borne."""
    if low > 0:
        return "better"
    if low > -margin:
        return "not worse"
    return "worse" if high < -margin else "undecided"


def rows_needed(interval: Callable[[float], tuple[float, float]], rows: int, margin: float) -> int | None:
    """The fewest rows, in all, that would decide, if more of them were of the same kind.

    `interval` gives the interval that so many rows would have; it must close in on one point. None where ten million do
    not decide: the difference is all but the margin itself.
    """

    def decided(number: int) -> bool:
        return outcome(*interval(number), margin) != "undecided"

    if not decided(MOST_ROWS):
        return None
    below, enough = rows, MOST_ROWS
    while enough - below > 1:
        middle = (below + enough) // 2
        below, enough = (below, middle) if decided(middle) else (middle, enough)
    return enough


def narrowed(difference: float, low: float, high: float, times: float) -> tuple[float, float]:
    """An interval as it would be with `times` the rows: its arms shrink with the root."""
    return difference - (difference - low) / math.sqrt(times), difference + (high - difference) / math.sqrt(times)
