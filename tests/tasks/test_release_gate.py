import shutil
from dataclasses import replace

import numpy as np
import pytest

from tasks import release_gate as stage
from tasks import verdict
from tasks.core.errors import DataError, StageError
from tasks.core.files import read_json, read_parquet, write_json, write_parquet
from tasks.core.line import Line
from tasks.inference import Model, read_signature
from tasks.kinds.classify import gates
from tasks.kinds.common.gates import _runs
from tasks.release_gate import ReleaseGateSettings, VariantLimits, decide, release_gate
from tasks.timings import peak_memory
from tasks.verdict import Check


def check(name, outcome="pass"):
    return Check(name=name, value=0.5, outcome=outcome, note="seen")


def test_all_variants_that_pass_are_admissible():
    decided = decide({v: [check(f"{v}.accuracy"), check(f"{v}.agreement")] for v in ("int8", "fp32")})
    assert decided.verdict == "pass"
    assert decided.details == {"admissible": ["fp32", "int8"]}


def test_a_variant_that_fails_is_dropped_with_a_warning():
    decided = decide(
        {"fp32": [check("fp32.accuracy")], "int8": [check("int8.size_mb", "reject"), check("int8.gap_p95")]}
    )
    assert decided.verdict == "pass"
    assert decided.details["admissible"] == ["fp32"]
    assert [(c.outcome, c.note) for c in decided.checks if c.name == "int8.size_mb"] == [
        ("warn", "seen; int8 is not released")
    ]


def test_fp32_may_be_dropped_for_its_size_but_not_for_its_answers():
    large = {"fp32": [check("fp32.size_mb", "reject")], "int8": [check("int8.accuracy")]}
    assert decide(large).details["admissible"] == ["int8"]
    for name in ("agreement", "gap_p95", "accuracy_drop"):
        wrong = {"fp32": [check(f"fp32.{name}", "reject")], "int8": [check("int8.accuracy")]}
        assert decide(wrong).verdict == "reject"
        assert decide(wrong).details["admissible"] == []


def test_nothing_admissible_rejects_and_names_every_reason():
    decided = decide({v: [check(f"{v}.accuracy", "reject")] for v in ("fp32", "int8")})
    assert decided.verdict == "reject"
    assert len(decided.rejections()) == 2


def test_the_verdict_of_a_line(released):
    decided = verdict.read(released / "data/sentiment/release_gate/verdict.json")
    assert decided.verdict == "pass"
    assert decided.details["admissible"] == ["fp32", "int8"]
    names = {c.name for c in decided.checks}
    assert names == {"labels", "tokenizer"} | {
        f"{variant}.{name}"
        for variant in ("fp32", "int8")
        for name in (
            "agreement", "gap_p95", "accuracy", "accuracy_drop", "calibration",
            "shapes_failed", "alone_gap_p95", "size_mb",
        )
    }  # fmt: skip
    values = {c.name: c.value for c in decided.checks}
    assert values["fp32.agreement"] == 1
    assert values["fp32.accuracy"] == pytest.approx(0.9)
    assert 0 < values["int8.gap_p95"] < 0.15
    page = (released / "data/sentiment/release_gate/gate.html").read_text()
    assert "fp32, int8" in page
    assert "fp32.agreement" in page
    assert "int8 beside torch" in page
    assert read_parquet(released / "data/sentiment/release_gate/rows.parquet").empty


def test_timings_stand_beside_and_no_stage_reads_them(released):
    found = read_json(released / "data/sentiment/release_gate/timings.json")
    for variant in ("fp32", "int8"):
        assert 0 < found[variant]["p50_ms"] <= found[variant]["p95_ms"]
        assert found[variant]["texts_per_second"] > 1
        assert 10 < found[variant]["peak_memory_mb"] < 2000
    assert "timings.json" not in (released / "dvc.yaml").read_text()


@pytest.fixture
def line(released, tmp_path, monkeypatch):
    """The line up to its export, in a folder of its own, with nobody measuring time."""
    for part in ("split", "train", "evaluate", "export"):
        shutil.copytree(released / "data/sentiment" / part, tmp_path / "data/sentiment" / part)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stage, "timings", lambda *_: {})
    return Line("sentiment")


