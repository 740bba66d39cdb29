import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import bootstrap, norm

from tasks.paired import bca, mcnemar, narrowed, outcome, rows_needed, tango


@pytest.mark.parametrize(
    ("won", "lost", "rows", "confidence", "low", "high"),
    [
        (1, 7, 21, 0.95, -0.517, -0.026),  # Fagerland, Lydersen, Laake (2014): airway hyper-responsiveness
        (60, 20, 1000, 0.95, 0.0231, 0.0584),  # these two: scoreci.mp of the R package PropCIs
        (28, 25, 618, 0.90, -0.0148, 0.0247),
    ],
)
def test_tango_gives_published_intervals(won, lost, rows, confidence, low, high):
    assert tango(won, lost, rows, confidence) == pytest.approx((low, high), abs=5.1e-4 if rows == 21 else 5.1e-5)


def score(won, lost, rows, difference):
    """The score statistic with the nuisance share found by maximising the likelihood numerically."""

    def loss(share_lost):
        shares = np.array([share_lost + difference, share_lost, 1 - 2 * share_lost - difference])
        counts = np.array([won, lost, rows - won - lost])
        return -float((counts[counts > 0] * np.log(np.maximum(shares[counts > 0], 1e-300))).sum())

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-12})
    share = min([found.x, *bounds], key=loss)
    return (won - lost - rows * difference) / np.sqrt(rows * (2 * share + difference * (1 - difference)))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 400), st.sampled_from([0.8, 0.9, 0.95]))
def test_tango_inverts_the_score_test(won, lost, more, confidence):
    rows = won + lost + more
    low, high = tango(won, lost, rows, confidence)
    z = norm.ppf((1 + confidence) / 2)
    assert -1 <= low <= (won - lost) / rows <= high <= 1
    assert score(won, lost, rows, low) == pytest.approx(z, abs=1e-3)
    assert score(won, lost, rows, high) == pytest.approx(-z, abs=1e-3)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 100))
def test_tango_is_the_same_seen_from_the_other_side(won, lost, more):
    assume(won + lost + more)
    low, high = tango(won, lost, won + lost + more, 0.9)
    assert tango(lost, won, won + lost + more, 0.9) == pytest.approx((-high, -low), abs=1e-8)


def test_tango_at_the_corners():
    z2 = norm.ppf(0.95) ** 2
    assert tango(0, 0, 2000, 0.9) == pytest.approx((-z2 / (2000 + z2), z2 / (2000 + z2)))
    assert tango(10, 0, 10, 0.9) == pytest.approx(((10 - z2) / (10 + z2), 1))
    assert tango(0, 10, 10, 0.9) == pytest.approx((-1, -(10 - z2) / (10 + z2)))
    assert tango(0, 0, 1, 0.9) == pytest.approx((-z2 / (1 + z2), z2 / (1 + z2)))


@pytest.mark.parametrize("counts", [(-1, 0, 10), (6, 5, 10), (0, 0, 0)])
def test_tango_refuses_what_are_no_counts(counts):
    with pytest.raises(ValueError, match="no counts of paired rows"):
        tango(*counts, 0.9)


@pytest.mark.parametrize("shares", [(0.05, 0.05), (0.02, 0.04), (0.10, 0.06)])
def test_tango_covers_the_truth_as_often_as_it_says(shares):
    draws, rows = 4000, 500
    drawn = np.random.default_rng(1).multinomial(rows, [*shares, 1 - sum(shares)], size=draws)
    truth = shares[0] - shares[1]
    ends = np.array([tango(won, lost, rows, 0.9) for won, lost, _ in drawn.tolist()])
    missed = ((ends[:, 0] > truth).mean(), (ends[:, 1] < truth).mean())
    assert missed == pytest.approx((0.05, 0.05), abs=0.015)  # four standard errors


def test_mcnemar_is_the_exact_binomial_test():
    from statsmodels.stats.contingency_tables import mcnemar as reference

    for won, lost in ((9, 3), (3, 9), (1, 0), (40, 40), (120, 90)):
        assert mcnemar(won, lost) == pytest.approx(reference([[50, won], [lost, 20]], exact=True).pvalue)
    assert mcnemar(0, 0) == 1


def test_bca_agrees_with_scipy():
    values = np.random.default_rng(5).exponential(size=40)  # a cell for each row, and a statistic that is skewed
    settings = {"n_resamples": 20_000, "confidence_level": 0.9, "rng": 0}
    expected, plain = (
        bootstrap((values,), np.var, method=method, **settings).confidence_interval for method in ("BCa", "percentile")
    )

    def variance(drawn):
        rows = drawn.sum(axis=1)
        return drawn @ values**2 / rows - (drawn @ values / rows) ** 2

    found = bca(np.ones(40, dtype=np.int64), variance, 0.9, 20_000, 0)
    assert found == pytest.approx(tuple(expected), rel=0.03)
    assert found != pytest.approx(tuple(plain), rel=0.05)


def test_bca_of_a_share_is_close_to_tango():
    counts = np.array([60, 20, 920])
    found = bca(counts, lambda drawn: (drawn[:, 0] - drawn[:, 1]) / 1000, 0.95, 10_000, 0)
    assert found == pytest.approx(tango(60, 20, 1000, 0.95), abs=0.002)


@pytest.mark.parametrize("counts", [[10], [4, 5], [1]])
def test_bca_of_what_never_changes_is_a_point(counts):
    assert bca(np.array(counts), lambda drawn: np.zeros(len(drawn)), 0.9, 300, 0) == (0, 0)


def test_bca_falls_back_to_percentiles_at_the_edge():
    found = bca(np.array([50]), lambda drawn: drawn[:, 0] / 50, 0.9, 300, 0)
    assert found == (1, 1)


def test_bca_repeats_itself():
    counts = np.array([30, 12, 9])
    intervals = {
        bca(counts, lambda drawn: drawn[:, 0] / drawn[:, 1:].sum(axis=1), 0.9, 500, seed) for seed in (0, 0, 1)
    }
    assert len(intervals) == 2


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.001, 0.02, "better"),
        (0.0, 0.0, "not worse"),
        (-0.019, 0.01, "not worse"),
        (-0.02, 0.01, "undecided"),
        (-0.05, -0.02, "undecided"),
        (-0.05, -0.021, "worse"),
        (-0.019, -0.001, "not worse"),
    ],
)
def test_outcomes(low, high, said):
    assert outcome(low, high, 0.02) == said


@given(st.integers(0, 60), st.integers(0, 60), st.integers(100, 900))
def test_rows_needed_decide_and_one_less_does_not(won, lost, more):
    rows = won + lost + more

    def interval(number):
        return tango(won * number / rows, lost * number / rows, number, 0.9)

    assume(outcome(*interval(rows), 0.02) == "undecided" and abs((won - lost) / rows + 0.02) > 1e-3)
    needed = rows_needed(interval, rows, 0.02)
    assert needed > rows
    assert outcome(*interval(needed), 0.02) != "undecided"
    assert outcome(*interval(needed - 1), 0.02) == "undecided"


def test_the_arms_of_an_interval_shrink_with_the_root():
    assert narrowed(0.01, -0.03, 0.07, 4) == pytest.approx((-0.01, 0.04))
    assert rows_needed(lambda number: narrowed(0.01, -0.05, 0.07, number / 1000), 1000, 0.02) == 4001


def test_no_number_of_rows_decides_at_the_margin():
    for difference in (-0.02, -0.0200001):
        assert rows_needed(lambda n, d=difference: narrowed(d, -0.04, 0.0, n / 1000), 1000, 0.02) is None
