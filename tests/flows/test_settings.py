import copy
from pathlib import Path

import pytest
import yaml
from toy import BEHAVIOUR, toy_params

from flows.settings import labels, load, load_behaviour
from tasks.core.errors import DataError, SettingsError
from tasks.core.files import write_json
from tasks.core.line import Line


@pytest.fixture
def two_lines(workdir):
    """The settings of the lines `one` and `two`, without their behaviour tests."""
    block = toy_params("reviews.csv", {"kind": "folder", "path": "encoder", "sha256": "0" * 64})["lines"]["toy"]
    (workdir / "params.yaml").write_text(yaml.safe_dump({"lines": {"one": block, "two": block}}))
    for name in ("one", "two"):
        (workdir / "data" / name).mkdir(parents=True)
    return load()


def test_behaviour_tests_are_read_for_each_line(two_lines, workdir):
    (workdir / "data/one/behaviour.yaml").write_text(BEHAVIOUR)
    (workdir / "data/two/behaviour.yaml").write_text("[]")
    assert {name: len(suite.tests) for name, suite in load_behaviour(two_lines).items()} == {"one": 4, "two": 0}


def test_errors_of_all_lines_are_said_at_once(two_lines, workdir):
    (workdir / "data/one/behaviour.yaml").write_text(BEHAVIOUR.replace("label: positive", "label: cheerful"))
    with pytest.raises(SettingsError) as error:
        load_behaviour(two_lines)
    assert "one/behaviour.yaml, test blame: label is 'cheerful'" in str(error.value)
    assert "two/behaviour.yaml is missing" in str(error.value)


def test_the_service_and_the_top_level_are_validated_with_the_lines(two_lines, workdir):
    params = yaml.safe_load((workdir / "params.yaml").read_text())
    params |= {"serving": {"limits": {"txts": 3}, "rate": "often", "log": {"keep_day": 1}}, "servin": {}}
    (workdir / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(SettingsError) as error:
        load()
    for said in (
        "servin: unknown key (did you mean 'serving'?)",
        "serving.limits.txts: unknown key (did you mean 'texts'?)",
        "serving.log.keep_day: unknown key (did you mean 'keep_days'?)",
        "serving.rate: must be a number per second",
    ):
        assert said in str(error.value)


def test_the_gate_is_about_sources_that_there_are(two_lines, workdir):
    params = yaml.safe_load((workdir / "params.yaml").read_text())
    params["lines"]["one"]["quality_gate"]["sources"] = ["made", "mad"]
    (workdir / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(SettingsError, match=r"lines.one: quality_gate.sources names mad; sources are made"):
        load()


def test_the_sources_that_only_train_are_sources_that_there_are(two_lines, workdir):
    params = yaml.safe_load((workdir / "params.yaml").read_text())
    params["lines"]["one"]["split"]["train_only_sources"] = ["made", "pseudo"]
    (workdir / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(SettingsError, match=r"lines.one: split.train_only_sources names pseudo; sources are made"):
        load()


def test_settings_that_mean_nothing_to_a_kind_are_refused_at_once(two_lines, workdir):
    params = yaml.safe_load((workdir / "params.yaml").read_text())
    params["lines"]["one"] = one = copy.deepcopy(params["lines"]["two"])
    two = params["lines"]["two"]
    one["kind"] = "retrieve"
    one["train"] |= {"class_weights": "balanced", "label_smoothing": 0.1, "head": "probe"}
    one["evaluate"] = {"calibration": "vector", "scope": {}}
    limits = {"agreement_min": 0.9, "gap_p95_max": 0.1, "accuracy_drop_max": 0.1, "alone_gap_p95_max": 0.1}
    two["release_gate"] = {"int8": limits | {"size_mb_max": 9, "similarity_gap_p95_max": 0.1}}
    (workdir / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(SettingsError) as error:
        load()
    for said in (
        "lines.one: train.class_weights is balanced, but a line of kind retrieve allows none alone",
        "train.label_smoothing is 0.1, but",
        "train.head is probe, but a line of kind retrieve allows new alone",
        "evaluate.calibration is vector, but a line of kind retrieve allows auto or temperature alone",
        "evaluate.scope is given, but a line of kind retrieve allows null alone",
        "lines.two: release_gate.int8.similarity_gap_p95_max is 0.1, but a line of kind classify allows null alone",
    ):
        assert said in str(error.value)


def test_a_classifier_names_its_labels_and_answers_come_from_the_data(two_lines, workdir):
    params = yaml.safe_load(Path("params.yaml").read_text())
    one = params["lines"]["one"] = copy.deepcopy(params["lines"]["one"])
    one["label"] = {"by": "column", "labels": None}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(SettingsError, match=r"lines\.one: label\.labels is missing; a line of kind classify needs it"):
        load()
    one["kind"] = "retrieve"
    Path("params.yaml").write_text(yaml.safe_dump(params))
    settings = load()["one"]
    with pytest.raises(DataError, match="`tidegate run one --until label` first"):
        labels("one", settings)
    write_json(Line("one").file("label", "labels.json"), ["card", "refund"])
    assert labels("one", settings) == ["card", "refund"]
    suite = Path("data/one/behaviour.yaml")
    suite.write_text("- {name: lost, kind: minimum, expect: card, templates: [my card is gone]}\n")
    assert load_behaviour({"one": settings})["one"].tests[0].expect == "card"
