"""The change detectors: false alarms at the stated rate or below, and changes found."""

import numpy as np
import pytest

from tasks.opinion.changes import MONTH, burst, evidence, grid, limit, longest_run, usual, worse

BASE = 60


def months(volume, share, rate, count, spread=None, seed=0):
    """Of simulated months without a change the share that alarms, by detector; `spread`: a beta's size by days."""
    rng = np.random.default_rng(seed)
    found = dict.fromkeys(("drop", "burst", "run"), 0)
    for _ in range(count):
        said = rng.poisson(volume, BASE + MONTH)
        chance = share if spread is None else rng.beta(share * spread, (1 - share) * spread, len(said))
        negatives = rng.binomial(said, chance)
        known = usual(said[:BASE].astype(float), negatives[:BASE].astype(float), np.zeros(BASE))
        marks = [rng.permutation(np.arange(n) < k) for n, k in zip(said[BASE:], negatives[BASE:], strict=True)]
        marks = np.concatenate(marks)
        heights = evidence(marks, grid(known.negatives), 3, known.spread)
        sums = np.concatenate([[0], np.cumsum(heights)])
        found["drop"] += (sums - np.minimum.accumulate(sums)).max() >= limit(known.negatives, 3, known.headlines, rate)
        found["burst"] += any(burst(n, known) <= rate / MONTH for n in said[BASE:])
        longest = max(map(len, "".join("x" if mark else " " for mark in marks).split()), default=0)
        found["run"] += longest >= longest_run(known, rate)
    return {name: hits / count for name, hits in found.items()}


@pytest.mark.parametrize("volume", [3, 20])
@pytest.mark.parametrize("spread", [None, 12], ids=["independent", "by days"])
def test_false_alarms_stay_at_the_stated_rate(volume, spread):
    rate, count = 0.1, 400
    bound = rate + 2 * (rate * (1 - rate) / count) ** 0.5
    assert max(months(volume, 0.15, rate, count, spread).values()) <= bound


def test_they_are_not_kept_by_being_blind():
    known = usual(np.full(60, 10.0), np.full(60, 1.0), np.zeros(60))
    height = limit(known.negatives, 3, 10, 0.02)
    bad = evidence(np.arange(24) % 2 == 0, grid(known.negatives), 3, known.spread)  # half of 24, not a tenth
    assert bad.sum() > height
    assert burst(30, known) < 1e-4
    assert longest_run(known, 0.02) <= 7


def test_the_baseline_knows_days_on_which_negatives_come_together():
    even = usual(np.full(60, 10.0), np.full(60, 2.0), np.full(60, 3.0))
    clumped = usual(np.full(60, 10.0), np.tile([0.0, 0.0, 0.0, 0.0, 10.0], 12), np.full(60, 3.0))
    assert even.spread == 1
    assert clumped.spread > 5
    assert clumped.negatives > even.negatives > 0.2
    assert even.score == pytest.approx(0.3)
    assert longest_run(clumped, 0.1) > longest_run(even, 0.1)


def test_a_day_among_busy_and_silent_days_is_no_burst():
    weekly = np.tile([20.0, 20, 20, 20, 20, 1, 1], 9)
    assert burst(24, usual(weekly, weekly * 0, weekly * 0)) > 0.02
    flat = np.full(63, weekly.mean())
    assert burst(24, usual(flat, flat * 0, flat * 0)) < 0.02


def test_limits_are_the_same_each_time_and_grow_with_what_is_asked():
    first = limit(0.2, 3, 10, 0.05)
    assert first == limit(0.2, 3, 10, 0.05)
    assert first < limit(0.2, 3, 40, 0.05)
    assert first < limit(0.2, 3, 10, 0.01)
    assert limit(0.2, 3, 10, 0.02) < limit(0.2, 3, 10, 0.0002)
    assert worse(0.5, 3) == pytest.approx(0.75)
