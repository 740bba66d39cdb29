import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.drift.domain import FOLDS, tell_apart
from tasks.drift.learned import RIDGE, waves


def normal(rows, shift=0.0, share=1.0, seed=0):
    rng = np.random.default_rng(seed)
    moved = rng.random(rows) < share
    return (rng.standard_normal((rows, 6)) + shift * moved[:, None]).astype(np.float32)


def told(reference, current, ridge=None, seed=0):
    marks = np.arange(len(reference) + len(current)) >= len(reference)
    return tell_apart(np.concatenate([reference, current]), marks, 0.005, seed, ridge)


@pytest.mark.long
@pytest.mark.parametrize("ridge", [None, RIDGE])
@pytest.mark.parametrize("sizes", [(300, 60), (60, 300)])
def test_p_is_even_where_nothing_differs(ridge, sizes):
    p = []
    for seed in range(150):
        rows = normal(sum(sizes), seed=seed)
        p.append(told(rows[: sizes[0]], rows[sizes[0] :], ridge, seed).p)
    assert np.mean(np.array(p) <= 0.1) <= 0.17
    assert 0.35 <= np.mean(np.array(p) <= 0.5) <= 0.65


def test_a_few_rows_from_elsewhere_show_where_auc_alone_says_little():
    found = told(normal(1000), normal(300, 3.0, 0.06, seed=1))
    assert found.p <= 0.005
    assert found.auc < 0.55
    assert 0.12 < found.unlike < 0.25


def test_rows_that_look_most_like_the_current_window_come_last():
    found = told(normal(400), normal(100, 4.0, 0.3, seed=1))
    foreign = np.random.default_rng(1).random(100) < 0.3
    assert found.rank[400:][foreign].min() > np.median(found.rank)
    assert found.rank.min() > 0
    assert found.rank.max() < 1


def test_another_spread_shows_by_waves():
    reference, current = normal(500), 1.7 * normal(300, seed=1)
    features = waves(np.concatenate([reference, current]), 0)
    found = told(features[:500], features[500:], RIDGE)
    assert found.p <= 0.005


def test_rows_that_are_all_alike_do_not_differ():
    assert told(np.ones((200, 3), np.float32), np.ones((100, 3), np.float32)).p > 0.02
    assert np.isfinite(waves(np.ones((20, 3), np.float32), 0)).all()


def test_the_same_seed_says_the_same():
    first, second = (told(normal(100), normal(60, seed=1), seed=3) for _ in range(2))
    assert (first.p, first.auc) == (second.p, second.auc)


@settings(max_examples=25, deadline=None)
@given(st.integers(FOLDS, 30), st.integers(FOLDS, 30), st.sampled_from([None, RIDGE]), st.integers(0, 5))
def test_any_few_rows_are_told_apart_without_a_fault(reference, current, ridge, seed):
    found = told(normal(reference, seed=seed), normal(current, 1.0, seed=seed + 1), ridge)
    assert 0 < found.p <= 1
    assert 0 <= found.auc <= 1
    assert 0 <= found.unlike <= 1
    assert 0 < found.detectable < 1
