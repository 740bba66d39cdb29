"""Agreement beyond chance, held against other programs' figures."""

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa

from tasks.crowd import agreement
from tasks.crowd.votes import Votes

tables = st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=12)


@given(tables)
@settings(deadline=None)
def test_alpha_is_that_of_the_krippendorff_package(rows):
    counts = np.array(rows)
    found = agreement.alpha(counts, samples=10, seed=0)
    usable = counts[counts.sum(axis=1) > 1]
    if (usable.sum(axis=0) > 0).sum() < 2:
        assert found is None
    else:
        wanted = krippendorff.alpha(value_counts=usable, level_of_measurement="nominal")
        assert found["value"] == pytest.approx(wanted, abs=1e-9)
        assert found["rows"] == len(usable)


@given(st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), min_size=1, max_size=12))
@settings(deadline=None)
def test_fleiss_kappa_is_that_of_statsmodels_where_each_item_has_as_many_votes(rows):
    counts = np.array([[row.count(label) for label in range(3)] for row in rows])
    found = agreement.fleiss(counts, samples=10, seed=0)
    if len({label for row in rows for label in row}) < 2:
        assert found is None
    else:
        assert found["value"] == pytest.approx(fleiss_kappa(counts), abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=20))
@settings(deadline=None)
def test_cohens_kappa_is_that_of_scikit_learn(rows):
    one, other = np.array(rows).T
    found = agreement.cohen(one, other, 3, samples=10, seed=0)
    if len({*one, *other}) < 2:
        assert found is None
    else:
        assert found["value"] == pytest.approx(cohen_kappa_score(one, other), abs=1e-9)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    right = 0
    for n in range(60):
        truth = rng.integers(0, 2, 150)
        votes = [np.where(rng.random(150) < 0.8, truth, 1 - truth) for _ in range(3)]
        counts = np.array([[3 - sum(row), sum(row)] for row in zip(*votes, strict=True)])
        found = agreement.alpha(counts, samples=300, seed=n)
        right += found["low"] <= 0.36 <= found["high"]  # (0.8 - 0.2)² for balanced labels
    assert right >= 51


def test_pairs_are_those_with_enough_in_common():
    said = [(f"i{n}", who, "ab"[n % 2]) for who, many in (("x", 30), ("y", 30), ("z", 3)) for n in range(many)]
    said[0] = ("i0", "x", "b")
    votes = Votes.of(said, [f"i{n}" for n in range(30)], ["a", "b"])
    ((one, other, kappa),) = agreement.pairs(votes, 10, 100, 0)
    assert (one, other, kappa["rows"]) == ("x", "y", 30)
    assert kappa["value"] == pytest.approx(cohen_kappa_score([0] * 14 + [1] * 16, [0] * 15 + [1] * 15), abs=0.01)
    assert kappa["low"] < kappa["value"] <= kappa["high"]


def test_nobody_agrees_with_himself_alone():
    counts = np.array([[1, 0], [0, 1]])
    assert agreement.alpha(counts, 100, 0) is None
    assert agreement.fleiss(counts, 100, 0) is None
    assert np.isnan(agreement.same_pairs(counts)).all()
