import warnings

import numpy as np
import pandas as pd
import pytest

from tasks import slicing
from tasks.evaluate import EvaluateSettings
from tasks.kinds.common import metrics, scores


def table(rows, **columns):
    frame = {"source": "reviews", "text": "one two three", "agreement": np.nan, "ambiguous": False}
    return pd.DataFrame({**frame, **columns}, index=range(rows))


def sliced(frame, actual=None, **settings):
    zeros = np.zeros(len(frame), dtype=int)
    return metrics.slices(frame, zeros if actual is None else actual, zeros, 2, EvaluateSettings(**settings))


def test_slices_by_source_count_their_own_rows():
    found = sliced(table(10, source=["a"] * 4 + ["b.csv"] * 6), np.array([0, 0, 0, 1] + [0] * 6))["source"]
    assert (found["a"]["rows"], found["a"]["accuracy"]) == (4, 0.75)
    assert (found["b.csv"]["rows"], found["b.csv"]["accuracy"]) == (6, 1)
    assert (found["a"]["accuracy_low"], found["a"]["accuracy_high"]) == scores.wilson(3, 4)


def test_small_sources_stand_together_when_there_are_many(monkeypatch):
    monkeypatch.setattr(slicing, "MOST_SOURCES", 2)
    found = sliced(table(9, source=["a"] * 3 + ["b"] * 3 + ["c", "d", "e"]))["source"]
    assert {name: group["rows"] for name, group in found.items()} == {"a": 3, "b": 3, "other": 3}


@pytest.mark.parametrize(
    ("unit", "edges", "expected"),
    [
        ("words", (2, 4), {"0-1": 1, "2-3": 2, "4+": 1}),
        ("characters", (6,), {"0-5": 3, "6+": 1}),
        ("words", (), {"0+": 4}),
    ],
)
def test_length_slices_have_the_edges_that_settings_ask_for(unit, edges, expected):
    texts = ["电影好看", "a b", "a b c", "a b c d"]
    found = sliced(table(4, text=texts), length_unit=unit, length_edges=edges)["length"]
    assert {name: group["rows"] for name, group in found.items()} == expected


def test_agreement_is_cut_into_thirds_of_the_rows_that_have_one():
    found = sliced(table(12, agreement=[np.nan] * 3 + [0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]))["agreement"]
    assert {name: group["rows"] for name, group in found.items()} == {"low": 3, "middle": 3, "high": 3}


def test_slices_without_a_value_are_absent():
    nothing = table(3, ambiguous=pd.array([None] * 3, dtype="object"))
    assert set(sliced(nothing)) == {"source", "length"}
    assert set(sliced(table(3, ambiguous=[True, True, False]))["ambiguous"]) == {"yes", "no"}


def test_figures_become_plain_json_without_nan():
    given = {"a": np.float64(1 / 3), "b": [float("nan"), np.int64(2)], "c": {"d": np.bool_(True), "e": float("inf")}}
    assert metrics.plain(given) == {"a": 0.333333, "b": [None, 2], "c": {"d": True, "e": None}}


def test_classes_that_never_occur_are_null_and_those_never_predicted_are_zero():
    counts = scores.confusion(np.array([0, 0, 1]), np.array([0, 0, 0]), 3)
    table = metrics.plain(metrics.by_class(counts, ["a", "b", "c"]))
    assert table["b"] == {"precision": 0, "recall": 0, "f1": 0, "rows": 1}
    assert table["c"] == {"precision": None, "recall": None, "f1": None, "rows": 0}


@pytest.mark.parametrize("classes", [2, 77])
def test_a_million_rows_take_seconds(classes):
    import time

    rng = np.random.default_rng(0)
    actual = rng.integers(0, classes, 1_000_000)
    predicted = np.where(rng.random(1_000_000) < 0.9, actual, 0)
    start = time.perf_counter()
    counts = scores.confusion(actual, predicted, classes)
    scores.bootstrap_f1(counts, 1000, 0)
    assert time.perf_counter() - start < 10


def test_headline_of_sure_and_wrong_answers_is_finite():
    actual, probabilities = np.array([0, 1, 1]), np.array([[1.0, 0], [0, 1.0], [1.0, 0]])
    counts = scores.confusion(actual, probabilities.argmax(axis=1), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics.plain(metrics.headline(actual, probabilities, counts, EvaluateSettings()))
    assert found["log_loss"] == pytest.approx(36.04 / 3, abs=0.01)
    assert None not in found.values()
