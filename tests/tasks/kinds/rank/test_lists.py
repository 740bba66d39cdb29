"""Lists of items, what they are worth, and how popular items were when."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.kinds.rank.shared import factors, lists, rankings
from tasks.kinds.rank.shared.catalogue import Catalogue
from tasks.kinds.rank.shared.timeline import timeline


@given(arrays(np.float32, (3, 12), elements=st.integers(0, 5)), st.integers(1, 15))
def test_the_top_is_what_sorting_all_would_give(scores, k):
    assert (rankings.top(scores, k) == np.argsort(-scores, axis=1, kind="stable")[:, :k]).all()


def test_ndcg_agrees_with_scikit_learn():
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(0)
    scores = rng.standard_normal((40, 30))
    wanted = [rng.choice(30, rng.integers(1, 15), replace=False) for _ in scores]
    truth = np.array([np.isin(np.arange(30), each) for each in wanted])
    found = rankings.ndcg(rankings.top(scores), wanted)
    assert found.mean() == pytest.approx(ndcg_score(truth, scores, k=10))


def test_what_a_list_is_worth():
    listed = np.array([[4, 2, 7], [1, 2, 3]])
    wanted = [np.array([2, 9]), np.array([5])]
    assert rankings.recall(listed, wanted).tolist() == [0.5, 0]
    assert rankings.reciprocal(listed, wanted).tolist() == [0.5, 0]
    assert rankings.hits(listed, wanted).tolist() == [[False, True, False], [False] * 3]


def test_a_varied_list_begins_with_the_best_and_takes_what_is_unlike():
    vectors = np.array([[1, 0], [1, 0.01], [0, 1], [1, 0.02]], dtype=np.float32)
    scores = np.array([4.0, 3.9, 2.0, 1.9], dtype=np.float32)
    assert lists.varied(scores, vectors, 3, 0.0) == [0, 1, 2]
    assert lists.varied(scores, vectors, 3, 0.7) == [0, 2, 1]
    assert sorted(lists.varied(scores, vectors, 9, 1.0)) == [0, 1, 2, 3]
    assert lists.varied(scores[:0], vectors[:0], 3, 0.5) == []
    assert lists.varied(scores[:2] * 0, vectors[:2] * 0, 2, 0.5) == [0, 1], "equal scores and items without a vector"


def test_reasons_are_the_shares_of_what_speaks_for_an_item():
    outward = np.array([[1, 1]], dtype=np.float32)
    items = Catalogue(["a", "b", "c"], ["A", "B", "C"], outward, outward, outward, np.zeros(0))
    parts = np.array([[3, 0], [-5, 1], [0.5, 0.5]], dtype=np.float32)
    found = lists.reasons(items, parts, [1, 0, 2], 0)
    assert [(reason.item, reason.text, reason.share) for reason in found] == [("b", "B", 0.75), ("c", "C", 0.25)]
    assert lists.reasons(items, -np.abs(parts), [1, 0, 2], 0) == []


def test_features_know_nothing_of_what_came_later():
    rng = np.random.default_rng(0)
    items, times = rng.integers(0, 20, 400), np.sort(rng.integers(0, 10**8, 400)).astype(float)
    liked = rng.random(400) < 0.5
    whole = timeline(items, liked, times, 20)
    for moment in (0, 100, 399):
        at = whole.at(times[[moment]])[0]
        before = times <= times[moment]
        never = ~np.isin(np.arange(20), items[before])
        flag = whole.features[at, :, 4]
        assert (flag[never] > flag.min()).all() or not never.any(), "nobody had it by then"
    assert whole.at(np.array([-1.0]))[0] == 0
    assert np.ptp(whole.features[0, :, :4], axis=0) == pytest.approx(0), "before the first event all are equal"
    shuffled = items.copy()
    shuffled[200:] = rng.permutation(items[200:])
    early = timeline(shuffled, liked, times, 20)
    at = whole.at(times[[150]])[0]
    raw = [np.argsort(one.features[at, :, 0], kind="stable") for one in (whole, early)]
    assert (raw[0] == raw[1]).all(), "what comes later moves no order"


def test_the_start_is_ease_cut_to_its_width():
    rng = np.random.default_rng(0)
    likes = np.unique(np.stack([rng.integers(0, 30, 300), rng.integers(0, 12, 300)], axis=1), axis=0)
    inward, outward, known = factors.linear(likes[:, 0], likes[:, 1], (30, 14), 5.0, 12)
    history = np.zeros((30, 14))
    history[likes[:, 0], likes[:, 1]] = 1
    gram = history.T @ history + 5.0 * np.eye(14)
    inverse = np.linalg.inv(gram[:12, :12])
    ease = -inverse / np.diag(inverse)
    np.fill_diagonal(ease, 0)
    np.testing.assert_allclose((inward @ outward.T)[:12, :12], ease, atol=1e-4)
    assert known.tolist() == [True] * 12 + [False] * 2 and not inward[12:].any()
