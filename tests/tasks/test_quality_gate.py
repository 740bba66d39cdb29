import json

import numpy as np
import pandas as pd
import pytest
from conftest import labeled
from pydantic import ValidationError

from tasks import verdict
from tasks.core.errors import RejectedError
from tasks.core.files import sha256, write_json, write_parquet
from tasks.core.line import Line
from tasks.quality_gate import CheckSettings, QualityGateSettings, flatten, judge, quality_gate
from tasks.rows import LABELED
from tasks.text import TextSettings

METRICS = {
    "accuracy": 0.86,
    "roc_auc": None,
    "rows": 1000,
    "calibration": {"method": "temperature", "ece_debiased": 0.015, "band_high": 0.02, "inside_band": True},
    "slices": {
        "source": {"film": {"accuracy": 0.9, "rows": 700}, "letters.csv": {"accuracy": 0.7, "rows": 300}},
        "ambiguous": {"yes": {"accuracy": 0.5, "rows": 30}},
    },
}
PIXEL = b"\x89PNG\r\n\x1a\n"


def checked(metrics=METRICS, **check):
    return judge(CheckSettings(**check), flatten(metrics))


def outcome(**check):
    (only,) = checked(**check)
    return only.outcome


@pytest.mark.parametrize(
    ("limits", "expected"),
    [({"min": 0.86}, "pass"), ({"min": 0.861}, "reject"), ({"max": 0.86}, "pass"), ({"max": 0.8}, "reject")],
)
def test_a_limit_itself_passes(limits, expected):
    assert outcome(metric="accuracy", **limits) == expected


def test_a_star_stands_for_every_slice_and_dots_in_a_source_do_no_harm():
    found = {check.name: check for check in checked(metric="slices.source.*.accuracy", min=0.8)}
    assert {name: check.outcome for name, check in found.items()} == {
        "slices.source.film.accuracy": "pass",
        "slices.source.letters.csv.accuracy": "reject",
    }
    assert found["slices.source.letters.csv.accuracy"].rows == 300
    assert len(checked(metric="slices.*.accuracy", min=0)) == 3


def test_the_characters_of_a_path_are_taken_literally():
    assert outcome(metric="accurac.", min=0) == "reject"
    assert outcome(metric="slices.source.(.accuracy", min=0) == "reject"


@pytest.mark.parametrize(("min_rows", "expected"), [(30, "reject"), (31, "warn")])
def test_too_few_rows_warn_instead_of_rejecting(min_rows, expected):
    (check,) = checked(metric="slices.ambiguous.yes.accuracy", min=0.8, min_rows=min_rows)
    assert check.outcome == expected
    assert ("too few rows to tell" in check.note) == (expected == "warn")


def test_too_few_rows_that_pass_pass():
    assert outcome(metric="slices.ambiguous.yes.accuracy", min=0.4, min_rows=1000) == "pass"


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("acuracy", "accuracy"),
        ("slices.source.flim.accuracy", "slices.source.film.accuracy"),
        ("calibration.band", "calibration.band_high"),
    ],
)
def test_an_unknown_metric_rejects_and_names_the_nearest(wrong, nearest):
    (check,) = checked(metric=wrong, min=0)
    assert check.outcome == "reject"
    assert f"metrics.json has no {wrong}; the nearest is {nearest}" in check.note


def test_another_metric_can_be_the_limit():
    assert outcome(metric="calibration.ece_debiased", max_metric="calibration.band_high") == "pass"
    assert outcome(metric="accuracy", max_metric="calibration.band_high") == "reject"
    (check,) = checked(metric="calibration.ece_debiased", max_metric="calibration.band")
    assert check.outcome == "reject"
    assert "nearest is calibration.band_high" in check.note


def test_the_higher_of_limit_and_metric_counts():
    (check,) = checked(metric="calibration.ece_debiased", max=0.03, max_metric="calibration.band_high")
    assert check.max == 0.03
    (check,) = checked(metric="calibration.ece_debiased", max=0.01, max_metric="calibration.band_high")
    assert (check.max, check.outcome) == (0.02, "pass")


@pytest.mark.parametrize(
    "check",
    [
        {"metric": "roc_auc", "min": 0},
        {"metric": "calibration.method", "min": 0},
        {"metric": "accuracy", "max_metric": "roc_auc"},
        {"metric": "accuracy", "max": 1, "max_metric": "roc_auc"},
    ],
)
def test_what_could_not_be_measured_rejects(check):
    assert outcome(**check) == "reject"


