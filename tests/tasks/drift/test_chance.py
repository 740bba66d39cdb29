import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, fisher_exact

from tasks.drift.chance import compare, fewer_right, holm, kolmogorov_smirnov, total_variation


def test_distances():
    gaps = np.array([0.1, -0.3, 0.2])
    assert total_variation(gaps) == pytest.approx(0.3)
    assert kolmogorov_smirnov(gaps) == pytest.approx(0.2)


def test_p_of_two_categories_is_that_of_fishers_test():
    found = compare(np.array([60, 40]), np.array([45, 55]), total_variation, 0.05, 0)
    assert found.p == pytest.approx(fisher_exact([[60, 40], [45, 55]]).pvalue, abs=0.02)


@pytest.mark.long
def test_p_is_even_where_nothing_differs_whatever_the_sizes():
    rng = np.random.default_rng(0)
    for rows in ((2000, 50), (50, 2000), (300, 300)):
        p = [
            compare(*(rng.multinomial(n, [0.1] * 10) for n in rows), kolmogorov_smirnov, 0.05, seed).p
            for seed in range(300)
        ]
        assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.09
        assert 0.4 <= np.mean(np.array(p) <= 0.5) <= 0.62


def test_what_is_called_detectable_shows_in_most_windows_and_half_of_it_seldom():
    rng = np.random.default_rng(1)
    reference = rng.multinomial(2000, [0.5, 0.5])
    can = compare(reference, rng.multinomial(500, [0.5, 0.5]), total_variation, 0.005, 0).detectable

    def seen(shift):
        windows = [rng.multinomial(500, [0.5 + shift, 0.5 - shift]) for _ in range(40)]
        return np.mean([compare(np.array([1000, 1000]), one, total_variation, 0.005, 0).p <= 0.005 for one in windows])

    assert seen(can) > 0.65
    assert seen(can / 2) < 0.5


def test_millions_of_rows_are_no_burden():
    found = compare(np.array([1000, 1000]), np.array([3_000_000, 3_100_000]), total_variation, 0.05, 0)
    assert found.p > 0.05


def test_fewer_right_is_fishers_one_sided_test():
    found = fewer_right(np.array([850, 150]), np.array([75, 25]), 0.05)
    assert found.value == pytest.approx(0.1)
    assert found.p == pytest.approx(fisher_exact([[850, 150], [75, 25]], alternative="greater").pvalue)
    assert 0.04 < found.detectable < 0.15


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=2), st.lists(st.integers(0, 50), min_size=2, max_size=2))
def test_fewer_right_stands_any_counts(reference, current):
    if sum(reference) and sum(current):
        found = fewer_right(np.array(reference), np.array(current), 0.005)
        assert 0 <= found.p <= 1 + 1e-9
        assert 0 <= found.detectable <= 1


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_between_p_and_bonferroni_and_keeps_the_order(p):
    adjusted = holm(p)
    assert all(one <= other <= min(1, len(p) * one) + 1e-12 for one, other in zip(p, adjusted, strict=True))
    order = sorted(range(len(p)), key=p.__getitem__)
    assert sorted(adjusted) == [adjusted[n] for n in order]


def test_holm_on_an_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_many_categories_agree_with_chi_square_on_what_is_clear():
    reference, current = np.array([500, 300, 200]), np.array([30, 40, 30])
    assert chi2_contingency([reference, current]).pvalue < 0.001
    assert compare(reference, current, total_variation, 0.005, 0).p < 0.002