def judged(line, out, **settings):
    out.mkdir()
    release_gate(line, ReleaseGateSettings(calibration_slack=0.2, **settings), out)
    assert (out / "gate.html").exists()
    return verdict.read(out / "verdict.json")


def test_other_answers_than_torch_s_reject_whatever_int8_does(line, tmp_path):
    path = line.file("evaluate", "predictions.parquet")
    frame = read_parquet(path)
    frame["probabilities"] = [p[::-1] if n % 9 == 0 else p for n, p in enumerate(frame["probabilities"])]
    turned = {"negative": "positive", "positive": "negative"}
    frame["predicted"] = [turned[p] if n % 9 == 0 else p for n, p in enumerate(frame["predicted"])]
    write_parquet(path, frame)
    loose = VariantLimits(agreement_min=0, gap_p95_max=1, accuracy_drop_max=1, alone_gap_p95_max=1, size_mb_max=1)
    decided = judged(line, tmp_path / "out", int8=loose)
    assert decided.verdict == "reject"
    assert "fp32.agreement is 0.8833, at least 0.999 is needed" in decided.rejections()
    rows = read_parquet(tmp_path / "out/rows.parquet")
    assert (rows["check"] == "fp32.agreement").sum() == 14
    assert set(rows.loc[rows["check"] == "fp32.agreement", "id"]) == {f"test{n}" for n in range(0, 120, 9)}
    assert rows["why"].str.startswith("torch answers ").any()


def test_a_flipped_order_of_labels_is_found_by_its_check(line, tmp_path):
    path = line.file("export", "signature.json")
    signature = read_json(path)
    write_json(path, {**signature, "labels": signature["labels"][::-1]})
    decided = judged(line, tmp_path / "out")
    assert decided.verdict == "reject"
    assert [c.name for c in decided.checks if c.outcome == "reject"] == ["labels"]
    assert decided.rejections() == ["labels is 2, at most 0 is needed (evaluate used negative, positive)"]
    assert decided.details["admissible"] == []
    rows = read_parquet(tmp_path / "out/rows.parquet")
    assert set(rows["check"]) == {"labels"}
    assert len(rows) == 100  # of 120, as params cap them
    assert rows["confidence"].is_monotonic_decreasing


def test_names_are_compared_where_the_graph_turned_its_outputs(line):
    signature = read_signature(line.file("export", "signature.json"))
    turned = signature.model_copy(update={"labels": signature.labels[::-1]})
    truth = gates.measured(line, signature)
    model = Model.open(line.folder / "export/variants", line.file("train", "tokenizer.json"), turned, "fp32")
    found = gates.checks(model, truth, ReleaseGateSettings().fp32, ReleaseGateSettings())
    assert {c.name: c.value for c in found.checks}["fp32.agreement"] == 0


def wrong_tokenizer(line):
    """Two words change places in the vocabulary: every id still exists."""
    path = line.file("train", "tokenizer.json")
    content = read_json(path)
    vocabulary = content["model"]["vocab"]
    vocabulary["great"], vocabulary["awful"] = vocabulary["awful"], vocabulary["great"]
    write_json(path, content)


def test_a_wrong_tokenizer_is_found_by_its_check(line, tmp_path):
    wrong_tokenizer(line)
    decided = judged(line, tmp_path / "out")
    assert [c.name for c in decided.checks if c.outcome == "reject"] == ["tokenizer"]
    rows = read_parquet(tmp_path / "out/rows.parquet")
    texts = read_parquet(line.file("split", "test.parquet")).set_index("id")["text"]
    assert len(rows) > 10
    assert texts[rows["id"]].str.contains("great|awful").all()


def test_a_tokenizer_that_cuts_elsewhere_is_found(line, tmp_path):
    path = line.file("export", "signature.json")
    write_json(path, {**read_json(path), "max_length": 32})
    decided = judged(line, tmp_path / "out")
    (sentence,) = decided.rejections()
    assert "evaluate cut texts at 64 tokens, the export cuts them at 32" in sentence


