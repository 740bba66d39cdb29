import pytest
from pydantic import ValidationError

from tasks.limits import CheckSettings, flatten, judge
from tasks.quality_gate import QualityGateSettings

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
