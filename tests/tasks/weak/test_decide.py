"""The label model: it finds out which functions are right, with and without rows that people labelled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.weak.decide import LabelModel, fit
from tasks.weak.functions import ABSTAINS


def made(accuracy, rows=3000, classes=2, coverage=0.6, seed=0):
    """True labels, and votes of functions that err independently."""
    rng = np.random.default_rng(seed)
    true = rng.integers(classes, size=rows)
    found = np.full((rows, len(accuracy)), ABSTAINS)
    for place, right in enumerate(accuracy):
        wrong = (true + rng.integers(1, classes, size=rows)) % classes
        said = np.where(rng.random(rows) < right, true, wrong)
        found[:, place] = np.where(rng.random(rows) < coverage, said, ABSTAINS)
    return true, found


NOBODY = np.full(3000, ABSTAINS)


@pytest.mark.parametrize("classes", [2, 4])
def test_better_functions_weigh_more_and_beat_the_majority(classes):
    true, votes = made([0.95, 0.6, 0.6, 0.6], classes=classes)
    model = fit(votes, NOBODY, classes, 0.8)
    assert model.accuracy.argmax() == 0
    answers = model.posterior(votes).argmax(axis=1)
    majority = np.array([np.bincount(row[row >= 0], minlength=classes).argmax() for row in votes])
    assert (answers == true).mean() > (majority == true).mean() + 0.03


def test_labels_by_people_correct_what_is_assumed():
    true, votes = made([0.9, 0.6])
    known = np.where(np.arange(3000) < 200, true, ABSTAINS)
    model = fit(votes, known, 2, 0.8)
    assert model.accuracy == pytest.approx([0.9, 0.6], abs=0.08)
    blind = fit(votes, NOBODY, 2, 0.8)
    assert abs(model.accuracy - [0.9, 0.6]).sum() < abs(blind.accuracy - [0.9, 0.6]).sum()


def test_shares_are_those_of_people_or_even_or_as_given():
    true, votes = made([0.8])
    few = np.where(np.arange(3000) < 100, 1, ABSTAINS)
    assert fit(votes, few, 2, 0.8).shares == pytest.approx([1 / 102, 101 / 102])
    assert fit(votes, NOBODY, 2, 0.8).shares.tolist() == [0.5, 0.5]
    assert fit(votes, few, 2, 0.8, np.array([0.3, 0.7])).shares.tolist() == [0.3, 0.7]
    assert true.any()


def test_the_posterior_is_bayes_rule():
    model = LabelModel(np.array([0.9, 0.6]), np.array([0.2, 0.3, 0.5]))
    ahead = np.array([0.2 * 0.9 * 0.2, 0.3 * 0.05 * 0.6, 0.5 * 0.05 * 0.2])
    assert model.posterior(np.array([[0, 1]]))[0] == pytest.approx(ahead / ahead.sum())
    assert model.posterior(np.array([[-1, -1]]))[0] == pytest.approx([0.2, 0.3, 0.5])


@given(arrays(np.int64, st.tuples(st.integers(0, 12), st.integers(1, 4)), elements=st.integers(-1, 2)), st.data())
def test_whatever_the_votes_probabilities_come_out(votes, data):
    known = data.draw(arrays(np.int64, len(votes), elements=st.integers(-1, 2)))
    model = fit(votes, known, 3, 0.8)
    assert ((model.accuracy > 1 / 3) & (model.accuracy < 1)).all()
    soft = model.posterior(votes)
    assert np.isfinite(soft).all()
    assert soft.sum(axis=1) == pytest.approx(np.ones(len(votes)))
