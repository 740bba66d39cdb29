import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binomtest
from sklearn import metrics as sk

from tasks.kinds.common import scores


@st.composite
def answers(draw):
    classes, rows = draw(st.integers(2, 9)), draw(st.integers(1, 60))
    labels = hnp.arrays(np.int64, rows, elements=st.integers(0, classes - 1))
    return draw(labels), draw(labels), classes


@given(answers())
def test_scores_agree_with_scikit_learn(answer):
    actual, predicted, classes = answer
    counts = scores.confusion(actual, predicted, classes)
    assert (counts == sk.confusion_matrix(actual, predicted, labels=range(classes))).all()
    expected = sk.precision_recall_fscore_support(actual, predicted, labels=range(classes), zero_division=0)
    seen = np.union1d(actual, predicted)
    for name, column in zip(("precision", "recall", "f1"), expected, strict=False):
        assert scores.per_class(counts)[name][seen] == pytest.approx(column[seen])
        macro = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}[name]
        assert scores.macro(counts)[name] == pytest.approx(macro(actual, predicted, average="macro", zero_division=0))


def test_a_label_that_never_occurs_has_no_score():
    table = scores.per_class(scores.confusion(np.array([0, 1]), np.array([0, 1]), 3))
    assert np.isnan([table[name][2] for name in table]).all()


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(share):
    hits, rows = share
    expected = binomtest(hits, rows).proportion_ci(method="wilson")
    assert scores.wilson(hits, rows) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_bootstrap_is_that_of_rows():
    rng = np.random.default_rng(0)
    actual = rng.integers(0, 3, 400)
    predicted = np.where(rng.random(400) < 0.8, actual, rng.integers(0, 3, 400))
    resamples = (rng.integers(0, 400, 400) for _ in range(1000))
    by_rows = [sk.f1_score(actual[rows], predicted[rows], average="macro") for rows in resamples]
    drawn = scores.bootstrap_f1(scores.confusion(actual, predicted, 3), draws=1000, seed=1)
    assert drawn == pytest.approx(np.quantile(by_rows, [0.025, 0.975]), abs=0.012)


def test_the_bootstrap_repeats_and_bears_a_single_cell():
    counts = np.array([[50, 3], [9, 40]])
    assert scores.bootstrap_f1(counts, 200, 7) == scores.bootstrap_f1(counts, 200, 7)
    assert scores.bootstrap_f1(np.array([[4, 0], [0, 0]]), 200, 7) == (1, 1)


@pytest.mark.parametrize("classes", [2, 3, 77])
def test_roc_auc_agrees_with_scikit_learn(classes):
    rng = np.random.default_rng(classes)
    actual = np.r_[np.arange(classes), rng.integers(0, classes, 400)]
    probabilities = rng.dirichlet(np.ones(classes), len(actual)) + 0.1 * np.eye(classes)[actual]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    if classes == 2:
        expected = sk.roc_auc_score(actual, probabilities[:, 1])
    else:
        expected = sk.roc_auc_score(actual, probabilities, multi_class="ovr", average="macro")
    assert scores.roc_auc(actual, probabilities) == pytest.approx(expected)


def test_roc_auc_of_one_class_is_not_known_and_an_absent_class_is_left_out():
    assert scores.roc_auc(np.zeros(5, dtype=int), np.full((5, 2), 0.5)) is None
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1]])
    assert scores.roc_auc(np.array([0, 1, 1]), probabilities) == 1


def test_brier_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    probabilities, actual = rng.dirichlet(np.ones(4), 200), rng.integers(0, 4, 200)
    mean, low, high = scores.mean_interval(scores.brier(actual, probabilities))
    assert mean == pytest.approx(((probabilities - np.eye(4)[actual]) ** 2).sum(axis=1).mean())
    assert low < mean < high
    assert scores.mean_interval(np.array([0.3])) == (0.3, 0.3, 0.3)
