import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.label_noise import COLUMNS, LabelNoiseSettings, examine, find

LABELS = ["negative", "positive", "neither"]
FEW = LabelNoiseSettings(draws=20, min_rows=20)


def predicted(rows=600, classes=2, seed=0):
    """Probabilities of a good model, and labels drawn by them: honest ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, classes))
    logits[np.arange(rows), rng.integers(classes, size=rows)] += 6
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    drawn = (probabilities.cumsum(axis=1)[:, :-1] < rng.random((rows, 1))).sum(axis=1)
    return probabilities, drawn


def frame(probabilities, actual):
    return pd.DataFrame(
        {
            "id": [f"r{n}" for n in range(len(actual))],
            "split_key": [f"{n:032x}" for n in range(len(actual))],
            "source": "made",
            "label": [LABELS[label] for label in actual],
            "probabilities": list(probabilities.astype(np.float32)),
        }
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_planted_flips_are_found_and_named(classes):
    probabilities, actual = predicted(classes=classes)
    sure = np.flatnonzero(probabilities[np.arange(600), actual] > 0.97)[:30]
    right = actual[sure].copy()
    actual[sure] = (right + 1) % classes
    (check,), rows = examine(frame(probabilities, actual), LABELS[:classes], FEW)
    found = rows.set_index("id")["suggested"]
    planted = [f"r{n}" for n in sure]
    assert found.index.isin(planted).sum() >= 28
    both = found.reindex(planted)
    assert (both.dropna() == pd.Series([LABELS[n] for n in right], index=planted)[both.notna()]).all()
    assert check.outcome == "warn"
    assert check.value == pytest.approx(len(rows) / 600, abs=1e-6)


def test_the_worst_stand_first():
    probabilities, actual = predicted()
    actual[:60] = 1 - actual[:60]
    _, rows = examine(frame(probabilities, actual), LABELS[:2], FEW)
    assert list(rows.columns) == COLUMNS
    assert rows["self_confidence"].is_monotonic_increasing
    assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
    assert (rows["label"] != rows["suggested"]).all()


@pytest.mark.parametrize("seed", range(5))
def test_honest_labels_pass(seed):
    probabilities, actual = predicted(2000, seed=seed)
    (check,), _ = examine(frame(probabilities, actual), LABELS[:2], LabelNoiseSettings(draws=100))
    assert check.outcome == "pass"


def test_a_limit_rejects_and_without_one_nothing_does():
    probabilities, actual = predicted()
    table = frame(probabilities, 1 - actual)
    assert [check.outcome for check in examine(table, LABELS[:2], FEW)[0]] == ["warn"]
    strict = FEW.model_copy(update={"max_share": 0.05})
    (check,), _ = examine(table, LABELS[:2], strict)
    assert (check.outcome, check.max) == ("reject", 0.05)
    sound = frame(*predicted(seed=1))
    assert examine(sound, LABELS[:2], strict)[0][0].outcome == "pass"


def test_the_rows_stay_and_the_figures_are_told_with_and_without_them():
    from sklearn.metrics import accuracy_score, f1_score

    probabilities, actual = predicted()
    actual[:40] = 1 - actual[:40]
    noise = find(actual, probabilities, FEW)
    given, chosen = actual, probabilities.argmax(axis=1)
    kept = np.setdiff1d(np.arange(600), noise.places)
    assert noise.rows == 600
    assert noise.accuracy == accuracy_score(given, chosen)
    assert noise.accuracy_without == accuracy_score(given[kept], chosen[kept]) > noise.accuracy
    assert noise.f1_macro_without == f1_score(given[kept], chosen[kept], average="macro") > noise.f1_macro


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(20, 60))
def test_only_rows_that_the_definition_names_are_listed(seed, classes, rows):
    """The definition of confident learning, written out (Northcutt et al. 2021, equation 1)."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), rows)
    actual = rng.integers(classes, size=rows)
    actual[:2] = [0, 1]
    noise = find(actual, probabilities, FEW)
    means = [probabilities[actual == label, label].mean() if (actual == label).any() else 1 for label in range(classes)]
    reached = probabilities >= np.array(means) - 1e-9
    best = probabilities.argmax(axis=1)
    possible = (best != actual) & (reached & (np.arange(classes) != actual[:, None])).any(axis=1)
    assert set(noise.places) <= set(np.flatnonzero(possible))
    assert 0 <= noise.expected <= noise.expected_high <= 1


def test_a_label_that_no_row_has_does_no_harm():
    probabilities, actual = predicted(classes=3)
    there = actual < 2
    (check,), rows = examine(frame(probabilities[there], actual[there]), LABELS, FEW)
    assert check.outcome == "pass"
    assert len(rows) == round(check.value * there.sum())


def test_a_model_that_doubts_every_label_leaves_no_row_and_that_is_said():
    probabilities = np.array([[0.1, 0.9], [0.9, 0.1]] * 10)
    (check,), listed = examine(frame(probabilities, np.array([0, 1] * 10)), LABELS[:2], FEW)
    assert (check.value, check.outcome, len(listed)) == (1, "warn", 20)
    assert check.note.endswith("without them no row is left")


@pytest.mark.parametrize(
    ("rows", "actual", "said"),
    [(19, None, "too few rows to tell: 19, 20 are asked for"), (40, 0, "one label alone"), (0, None, "too few rows")],
)
def test_what_cannot_be_told_is_said(rows, actual, said):
    probabilities, drawn = predicted(rows or 1)
    labels = drawn if actual is None else np.full(rows, actual)
    (check,), listed = examine(frame(probabilities, labels).iloc[:rows], LABELS[:2], FEW)
    assert (check.outcome, check.value) == ("cannot tell", None)
    assert said in check.note
    assert list(listed.columns) == COLUMNS
    assert listed.empty


def test_two_runs_say_the_same_and_nothing_is_printed(capfd):
    table = frame(*predicted())
    first, rows = examine(table, LABELS[:2], FEW)
    second, again = examine(table, LABELS[:2], FEW)
    assert first == second
    assert rows.equals(again)
    assert capfd.readouterr().out == ""


def test_a_limit_is_a_share():
    with pytest.raises(ValidationError, match="max_share"):
        LabelNoiseSettings(max_share=1.5)
