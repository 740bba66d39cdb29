import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from tasks import floors
from tasks.kinds.common import scores


def right(hits, rows):
    return np.arange(rows) < hits


def judged(*claims, level=0.05):
    return floors.judge([floors.accuracy("c", right(hits, rows), floor) for hits, rows, floor in claims], level)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.99))
def test_p_and_interval_are_those_of_independent_code(share, floor):
    hits, rows = share
    claim = floors.accuracy("c", right(hits, rows), floor)
    assert claim.p == pytest.approx(binom.cdf(hits, rows, floor))
    low, high = proportion_confint(hits, rows, alpha=0.1, method="beta")
    assert (claim.low, claim.high) == pytest.approx((0 if hits == 0 else low, 1 if hits == rows else high))


def test_holm_as_worked_by_hand():
    # 0.01 x 4, 0.02 x 3, then 0.03 x 2 = 0.06 (not below what came before), 0.04 x 1 raised to 0.06
    assert floors.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert floors.holm([]) == []


@settings(max_examples=10, deadline=None)  # statsmodels takes a tenth of a second
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p):
    assert floors.holm(p) == pytest.approx(multipletests(p, method="holm")[1])


@pytest.mark.parametrize(
    ("hits", "rows", "floor", "expected"),
    [
        (900, 1000, 0.85, "pass"),
        (900, 1000, 0.95, "reject"),
        (90, 100, 0.87, "cannot tell"),
        (85, 100, 0.88, "cannot tell"),
    ],
)
def test_the_three_outcomes(hits, rows, floor, expected):
    (check,) = judged((hits, rows, floor))
    assert check.outcome == expected
    assert (check.rows_needed is None) == (expected != "cannot tell")


def test_company_makes_it_harder_to_reject():
    alone, *_ = judged((83, 100, 0.9))
    crowded, *_ = judged((83, 100, 0.9), *[(90, 100, 0.9)] * 9)
    assert (alone.outcome, crowded.outcome) == ("reject", "cannot tell")
    assert crowded.rows_needed > 100


def test_a_slice_without_rows_or_at_its_floor_cannot_be_told():
    (empty,), (even,) = judged((0, 0, 0.9)), judged((90, 100, 0.9))
    assert (empty.outcome, empty.value, empty.note) == ("cannot tell", None, "no test row belongs to it")
    assert (even.outcome, even.rows_needed) == ("cannot tell", None)


@given(st.integers(20, 200), st.floats(0, 1), st.floats(0.05, 0.95))
def test_the_rows_needed_are_the_least_that_tell(rows, rate, floor):
    needed = floors.rows_for_rate(rate, rows, floor)
    if needed is None:
        assert rate == pytest.approx(floor, abs=1e-3)
        return

    def spans(n):
        if rate > floor:
            return beta.ppf(0.05, rate * n, n - rate * n + 1) < floor
        return beta.ppf(0.95, rate * n + 1, n - rate * n) >= floor

    assert not spans(needed)
    assert needed == rows or spans(needed - 1)


def test_rows_for_a_mean_follow_the_square_root():
    assert floors.rows_for_mean(0.8, 0.9, 100, 0.85) == 400
    assert floors.rows_for_mean(0.8, 0.9, 100, 0.8) is None
    assert floors.rows_for_mean(0.8, 0.9, 100, 0.85, tail=0.005) > 400


def test_a_model_at_all_its_floors_is_rejected_in_at_most_the_level():
    rng, rounds = np.random.default_rng(0), 2000
    hits = rng.binomial(300, 0.85, size=(rounds, 8))
    p = binom.cdf(hits, 300, 0.85)
    rejected = np.mean([min(floors.holm(row)) < 0.05 for row in p])
    assert 0.01 < rejected <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / rounds)


def test_a_slice_below_its_floor_is_found_nearly_always():
    rng = np.random.default_rng(1)
    found = [judged((rng.binomial(400, 0.75), 400, 0.85), (360, 400, 0.85))[0].outcome for _ in range(100)]
    assert found.count("reject") >= 95


def f1(accuracy, floor, rows=400, seed=0):
    rng = np.random.default_rng(seed)
    actual = rng.integers(0, 3, rows)
    predicted = np.where(rng.random(rows) < accuracy, actual, (actual + 1) % 3)
    counts = scores.confusion(actual, predicted, 3)
    draws = scores.f1_draws(counts, 1000, seed)
    return floors.drawn("c", scores.macro(counts)["f1"], draws, actual == predicted, floor)


def test_the_bootstrap_gives_interval_and_p():
    low, high = f1(0.8, 0.9), f1(0.8, 0.7)
    assert low.low < low.value < low.high < 0.9
    assert low.p == pytest.approx(1 / 1001)
    assert high.p > 0.99
    assert [check.outcome for check in floors.judge([low, high], 0.05)] == ["reject", "pass"]


def test_f1_at_its_floor_is_rejected_in_about_the_level():
    rejected = np.mean([f1(0.8, 0.8, rows=300, seed=seed).p < 0.05 for seed in range(60)])
    assert rejected <= 0.13  # three standard errors above 0.05


def test_draws_without_spread_claim_no_certainty():
    claim = floors.drawn("c", 1.0, np.ones(1000), np.ones(5, dtype=bool), 0.9)
    assert claim.low == pytest.approx(0.05 ** (1 / 5))
    assert floors.judge([claim], 0.05)[0].outcome == "cannot tell"


def test_a_mean_under_its_ceiling():
    values = np.random.default_rng(0).normal(0.2, 0.1, 400)
    assert floors.ceiling("b", values, 0.25).outcome == "pass"
    assert floors.ceiling("b", values, 0.15).outcome == "reject"
    close = floors.ceiling("b", values, float(values.mean()) + 0.004)
    assert close.outcome == "cannot tell"
    assert close.rows_needed > 400
    assert close.low < close.value < close.high
    assert floors.ceiling("b", values[:1], 0.25).outcome == "cannot tell"
