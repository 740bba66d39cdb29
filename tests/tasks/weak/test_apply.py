"""Stage label with labelling functions: what they fill in, what they leave, what is told."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tasks import verdict
from tasks.core.errors import DataError
from tasks.core.files import read_json, write_parquet
from tasks.core.line import Line
from tasks.core.stage import declared, fingerprint
from tasks.label import LabelSettings, label
from tasks.rows import LABELED, RAW
from tasks.verdict import Check, Verdict

LINE = Line("made")
RULES = """
def warm(text: str) -> str | None:
    return "good" if "warm" in text else None

def cold(text: str) -> str | None:
    return "bad" if "cold" in text else None

def loud(text: str) -> str | None:
    return "bad" if "loud" in text else None
"""
TEXTS = ["warm", "cold loud", "warm cold", "quiet", "loud", "warm loud cold", "cold", "warm"]
GIVEN = [None, None, None, None, None, "good", "bad", "good"]


def run(texts=TEXTS, given=GIVEN, ratings=None, rules=RULES, functions=(), **settings):
    if rules is not None:
        (LINE.folder / "labelling").mkdir(parents=True, exist_ok=True)
        (LINE.folder / "labelling" / "rules.py").write_text(rules)
    frame = pd.DataFrame({"id": [f"r{n}" for n in range(len(texts))], "text": texts, "label": given, "source": "made"})
    frame["created_at"] = pd.Series([pd.NaT] * len(texts), dtype="datetime64[us, UTC]")
    frame["split_key"] = [f"{n:032x}" for n in range(len(texts))]
    frame["ratings"], frame["votes"], frame["group"] = ratings or [None] * len(texts), None, None
    write_parquet(LINE.file("validate", "rows.parquet"), frame[RAW.names], RAW)
    passed = Verdict.of("validate", [Check(name="rows", value=1, outcome="pass")])
    verdict.write(LINE.file("validate", "verdict.json"), passed)
    block = {
        "by": "column",
        "labels": ["bad", "good"],
        "functions": None if functions is None else dict(functions),
    } | settings
    label(LINE, LabelSettings(**block), LINE.folder / "label")
    return pd.read_parquet(LINE.file("label", "labeled.parquet")), read_json(LINE.file("label", "report.json"))


def test_functions_label_what_people_did_not(workdir):
    import pyarrow.parquet as pq

    frame, report = run()
    kept = frame.set_index("id")
    assert kept["label"].to_dict() == {
        "r0": "good", "r1": "bad", "r2": kept.loc["r2", "label"], "r4": "bad", "r5": "good", "r6": "bad", "r7": "good",
    }  # fmt: skip
    assert kept["decided_by"].tolist() == ["functions"] * 4 + ["column"] * 3
    assert kept.loc["r1", "confidence"] > kept.loc["r4", "confidence"] > 0.5
    assert kept.loc["r0", "soft"] == pytest.approx([1 - kept.loc["r0", "confidence"], kept.loc["r0", "confidence"]])
    assert kept.loc[["r5", "r6", "r7"], "soft"].isna().all(), "what people said stays as it is"
    assert report["functions"]["rows"] == 5
    assert report["functions"]["labeled"] == 4
    assert report["functions"]["left_out"] == {"all_abstain": 1, "too_few_votes": 0, "unsure": 0}
    assert pq.read_schema(LINE.file("label", "labeled.parquet")).equals(LABELED)


def test_the_report_tells_coverage_overlaps_conflicts_and_accuracy(workdir, caplog):
    with caplog.at_level(logging.INFO, "tidegate"):
        _, report = run()
    cold = report["functions"]["functions"]["rules.cold"]
    assert cold["labels"] == ["bad"]
    assert (cold["coverage"], cold["overlaps"], cold["conflicts"]) == (4 / 8, 3 / 8, 2 / 8)
    assert (cold["known"]["rows"], cold["known"]["accuracy"]) == (2, 0.5)
    assert 0 < cold["known"]["low"] < 0.5 < cold["known"]["high"] < 1
    assert report["functions"]["functions"]["rules.loud"]["known"]["accuracy"] == 0
    assert report["functions"]["accuracy"]["rows"] == 3
    assert "rules.cold  bad     50.0%     37.5%     25.0%      50.0%" in caplog.text


def test_what_the_functions_are_not_sure_of_is_left_out(workdir):
    frame, report = run(functions={"min_votes": 2})
    assert report["functions"]["left_out"] == {"all_abstain": 1, "too_few_votes": 2, "unsure": 0}
    frame, report = run(functions={"min_confidence": 0.9, "leave_out": ["rules.loud"]})
    assert not (frame["decided_by"] == "functions").any()
    assert report["functions"]["left_out"]["unsure"] == 3


def test_a_tie_decides_nothing(workdir):
    _, report = run(["warm cold"] * 2 + ["x", "y"], [None, None, "good", "bad"], functions={"accuracy": 0.8})
    assert report["functions"]["left_out"]["unsure"] == 2


def test_raters_who_disagree_are_not_overruled(workdir):
    ratings = [[1, 2], [-1, 1], None, [-2, -3]]
    frame, report = run(["a", "warm", "warm", "b"], [None] * 4, ratings, by="ratings")
    assert frame["decided_by"].tolist() == ["ratings", "functions", "ratings"]
    assert report["functions"]["rows"] == 1
    assert np.isnan(frame["agreement"].iloc[1])


def test_sources_that_are_doubted_measure_no_function(workdir):
    _, report = run(functions={"doubted_sources": ["made"]})
    assert report["functions"]["accuracy"] is None
    assert report["functions"]["functions"]["rules.cold"]["known"] is None


def test_without_the_setting_no_function_is_loaded(workdir, caplog):
    with caplog.at_level(logging.INFO, "tidegate"):
        frame, report = run(rules="1 / 0", functions=None)
    assert len(frame) == 3
    assert "functions" not in report
    assert "label.functions is not set: no function votes" in caplog.text


def test_a_function_that_fails_leaves_what_was_there(workdir):
    with pytest.raises(DataError, match=r"rules\.py: rule raises ZeroDivisionError"):
        run(rules="def rule(text: str) -> str | None:\n    1 / 0\n")
    assert not LINE.file("label", "labeled.parquet").exists()
    assert LINE.file("validate", "rows.parquet").exists()


def test_settings_that_do_not_fit_are_said(workdir):
    with pytest.raises(ValidationError, match=r"functions\.shares needs a share for each label"):
        LabelSettings(by="column", labels=["a", "b"], functions={"shares": {"a": 0.5, "c": 0.5}})
    with pytest.raises(ValidationError, match="sum to 1"):
        LabelSettings(by="column", labels=["a", "b"], functions={"shares": {"a": 0.5, "b": 0.6}})


def test_editing_a_function_concerns_label_and_no_other_stage(checkout):
    import yaml

    made = Line("toy")
    rules = made.folder / "labelling" / "rules.py"
    rules.parent.mkdir(parents=True)
    rules.write_text(RULES)
    stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    assert [stage for stage in stages if str(rules.parent) in declared(stage, made)["deps"]] == ["label"]
    Path("params.yaml").write_text("lines: {toy: {kind: classify}}")
    for name in ("rows.parquet", "verdict.json"):
        made.file("validate", name).parent.mkdir(parents=True, exist_ok=True)
        made.file("validate", name).write_text("x")
    before = fingerprint("label", made)
    rules.write_text(RULES.replace("warm", "hot"))
    after = fingerprint("label", made)
    assert {name for name in after if after[name] != before[name]} == {str(rules.parent)}
