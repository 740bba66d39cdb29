import numpy as np
import pandas as pd
import pytest

from tasks import slicing
from tasks.core.errors import DataError
from tasks.core.files import write_parquet
from tasks.core.line import Line
from tasks.kinds.common import examine
from tasks.kinds.common.answers import answered
from tasks.quality_gate import QualityGateSettings
from tasks.text import TextSettings

LABELS = ["negative", "positive"]
CHECKS = [{"metric": "accuracy", "min": 0.5}]


def rows(count, seed, hard=0.9):
    """Answered rows: nine in ten are right, and of those with a digit from 5 on a share `hard`."""
    rng = np.random.default_rng(seed)
    digit, label = rng.integers(0, 10, count), rng.choice(LABELS, count)
    right = rng.random(count) < np.where(digit > 4, hard, 0.9)
    predicted = np.where(right, label, np.where(label == LABELS[0], LABELS[1], LABELS[0]))
    confidence = rng.uniform(0.5, 1, count)
    positive = np.where(predicted == "positive", confidence, 1 - confidence)
    ids = [f"r{n}" for n in range(count)]
    texts = [f"{'FILM' if n > 4 else 'film'} of {n} words" for n in digit]
    return pd.DataFrame(
        {
            "id": ids, "split_key": ids, "source": "film", "text": texts, "label": label, "agreement": np.nan,
            "ambiguous": False, "predicted": predicted, "confidence": confidence,
            "probabilities": list(np.stack([1 - positive, positive], axis=1)),
        }
    )  # fmt: skip


def subject(**of):
    test = rows(1000, 1, **of)
    ways = slicing.ways(test, "words", (10,))
    nothing = pd.DataFrame()
    return examine.Subject(
        Line("toy"), {}, test, rows(1000, 0, **of), ways, nothing, nothing, LABELS, TextSettings()
    )  # fmt: skip


def settings(**given):
    return QualityGateSettings.model_validate({"checks": CHECKS, **given})


def outcomes(found):
    return {check.name: check.outcome for check in found.checks}


def test_slices_are_judged_together_and_a_broken_one_names_its_rows():
    slices = [
        {"name": "broken", "where": "text.str.contains('[5-9]')", "floor": 0.8},
        {"name": "whole", "where": "text.str.contains('[0-4]')", "floor": 0.8},
        {"name": "close", "where": "text.str.contains('3')", "floor": 0.9},
        {"by": "source", "floor": 0.7, "metric": "f1_macro"},
        {"by": "agreement", "floor": 0.9},
    ]
    of = subject(hard=0.65)
    found = examine.sliced(of, settings(slices=slices, rows_per_check=30))
    assert outcomes(found) == {
        "slice broken: accuracy": "reject",
        "slice whole: accuracy": "pass",
        "slice close: accuracy": "cannot tell",
        "slice source film: f1_macro": "pass",
        "slice agreement: accuracy": "cannot tell",
    }
    (listed,) = found.rows
    assert set(listed["check"]) == {"slice broken: accuracy"}
    assert len(listed) == 30
    assert listed["confidence"].is_monotonic_decreasing
    assert (listed["label"] != listed["predicted"]).all()
    assert of.test.set_index("id")["text"][listed["id"]].str.contains("[5-9]").all()
    assert [plot.wide for plot in found.plots] == [True]


def test_the_worst_slices_of_validation_are_judged_on_test():
    of = subject(hard=0.6)
    strict = examine.sliced(of, settings(worst_slices={"floor": 0.75, "most": 1}))
    assert list(outcomes(strict).values()) == ["reject"]
    assert "upper case ≥ " in strict.checks[0].name
    lenient = examine.sliced(of, settings(worst_slices={"floor": 0.4, "most": 1}))
    assert outcomes(lenient) == {strict.checks[0].name: "pass"}
    assert lenient.rows == []


def test_a_sound_model_passes_its_slices_in_nearly_all_redraws():
    slices = [{"by": "label", "floor": 0.85}, {"by": "length", "floor": 0.85}]
    of = subject()
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(40):
        test = of.test.iloc[rng.integers(0, 1000, 1000)].reset_index(drop=True)
        drawn = examine.Subject(**{**vars(of), "test": test, "ways": slicing.ways(test, "words", (10,))})
        rejected += "reject" in outcomes(examine.sliced(drawn, settings(slices=slices))).values()
    assert rejected <= 2


def test_without_slices_there_is_nothing_to_draw():
    found = examine.sliced(subject(), settings())
    assert (found.checks, found.plots) == ([], [])


@pytest.mark.parametrize(("highest", "expected"), [(0.6, "pass"), (0.05, "reject")])
def test_the_brier_score_has_a_ceiling(highest, expected):
    (check,) = examine.calibrated(subject(), settings(brier_max=highest)).checks
    assert (check.name, check.outcome) == ("calibration: Brier score", expected)
    assert check.low < check.value < check.high
    assert examine.calibrated(subject(), settings()).checks == []


@pytest.mark.parametrize(
    ("metric", "column", "value"),
    [
        ("per_class.positive.recall", "label", "positive"),
        ("per_class.positive.precision", "predicted", "positive"),
        ("slices.source.film.accuracy", "source", "film"),
    ],
)
def test_a_figure_names_rows_that_it_is_about(metric, column, value, monkeypatch):
    monkeypatch.setattr(examine, "PLOTS", {})
    way, name, figure = metric.split(".")[0], metric.split(".")[1:-1], metric.split(".")[-1]
    figures = {figure: 0.1, "rows": 500}
    for part in [*reversed(name), way]:
        figures = {part: figures}
    of = examine.Subject(**{**vars(subject()), "metrics": figures})
    (listed,) = examine.figures(of, settings(checks=[{"metric": metric, "min": 0.8}])).rows
    assert set(listed[column]) == {value}
    assert (listed["label"] != listed["predicted"]).all()


def test_answers_to_other_rows_are_refused(workdir):
    table = rows(20, 0)
    given = table[["id", "predicted", "confidence", "probabilities"]].assign(logits=table["probabilities"])
    write_parquet(workdir / "rows.parquet", table)
    write_parquet(workdir / "answers.parquet", given)
    assert answered(workdir / "rows.parquet", workdir / "answers.parquet")["id"].tolist() == table["id"].tolist()
    write_parquet(workdir / "answers.parquet", given.iloc[::-1])
    with pytest.raises(DataError, match=r"answers.parquet does not hold the rows of .*Run evaluate again"):
        answered(workdir / "rows.parquet", workdir / "answers.parquet")