def test_too_large_a_variant_is_dropped(line, tmp_path):
    strict = ReleaseGateSettings().int8.model_copy(update={"size_mb_max": 0.001})
    decided = judged(line, tmp_path / "out", int8=strict)
    assert decided.verdict == "pass"
    assert decided.details["admissible"] == ["fp32"]


def test_a_floor_of_accuracy_can_be_set(line, tmp_path):
    floors = {
        name: getattr(ReleaseGateSettings(), name).model_copy(update={"accuracy_min": 0.99})
        for name in ("fp32", "int8")
    }
    decided = judged(line, tmp_path / "out", **floors)
    assert {c.name for c in decided.checks if c.outcome == "reject"} == {"fp32.accuracy", "int8.accuracy"}


def test_predictions_of_other_rows_are_refused(line, tmp_path):
    path = line.file("evaluate", "predictions.parquet")
    write_parquet(path, read_parquet(path).iloc[::-1])
    with pytest.raises(DataError, match=r"does not hold the rows of .* Run evaluate again"):
        judged(line, tmp_path / "out")


def test_a_label_that_the_model_does_not_know_is_refused(line, tmp_path):
    path = line.file("split", "test.parquet")
    frame = read_parquet(path)
    frame.loc[0, "label"] = "so so"
    write_parquet(path, frame)
    with pytest.raises(DataError, match="labels that the model does not know; it knows negative, positive"):
        judged(line, tmp_path / "out")


class Stiff:
    """A session that runs one shape only."""

    def __init__(self, session):
        self.session = session

    def run(self, outputs, inputs):
        if inputs["input_ids"].shape[0] == 7:
            raise RuntimeError("shape")
        return self.session.run(outputs, inputs)


def test_shapes_that_do_not_run_are_counted_and_named(released):
    folder = released / "data/sentiment"
    signature = read_signature(folder / "export/signature.json")
    model = Model.open(folder / "export/variants", folder / "train/tokenizer.json", signature, "fp32")
    assert _runs("fp32.shapes_failed", model, gates.sums_to_one).outcome == "pass"
    stiff = _runs("fp32.shapes_failed", replace(model, session=Stiff(model.session)), gates.sums_to_one)
    assert (stiff.outcome, stiff.value, stiff.note) == ("reject", 3, "7x2, 7x16, 7x64")


def test_peak_memory_counts_what_was_given_back():
    before = peak_memory()
    np.ones(40_000_000 // 8).sum()
    assert before > 1e6
    assert peak_memory() >= before


def test_a_variant_that_takes_what_torch_refuses_is_dropped(line, tmp_path):
    rows = read_parquet(line.file("split", "test.parquet"))[:40]
    write_parquet(line.file("split", "out_of_scope.parquet"), rows.assign(side="test"))
    path = line.file("evaluate", "metrics.json")
    write_json(path, read_json(path) | {"scope": {"recall": 0.8, "accuracy": 0.9}})
    path = line.file("export", "signature.json")
    bounds = {"fp32": {"score": "energy", "threshold": 1e9}, "int8": {"score": "energy", "threshold": -1e9}}
    write_json(path, read_json(path) | {"scope": bounds})
    found = {check.name: check for check in judged(line, tmp_path / "out").checks}
    assert {name: found[f"fp32.scope_{name}_drop"].value for name in ("recall", "accuracy")} == pytest.approx(
        {"recall": -0.2, "accuracy": 0.9}
    )
    assert found["int8.scope_recall_drop"].value == pytest.approx(0.8)
    assert (found["int8.scope_accuracy_drop"].outcome, found["int8.scope_recall_drop"].outcome) == ("pass", "reject")


def test_a_signature_without_a_threshold_of_each_variant_is_broken(line):
    path = line.file("export", "signature.json")
    write_json(path, read_json(path) | {"scope": {"fp32": {"score": "energy", "threshold": 0.0}}})
    with pytest.raises(StageError, match=r"signature.json is broken"):
        read_signature(path)
