"""A whole line of kind retrieve on a tiny encoder: ten stages, a release, and the service that answers with it."""

import importlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import copy_code
from toy import ABOUT, questions, retrieve_params

from flows.settings import load
from tasks.bundle import load_release, release_id
from tasks.core.files import read_json
from tasks.core.line import Line
from tasks.core.stage import execute
from tasks.inference import Model
from tasks.sync import sync

LINE = Line("toy", "retrieve")
STAGES = [
    "ingest", "validate", "label", "split", "train", "evaluate", "quality_gate", "export", "release_gate", "release",
]  # fmt: skip
BUNDLE = LINE.folder / "release/bundle"
BEHAVIOUR = """
tests:
  - {name: plain, kind: minimum, expect: music, templates: ["is the music good"]}
"""


def walked(folder, encoder):
    """A checkout in which the line has gone through all stages."""
    copy_code(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        questions(400).to_csv("questions.csv", index=False)
        Path("params.yaml").write_text(yaml.safe_dump(retrieve_params("questions.csv", encoder)))
        LINE.folder.mkdir(parents=True)
        (LINE.folder / "expectations.yaml").write_text("[]\n")
        (LINE.folder / "behaviour.yaml").write_text(BEHAVIOUR)
        settings = load()["toy"]
        sync(LINE, settings.sources, settings.text)
        for stage in STAGES:
            execute(getattr(importlib.import_module(f"tasks.{stage}"), stage), "toy")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_encoder):
    return walked(tmp_path_factory.mktemp("retrieve") / "checkout", tiny_encoder)


def test_texts_that_were_held_out_find_their_answer(project):
    metrics = read_json(project / LINE.file("evaluate", "metrics.json"))
    assert metrics["recall_at_1"] == metrics["accuracy"] > 0.9
    assert metrics["recall_at_1"] <= metrics["mrr_at_10"] <= metrics["recall_at_5"] == 1, "there are three answers"
    assert metrics["mrr_at_10_low"] <= metrics["mrr_at_10"] <= metrics["mrr_at_10_high"]
    assert metrics["calibration"]["method"] == "temperature"
    assert metrics["behaviour"]["plain"]["failed"] == 0


def test_both_variants_are_admissible_and_bring_their_base(project):
    manifest = load_release(project / BUNDLE)
    assert (manifest.kind, manifest.labels, manifest.admissible) == ("retrieve", sorted(ABOUT), ["fp32", "int8"])
    train = pq.read_table(project / LINE.file("split", "train.parquet"))
    for variant in manifest.admissible:
        assert f"{variant}.answers.parquet" in manifest.files
        base = pq.read_table(project / BUNDLE / f"{variant}.answers.parquet")
        assert base["id"].to_pylist() == sorted(train["id"].to_pylist())
        lengths = np.linalg.norm(np.array(base["embedding"].to_pylist()), axis=1)
        assert lengths == pytest.approx(1, abs=1e-5)


def test_the_release_answers_alone_and_elsewhere(project, tmp_path):
    bundle = shutil.copytree(project / BUNDLE, tmp_path / "bundle")
    for variant in ("fp32", "int8"):
        answers = Model.load(bundle, variant).predict(["is the music good", "was the director bad"])
        assert answers.labels.tolist() == ["music", "people"]
        assert answers.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert (answers.similarities.argmax(axis=1) == answers.probabilities.argmax(axis=1)).all()


def test_fp32_is_as_near_to_the_answers_as_torch(project):
    verdict = read_json(project / LINE.file("release_gate", "verdict.json"))
    checks = {check["name"]: check for check in verdict["checks"]}
    assert checks["fp32.similarity_gap_p95"]["value"] < 1e-4
    assert checks["fp32.agreement"]["value"] == 1
    assert checks["int8.similarity_gap_p95"]["value"] > checks["fp32.similarity_gap_p95"]["value"]
    assert all(check["outcome"] == "pass" for check in checks.values())


@pytest.mark.long
def test_another_checkout_makes_the_same_release(project, tmp_path, tiny_encoder):
    other = walked(tmp_path / "elsewhere", tiny_encoder)
    assert release_id(other / BUNDLE) == release_id(project / BUNDLE)


def test_the_service_answers(project, tmp_path):
    from serving.deployment import Pointer, ServingFolder
    from serving.served import Choice, load

    folder = ServingFolder(str(tmp_path / "serving"))
    folder.put("toy", project / BUNDLE)
    release = release_id(project / BUNDLE)
    folder.point(Pointer(line="toy", release=release, version="v0.0.1", variant="int8"))
    served = load(folder, "toy", Choice.of(folder.pointer("toy")), tmp_path / "cache", threads=1)
    (row,) = served.compute(["is the ending <b>lovely</b>"])
    assert row.label == "ending"
    assert row.probabilities.argmax() == served.labels.index("ending")
