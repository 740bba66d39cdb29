"""The opinion index: its formula, and that its interval holds what it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.opinion.index import Tally, opinion_index


def tally(days):
    """Of lists of scores, one a day."""
    sums = [(len(day), sum(day), sum(score * score for score in day)) for day in days]
    return Tally(*np.array(sums, float).T)


def test_the_formula_by_hand():
    found = opinion_index(tally([[1, 1], [], [-1]]), half_life=1, confidence=0.95)
    assert found.weight == pytest.approx([2, 1, 1.5])
    assert found.value == pytest.approx([1, 1, (0.5 * 0.5 * 2 - 1) / 1.5])
    assert (found.low < found.value).all()
    assert found.high[:2] == pytest.approx([1, 1])


def test_no_headlines_no_index_and_old_ones_fade():
    found = opinion_index(tally([[], [0.5], [], []]), half_life=1, confidence=0.95)
    assert np.isnan(found.value).tolist() == [True, False, True, True]
    assert np.isnan(found.low).tolist() == [True, False, True, True]


def test_a_day_weighs_by_its_volume():
    found = opinion_index(tally([[-1] * 9, [1]]), half_life=1e9, confidence=0.95)
    assert found.value[1] == pytest.approx(-0.8)


@pytest.mark.parametrize("volume", [2, 10])
def test_the_interval_covers_the_true_mean(volume):
    rng = np.random.default_rng(0)
    shares, values, days, rounds = [0.2, 0.5, 0.3], np.array([-0.9, 0.05, 0.8]), 40, 800
    truth = float(np.dot(shares, values))
    inside = 0
    for _ in range(rounds):
        counts = rng.poisson(volume, days)
        made = tally([rng.choice(values, n, p=shares) for n in counts])
        found = opinion_index(made, half_life=3, confidence=0.95)
        inside += found.low[-1] <= truth <= found.high[-1]
    assert 0.93 <= inside / rounds <= 0.98


@given(st.lists(st.lists(st.floats(-1, 1), max_size=5), min_size=1, max_size=20), st.floats(0.1, 50))
def test_it_stays_within_its_range(days, half_life):
    found = opinion_index(tally(days), half_life, 0.95)
    known = ~np.isnan(found.value)
    assert (found.low[known] >= -1).all()
    assert (found.high[known] <= 1).all()
    assert (found.low[known] <= found.value[known] + 1e-9).all()
    assert (found.value[known] <= found.high[known] + 1e-9).all()
