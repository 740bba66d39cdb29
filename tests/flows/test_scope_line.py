"""A line of kind classify with rows out of scope: ten stages, a release, the service and a scored file."""

import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from answers import answered, labelled, put
from releases import Kept
from toy import ABOUT, odd_questions, question_params, questions, walked

from flows.window import Span, reference, stream
from serving.batch import predict_file
from serving.batcher import BatchSettings
from serving.deployment import Pointer, ServingFolder
from serving.hub import Hub
from serving.log.database import migrate, open_database
from serving.log.rows import Encoder
from serving.log.settings import LogSettings
from serving.metrics import Metrics
from tasks.bundle import load_release, release_id
from tasks.core.files import read_json, read_parquet, sha256
from tasks.core.line import Line
from tasks.drift.tallies import Tallies

LINE = Line("toy")
BUNDLE = LINE.folder / "release/bundle"
BEHAVIOUR = """
tests:
  - {name: plain, kind: minimum, expect: music, templates: ["is the music good"]}
"""
ASKED, ODD = "is the music good", "where do i leave my dog"


def made(folder, encoder, odd):
    params = question_params("questions.csv", encoder, "classify")
    line = params["lines"]["toy"]
    line["train"] |= {"epochs": 8, "batch_size": 16}
    if odd:
        line["label"]["out_of_scope"] = "oos"
        line["evaluate"]["scope"] = {"false_accept": 0.1}
        line["quality_gate"]["checks"].append({"metric": "scope.recall", "min": 0.5})
    return walked(folder, params, pd.concat([questions(400), odd_questions(odd)]), BEHAVIOUR)


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_encoder):
    return made(tmp_path_factory.mktemp("scope") / "checkout", tiny_encoder, odd=80)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, tiny_encoder):
    return made(tmp_path_factory.mktemp("plain") / "checkout", tiny_encoder, odd=0)


def read(folder, stage, name):
    return read_json(folder / LINE.file(stage, name))


def test_rows_out_of_scope_are_no_class_and_on_no_side(project):
    assert read(project, "label", "labels.json") == sorted(ABOUT)
    assert read(project, "label", "report.json")["out_of_scope"] == 80
    for side in ("train", "validation", "test"):
        assert "oos" not in set(read_parquet(project / LINE.file("split", f"{side}.parquet"))["label"])
    rows = read_parquet(project / LINE.file("split", "out_of_scope.parquet"))
    assert rows["label"].eq("oos").all() and len(rows) == 80
    assert read(project, "split", "report.json")["out_of_scope"] == {
        side: int((rows["side"] == side).sum()) for side in ("train", "reserve", "validation", "test")
    }


def test_the_threshold_is_fitted_and_judged(project):
    told = read(project, "evaluate", "metrics.json")["scope"]
    fitted = read(project, "evaluate", "calibration.json")["scope"]
    assert told["threshold"] == pytest.approx(fitted["threshold"], abs=1e-6)
    assert (fitted["fitted_to"], fitted["score"], fitted["false_accept"]) == ("false_accept", "energy", 0.1)
    assert told["recall_low"] <= told["recall"] <= told["recall_high"]
    assert told["recall"] > 0.5 and told["roc_auc"] > 0.9
    assert told["accuracy"] <= read(project, "evaluate", "metrics.json")["accuracy"]
    assert told["fit_rows"] + told["out_of_scope_rows"] == 80


def test_the_gates_hold_it_and_the_release_brings_a_threshold_for_each_variant(project):
    checks = {check["name"]: check for check in read(project, "quality_gate", "verdict.json")["checks"]}
    assert checks["scope.recall"]["outcome"] == "pass"
    checks = {check["name"]: check for check in read(project, "release_gate", "verdict.json")["checks"]}
    assert checks["fp32.scope_recall_drop"]["value"] == 0
    assert checks["fp32.scope_accuracy_drop"]["value"] == 0
    assert {"int8.scope_recall_drop", "int8.scope_accuracy_drop"} < set(checks)
    scope = read_json(project / BUNDLE / "signature.json")["scope"]
    assert scope["fp32"]["threshold"] != scope["int8"]["threshold"]
    assert "## Out of scope" in (project / BUNDLE / "MODEL_CARD.md").read_text()


