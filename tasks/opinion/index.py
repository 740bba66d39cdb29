"""The opinion index: scores of headlines, weighted by volume and smoothed over days, with an interval."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.float64]
"""[days], one figure a day without gaps."""

LEAST = 1.0
"""Weight of all headlines together below which there is no index: as much as one of today."""
PRIOR_VARIANCE = 1 / 3
"""Of a score of which only its range -1 to 1 is known."""


class Tally(NamedTuple):
    """What headlines of each day say, with copies counted once."""

    headlines: Days
    scores: Days
    """Their sum; a score is sum(value of label k x probability of k), from -1 to 1."""
    squares: Days
    """The sum of their squares."""


class Index(NamedTuple):
    """The index of each day; NaN where there is none."""

    value: Days
    low: Days
    high: Days
    weight: Days
    """Headlines behind it, old ones in part."""


def opinion_index(tally: Tally, half_life: float, confidence: float) -> Index:
    """Exponentially smoothed mean score per headline, so that a day weighs by its volume.

    With d = 2^(-1 / half_life), n_t headlines of day t, and S_t, Q_t the sums of their scores and of the squares:

        W_t = d W_{t-1} + n_t,   A_t = d A_{t-1} + S_t,   B_t = d B_{t-1} + Q_t,   V_t = d^2 V_{t-1} + n_t
        index = A_t / W_t
        interval = index +- t(confidence; m - 1) sqrt(v / m),   m = W_t^2 / V_t  (Kish's effective sample size)
        v = (W_t (B_t / W_t - index^2) + PRIOR_VARIANCE) / (W_t + 1)

    One score of unknown spread is added to the variance, so that equal scores do not make it zero; both ends stay
    within -1 and 1. It takes headlines for independent: the same text sent on is to be counted once. NaN where W_t is
    below LEAST: old headlines say nothing of today.
    """
    from scipy.stats import t

    decay = 2.0 ** (-1.0 / half_life)
    weight, scores, squares = (_smoothed(days, decay) for days in tally)
    spread = _smoothed(tally.headlines, decay**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = scores / weight
        effective = weight**2 / spread
        variance = (weight * np.maximum(squares / weight - value**2, 0) + PRIOR_VARIANCE) / (weight + 1)
        quantile = t.ppf((1 + confidence) / 2, np.maximum(effective - 1, 1))
        margin = quantile * np.sqrt(variance / effective)
    known = weight >= LEAST
    value, margin = np.where(known, value, np.nan), np.where(known, margin, np.nan)
    return Index(value, np.maximum(value - margin, -1), np.minimum(value + margin, 1), weight)


def _smoothed(days: Days, decay: float) -> Days:
    from scipy.signal import lfilter

    smoothed: Days = lfilter([1.0], [1.0, -decay], days)
    return smoothed