def test_a_flag_counts_as_one():
    assert outcome(metric="calibration.inside_band", min=1) == "pass"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"checks": []}, "at least 1 item"),
        ({"checks": [{"metric": "accuracy"}]}, "needs `min`, `max` or `max_metric`"),
        ({"checks": [{"metric": "accuracy", "min": 0.9, "max": 0.8}]}, "nothing could pass"),
        ({"checks": [{"metric": "accuracy", "min": float("nan")}]}, "finite"),
        ({}, "Field required"),
    ],
)
def test_wrong_settings_are_refused(wrong, message):
    with pytest.raises(ValidationError, match=message):
        QualityGateSettings.model_validate(wrong)


def write_tables(line, train=None):
    """Sides without copies of one another, and predictions that are right and sure."""
    rows = labeled(160)
    sides = {"train": rows[:20] if train is None else train(rows), "validation": rows[20:40], "test": rows[40:]}
    for side, frame in sides.items():
        write_parquet(line.file("split", f"{side}.parquet"), frame, LABELED)
    write_json(line.file("label", "labels.json"), ["negative", "positive"])
    good = (rows[40:]["label"] == "positive").to_numpy()
    probabilities = list(np.where(good[:, None], [0.1, 0.9], [0.9, 0.1]))
    predictions = rows[40:][["id", "split_key", "source", "label"]].assign(probabilities=probabilities)
    write_parquet(line.file("evaluate", "predictions.parquet"), predictions)


def run(folder, *checks, metrics=METRICS, train=None):
    line = Line("toy")
    write_json(line.file("evaluate", "metrics.json"), metrics)
    for name in ("confusion.png", "reliability.png"):
        line.file("evaluate", name).write_bytes(PIXEL)
    write_tables(line, train)
    folder.mkdir()
    settings = QualityGateSettings.model_validate({"checks": checks, "leakage": {"max_near": 1}})
    quality_gate(line, settings, TextSettings(), folder)
    return (folder / "gate.html").read_text(encoding="utf-8")


def test_a_passed_gate_lets_export_through(workdir):
    page = run(workdir / "out", {"metric": "accuracy", "min": 0.8})
    assert verdict.require(workdir / "out" / "verdict.json").verdict == "pass"
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page


def test_a_rejection_is_written_with_its_evidence_and_stops_export(workdir):
    page = run(workdir / "out", {"metric": "accuracy", "min": 0.9}, {"metric": "rows", "min": 1})
    with pytest.raises(RejectedError, match=r"accuracy is 0.86, at least 0.9 is needed") as error:
        verdict.require(workdir / "out" / "verdict.json")
    assert error.value.exit_code == 3
    assert "1 of 7 checks reject" in page
    assert "✗ reject" in page


def test_a_copy_in_train_rejects_and_its_row_is_named(workdir):
    page = run(workdir / "out", {"metric": "accuracy", "min": 0.8}, train=lambda rows: rows[:41])
    assert "1 of 6 checks reject: leakage.test.exact is" in page
    rows = pd.read_parquet(workdir / "out" / "rows.parquet")
    exact = rows[rows["check"] == "leakage.test.exact"]
    assert exact[["id", "other_id", "why"]].to_numpy().tolist() == [["r40", "r40", "exact copy in train"]]


def test_many_rejections_leave_the_summary_short(workdir):
    metrics = {"per_class": {f"label{n}": {"recall": 0.1, "rows": 9} for n in range(40)}}
    page = run(workdir / "out", {"metric": "per_class.*.recall", "min": 0.8}, metrics=metrics)
    assert "; and 37 more" in page
    assert len(verdict.read(workdir / "out" / "verdict.json").rejections()) == 40


def test_the_page_escapes_what_a_source_is_called(workdir):
    metrics = {"slices": {"source": {"<script>x</script>": {"accuracy": 0.5, "rows": 2}}}}
    page = run(workdir / "out", {"metric": "slices.*.accuracy", "min": 0.8}, metrics=metrics)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_same_metrics_give_the_same_bytes(workdir):
    for name in ("one", "two"):
        run(workdir / name, {"metric": "slices.*.accuracy", "min": 0.8, "min_rows": 50})
    assert sha256(workdir / "one") == sha256(workdir / "two")
    assert json.loads((workdir / "one" / "verdict.json").read_text())["gate"] == "quality_gate"