def test_rows_out_of_scope_change_nothing_else(project, plain):
    """What a line without them writes is byte for byte the same."""
    for stage, names in {
        "split": ["train.parquet", "validation.parquet", "test.parquet", "reserve.parquet"],
        "train": ["model.safetensors", "history.json"],
        "evaluate": ["predictions.parquet", "validation.parquet", "behaviour.parquet", "contract.json"],
        "export": ["variants"],
    }.items():
        for name in names:
            assert sha256(project / LINE.file(stage, name)) == sha256(plain / LINE.file(stage, name)), name
    for stage, name in (("evaluate", "metrics.json"), ("evaluate", "calibration.json"), ("export", "signature.json")):
        known = read(project, stage, name)
        assert "scope" in known
        assert {key: value for key, value in known.items() if key != "scope"} == read(plain, stage, name)
    assert "scope" not in (plain / BUNDLE / "MODEL_CARD.md").read_text()
    assert not [c for c in read(plain, "release_gate", "verdict.json")["checks"] if "scope" in c["name"]]


@pytest.fixture
def ask(project, workdir):
    """What the service says of some texts, with the recorder that keeps what it logs."""
    shutil.copy(project / "params.yaml", "params.yaml")
    folder = ServingFolder(".tidegate/serving")
    folder.put("toy", project / BUNDLE)
    folder.point(Pointer(line="toy", release=release_id(project / BUNDLE), version="v0.0.1", variant="int8"))
    kept, metrics = Kept(), Metrics()
    hub = Hub(folder, workdir / "cache", BatchSettings(workers=1), metrics, kept, poll_seconds=0.02)
    hub.start()

    def asked(*texts):
        deadline = time.monotonic() + 60
        reply = hub.line("toy").submit(list(texts), request_id="r", source="tests", deadline=deadline).result(60)
        return reply, kept, metrics

    asked.line = hub.line("toy")
    yield asked
    hub.stop(60)


def test_the_service_tells_what_is_out_of_scope_beside_its_best_guess(ask):
    reply, kept, metrics = ask(ASKED, ODD)
    assert reply.in_scope == [True, False]
    assert reply.labels[0] == "music" and reply.labels[1] in ABOUT
    assert kept.answers[0].in_scope == reply.in_scope
    assert kept.answers[0].labels == reply.labels, "the log keeps labels that the line has, as drift checks want them"
    counted = [s.value for m in metrics.out_of_scope.collect() for s in m.samples if s.name.endswith("_total")]
    assert counted == [1]


def test_people_may_say_that_a_text_is_out_of_scope(ask, project):
    assert ask.line.truths == [*sorted(ABOUT), "oos"] and ask.line.champion.tells_scope
    known = reference(project / BUNDLE, "int8", 8, 100, 0)
    engine = open_database("sqlite:///log.db")
    migrate(engine)
    given = [labelled(position=0, label="label0", line="toy"), labelled(position=1, label="oos", line="toy")]
    put(engine, Encoder(LogSettings()), answered(texts=["a", "b", "c"], line="toy"), *given)
    span = Span("toy", "0123456789ab", None, datetime.now(UTC) + timedelta(minutes=1))
    seen = stream(engine, span, known, Tallies.of(known.window), 10, 0)
    assert (seen.rows, seen.labelled, seen.sample.true_label) == (3, 1, ["label0", None, None])
    engine.dispose()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_scored_file_has_it_too(project, plain, tmp_path, kind):
    source, output = tmp_path / f"in.{kind}", tmp_path / f"out.{kind}"
    write = {"csv": lambda f: f.to_csv(source, index=False), "parquet": lambda f: f.to_parquet(source),
             "jsonl": lambda f: f.to_json(source, orient="records", lines=True)}  # fmt: skip
    write[kind](pd.DataFrame({"text": [ASKED, ODD, None]}))
    load = {"csv": pd.read_csv, "parquet": pd.read_parquet, "jsonl": lambda path: pd.read_json(path, lines=True)}
    predict_file(project / BUNDLE, source, output, variant="fp32")
    found = load[kind](output)
    assert list(found.columns[:4]) == ["text", "label", "in_scope", "confidence"]
    assert found["in_scope"].tolist()[:2] == [True, False] and pd.isna(found["in_scope"][2])
    output.unlink()
    predict_file(plain / BUNDLE, source, output, variant="fp32")
    assert "in_scope" not in load[kind](output).columns


def test_another_checkout_and_its_path_change_nothing(project):
    manifest = load_release(project / BUNDLE)
    assert manifest.labels == sorted(ABOUT)
    assert str(project) not in Path(project / BUNDLE / "signature.json").read_text()
