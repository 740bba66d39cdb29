"""Accuracy of a window, known and estimated: formulas, edges, and what a shift of the inputs costs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tasks.drift import estimate
from tasks.drift.result import Figure
from tasks.drift.settings import MonitorSettings
from tasks.drift.window import Window

SETTINGS = MonitorSettings()


def window(rows, moved=0.0, sure=0.9, right=None, seed=0, width=4, texts=None):
    """Rows whose embeddings lie `moved` away, answered with a confidence around `sure`; `right` as often as that."""
    rng = np.random.default_rng(seed)
    high = np.clip(rng.beta(20 * sure, 20 * (1 - sure), rows), 0.5, 1).astype(np.float32)
    label = rng.choice(["negative", "positive"], rows)
    other = np.where(label == "negative", "positive", "negative")
    true = np.where(rng.random(rows) < (high if right is None else right), label, other)
    return Window(
        text=texts or [None] * rows, label=label.tolist(), probabilities=np.stack([high, 1 - high], axis=1),
        projection=rng.normal(moved, 1, (rows, width)).astype(np.float32),
        characters=rng.integers(10, 90, rows).astype(np.int32), words=np.full(rows, 5, np.int32),
        non_letters=rng.random(rows).astype(np.float32), script=["latin"] * rows,
        script_share=np.ones(rows, np.float32), true_label=true.tolist(),
    )  # fmt: skip


def figure(value, rows=1000, half=0.02):
    return Figure(value=value, low=value - half, high=value + half, rows=rows)


def test_without_drift_the_estimate_is_the_accuracy():
    found = [estimate.estimated(window(2000, seed=100 + n), window(500, seed=n), SETTINGS) for n in range(20)]
    assert np.mean([one.value for one in found]) == pytest.approx(0.9, abs=0.01)
    assert sum(one.low < 0.9 < one.high for one in found) >= 14  # 18 expected; fewer than 14 once in 80 times
    assert {one.rows for one in found} == {500}


def test_less_confidence_and_a_shift_both_cost():
    reference = window(2000)
    same = estimate.estimated(reference, window(500, seed=1), SETTINGS)
    unsure = estimate.estimated(reference, window(500, seed=1, sure=0.75), SETTINGS)
    moved = estimate.estimated(reference, window(500, seed=1, moved=2), SETTINGS)
    assert unsure.value < same.value - 0.1
    assert moved.value == pytest.approx(same.value - estimate.PRICE, abs=0.02)
    assert moved.high - moved.low > 2 * (same.high - same.low)


@pytest.mark.parametrize("moved", [0.0, 0.3, 1.0])
def test_the_shift_is_what_a_classifier_finds_out_of_fold(moved):
    found = estimate.shift(window(800, width=1), window(400, moved, seed=1, width=1), 0)
    assert found == pytest.approx(2 * 0.5 * (1 + _erf(moved / 2)) - 1, abs=0.09)


def reviews(rows, about, seed=0):
    """Sentences of a handful of words out of a hundred, with case and punctuation."""
    rng = np.random.default_rng(seed)
    said = [f"{about}{n:02d}" for n in range(100)]
    return [f"{' '.join(rng.choice(said, 6)).capitalize()}, it's said." for _ in range(rows)]


def test_what_is_about_the_same_costs_nothing_however_its_embeddings_move():
    reference = window(900, texts=reviews(900, "film"))
    assert estimate.shift(reference, window(300, 2, seed=1, texts=reviews(300, "goods", 1)), 0) > 0.7
    shouted = [text.upper().replace(",", " ").replace("'", "") + " !!!" for text in reviews(300, "film", 1)]
    assert estimate.shift(reference, window(300, 2, seed=1, texts=shouted), 0) < 0.1
    some = [text if n % 5 else None for n, text in enumerate(shouted)]
    assert estimate.shift(reference, window(300, 2, seed=1, texts=some), 0) < 0.1


def test_longer_rows_of_the_same_source_are_no_shift():
    reference = window(3000, width=1)
    reference.projection[:, 0] += reference.characters / 20  # longer ones lie farther out
    longest = np.argsort(reference.characters)[-900:]
    long, rest = longest[::2], np.setdiff1d(np.arange(3000), longest[::2])
    assert estimate.shift(reference.take(rest), reference.take(long), 0) < 0.15
    moved = reference.take(long)
    moved.projection[:] += 3
    assert estimate.shift(reference.take(rest), moved, 0) > 0.6


def _erf(x):
    from math import erf

    return erf(x)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_auc_is_that_of_the_library(pairs):
    scores, side = np.array([float(s) for s, _ in pairs]), np.array([float(one) for _, one in pairs])
    if 0 < side.sum() < len(side):
        assert estimate._auc(scores, side) == pytest.approx(roc_auc_score(side, scores))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 3), st.booleans())
@settings(max_examples=60)
def test_whatever_comes_there_is_a_figure_or_none(rows, others, width, holes):
    reference, current = window(rows, width=width), window(others, seed=1, width=width)
    if holes and rows and others:
        current.probabilities[0] = np.nan
        reference.projection[:1] = np.nan
    found = estimate.estimated(reference, current, SETTINGS)
    assert found is None or 0 <= found.low <= found.value <= found.high <= 1
    assert (found is None) == (rows == 0 or others - (holes and rows and others and 1) <= 0)


def test_the_interval_of_a_share():
    assert estimate.accuracy(0, 0) is None
    found = estimate.accuracy(90, 100)
    assert (round(found.low, 3), found.value, round(found.high, 3)) == (0.840, 0.9, 0.939)


def test_the_cost_goes_by_labels_where_enough_have_come():
    reference, known, guessed = figure(0.86), figure(0.80, rows=200), figure(0.60)
    assert estimate.cost(reference, known, guessed).value == pytest.approx(0.06)
    assert estimate.cost(reference, None, guessed).value == pytest.approx(0.26)
    few = estimate.cost(reference, figure(0.80, rows=20, half=0.10), figure(0.60, half=0.10))
    assert few.value == pytest.approx(0.16) and few.rows == 1000 + 20
    assert few.estimated and not estimate.cost(reference, known, guessed).estimated
    assert estimate.cost(reference, None, None) is None and estimate.cost(None, known, guessed) is None
