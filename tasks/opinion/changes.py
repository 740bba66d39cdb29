"""Changes that are more than chance: more negatives, more headlines, a run of negatives; each with its false alarms."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MONTH = 30
"""Days."""
PATHS = 4_000
"""Simulated months behind a limit."""
STEP = 0.02
"""To which a usual share of negatives is rounded up: the limits of some dozen shares are simulated, not of each."""
GROWTH = 1.25
"""By which the volumes of which limits are simulated grow."""
CAUTION = 1.0
"""Standard errors by which the usual share of negatives is taken for higher than it was seen."""
RAREST = 0.02
"""The rate below which a limit is not simulated: too few of the months would tell."""
LARGEST = 4_000
"""Headlines a month from which on a limit is taken from fewer, and grows with the logarithm of their number."""


class Usual(NamedTuple):
    """What an entity's baseline days say."""

    negatives: float
    """Share of negatives among the headlines."""
    headlines: float
    """A day."""
    score: float
    """Mean."""
    spread: float
    """Variance of a day's negatives over that of independent headlines, 1 or more."""
    variance: float
    """Of the headlines a day, an upper bound."""
    days: int


def usual(headlines: NDArray[np.float64], negatives: NDArray[np.float64], scores: NDArray[np.float64]) -> Usual:
    """The baseline of days [days] of counts and of sums of scores. There is at least one headline among them.

    The share is that with one negative and one other headline added (Laplace), and CAUTION standard errors. `spread` is
    Pearson's chi-square over its degrees of freedom, which is above 1 where negatives come together. The variance of
    the volume is raised to what 9 in 10 such baselines would stay below, were it normal.
    """
    from scipy.stats import chi2

    total, days = float(headlines.sum()), len(headlines)
    share = (float(negatives.sum()) + 1) / (total + 2)
    busy = headlines > 0
    expected = headlines[busy] * share
    chi = float(((negatives[busy] - expected) ** 2 / (expected * (1 - share))).sum())
    spread = max(1.0, chi / max(1, int(busy.sum()) - 1))
    high = share + CAUTION * math.sqrt(spread * share * (1 - share) / total)
    variance = float(headlines.var(ddof=1)) if days > 1 else float(headlines[0])
    variance *= (days - 1) / float(chi2.ppf(0.1, days - 1)) if days > 1 else 1
    return Usual(min(high, 0.9), total / days, float(scores.sum()) / total, spread, variance, days)


def worse(share: float, odds: float) -> float:
    """The share of negatives whose odds are so many times those of `share`."""
    return odds * share / (1 - share + odds * share)


def evidence(negative: NDArray[np.bool_], share: float, odds: float, spread: float) -> NDArray[np.float64]:
    """The log-likelihood ratio of each headline for `worse(share, odds)` against `share`, divided by the spread."""
    changed = worse(share, odds)
    ratios: NDArray[np.float64] = (
        np.where(negative, math.log(changed / share), math.log((1 - changed) / (1 - share))) / spread
    )
    return ratios


def limit(share: float, odds: float, headlines: float, rate: float) -> float:
    """The height of a CUSUM of `evidence` that is reached in a month at the rate, at most, while nothing changes.

    `headlines` is how many come in a day, `rate` how many alarms a month are borne. By simulation of months, each
    behind another one without alarm: the height that a share of `rate` of them reaches (Page 1954 for the statistic).
    Shares are rounded up to STEP and volumes up to powers of GROWTH. Beyond what is simulated a height grows by the
    logarithm of the volume, and of the rarity: a log-likelihood ratio exceeds h by chance e^-h times as often.
    """
    monthly = max(1.0, headlines * MONTH)
    rounded = min(LARGEST, math.ceil(GROWTH ** math.ceil(math.log(monthly, GROWTH))))
    height = _simulated(grid(share), odds, rounded, min(max(rate, RAREST), 0.5))
    return height + max(0.0, math.log(monthly / LARGEST)) + max(0.0, math.log(RAREST / rate))


def grid(share: float) -> float:
    """The share of which limits are simulated: the next multiple of STEP above."""
    return min(0.98, math.ceil(share / STEP - 1e-9) * STEP)


@lru_cache(maxsize=4096)
def _simulated(share: float, odds: float, headlines: int, rate: float) -> float:
    rng = np.random.default_rng([headlines, round(share / STEP)])
    changed = worse(share, odds)
    up, down = math.log(changed / share), math.log((1 - changed) / (1 - share))
    height, highest = np.zeros(PATHS), np.zeros(PATHS)
    for n in range(2 * headlines):
        height = np.maximum(0, height + np.where(rng.random(PATHS) < share, up, down))
        if n >= headlines:
            np.maximum(highest, height, out=highest)
    return float(np.quantile(highest, 1 - rate, method="higher"))


def burst(headlines: float, known: Usual) -> float:
    """The chance that a day brings so many headlines or more while nothing changes.

    Negative binomial with the baseline's mean and variance, to which that of the mean is added; where the variance is
    no larger than the mean, nearly Poisson's.
    """
    from scipy.stats import nbinom

    mean = known.headlines + 0.5 / known.days
    variance = max(known.variance, mean) * (1 + 1 / known.days)
    size = mean**2 / max(variance - mean, 1e-9 * mean)
    return float(nbinom.sf(math.ceil(headlines) - 1, size, size / (size + mean)))


def longest_run(known: Usual, rate: float) -> int:
    """The length of a run of negatives that comes at the rate a month, at most, while nothing changes.

    In n headlines a run of length L begins some n E[(1 - p) p^L] times. Where negatives come together by days, p is a
    day's: a beta variable with the baseline's mean share, and the correlation within a day that explains its spread.
    """
    within = min(0.9, (known.spread - 1) / max(1.0, known.headlines - 1))
    monthly = max(1.0, known.headlines * MONTH)
    expected, length = 1.0, 0
    a, b = (share * (1 - within) for share in (known.negatives, 1 - known.negatives))
    while length == 0 or (monthly + length) * expected * b / (a + b + within * length) > rate:
        expected *= (a + within * length) / (a + b + within * length)
        length += 1
    return length
