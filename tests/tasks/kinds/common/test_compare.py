from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import paired
from tasks.comparison import CompareSettings
from tasks.kinds.classify.serve import answers
from tasks.kinds.common import scores
from tasks.kinds.common.compare import COLUMNS, answered, bootstrapped, examples, slices

LABELS = ["bad", "good", "mixed"]


def table(actual, ours, theirs):
    frame = pd.DataFrame({"label": actual, "challenger": ours, "champion": theirs})
    frame["challenger_right"], frame["champion_right"] = (frame[n] == frame["label"] for n in COLUMNS[3:6:2])
    return frame


def drawn(rows, seed=0, labels=LABELS):
    rng = np.random.default_rng(seed)
    actual = rng.choice(labels, rows)
    return table(actual, *(np.where(rng.random(rows) < 0.8, actual, rng.choice(labels, rows)) for _ in range(2)))


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=60))
def test_macro_metrics_are_those_of_evaluate(rows):
    actual, ours, theirs = np.array(rows).T
    named = table(*(np.array(LABELS)[n] for n in (actual, ours, theirs)))
    settings = CompareSettings(draws=200)
    for name in ("precision", "recall", "f1"):
        expected = [scores.macro(scores.confusion(actual, said, 3))[name] for said in (ours, theirs)]
        assert bootstrapped(named, f"{name}_macro", settings)[:2] == pytest.approx(expected)


def test_the_bootstrap_agrees_with_resampled_rows():
    frame = drawn(400)
    _, _, low, high = bootstrapped(frame, "f1_macro", CompareSettings(draws=5000))
    places = [np.searchsorted(LABELS, frame[name]) for name in ("label", "challenger", "champion")]
    rng, values = np.random.default_rng(1), []
    for _ in range(2000):
        actual, *said = (column[rows] for rows in [rng.integers(0, 400, 400)] for column in places)
        ours, theirs = (scores.macro(scores.confusion(actual, column, 3))["f1"] for column in said)
        values.append(ours - theirs)
    assert (low, high) == pytest.approx(np.quantile(values, [0.05, 0.95]), abs=0.006)


def test_models_that_agree_differ_by_nothing():
    frame = drawn(50)
    frame["champion"] = frame["challenger"]
    ours, theirs, low, high = bootstrapped(frame, "f1_macro", CompareSettings(draws=200))
    assert ours == theirs
    assert paired.outcome(low, high, 0.02) == "not worse"
    assert (low, high) == (0, 0)


def test_many_labels_are_no_trouble():
    frame = drawn(3000, labels=[f"l{n}" for n in range(150)])
    _, _, low, high = bootstrapped(frame, "f1_macro", CompareSettings(draws=200))
    assert -0.05 < low < high < 0.05


def model(labels, probabilities):
    outputs = {"probabilities": np.array(probabilities, dtype=np.float32), "embedding": np.zeros((2, 1))}
    return SimpleNamespace(predict=lambda texts: answers(outputs, labels))


def test_labels_are_compared_by_name_whatever_their_order():
    rows = pd.DataFrame({"id": ["a", "b"], "text": ["x", "y"], "source": "s", "label": ["bad", "good"]})
    found = answered(
        rows, model(["bad", "good"], [[0.9, 0.1], [0.2, 0.8]]), model(["good", "bad"], [[0.3, 0.7], [0.4, 0.6]])
    )
    assert found["challenger_right"].tolist() == [True, True]
    assert found["champion"].tolist() == ["bad", "bad"]
    assert found["champion_right"].tolist() == [True, False]
    assert found["champion_confidence"].tolist() == pytest.approx([0.7, 0.6], abs=1e-6)
    assert set(COLUMNS) <= set(found.columns)
    assert "text" not in COLUMNS
    assert slices(found)["label"].tolist() == ["bad", "good"]


def test_examples_are_those_where_both_are_surest():
    frame = drawn(300)
    frame["id"] = [f"r{n:03}" for n in range(300)]
    frame["text"] = "long " * 200
    frame["challenger_confidence"] = frame["champion_confidence"] = np.linspace(0.4, 0.9, 300)
    shown = examples(frame)
    won = frame[frame["challenger_right"] & ~frame["champion_right"]]
    assert [row["challenger_confidence"] for row in shown["won"]] == won["challenger_confidence"].tolist()[::-1][:10]
    assert len(shown["lost"]) == 10
    assert all(len(row["text"]) == 400 and row["champion"] == row["label"] for row in shown["lost"])
