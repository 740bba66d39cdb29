"""What a real `make run` left: the default line, its verdicts, its release, and a second run that does nothing."""

from pathlib import Path

import pytest
from commands import dvc, tidegate

from tasks.core.files import read_json
from tasks.release import load_release, release_id
from tasks.verdict import read

pytestmark = pytest.mark.outcome

ROOT = Path(__file__).parent.parent.parent
LINE = ROOT / "data" / "sentiment"


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_all_rows_of_the_default_data_came_through():
    provenance = read_json(LINE / "ingest" / "provenance.json")
    assert provenance["rows"] == 10_605


def test_the_model_is_as_good_as_the_recipe_promises():
    metrics = read_json(LINE / "evaluate" / "metrics.json")
    assert metrics["rows"] > 2000
    assert metrics["accuracy"] > 0.84  # 0.86 less three standard errors of the test set
    assert metrics["f1_macro"] > 0.84


@pytest.mark.parametrize("gate", ["validate", "quality_gate", "release_gate"])
def test_every_gate_passed_on_evidence(gate):
    verdict = read(LINE / gate / "verdict.json")
    assert verdict.verdict == "pass"
    assert verdict.checks


def test_the_release_is_whole_and_in_the_store():
    bundle = LINE / "release" / "bundle"
    load_release(bundle)
    stored = ROOT / ".tidegate" / "releases" / "sentiment" / release_id(bundle)
    load_release(stored)
    assert (stored / "provenance.json").exists()
    assert {path.name for path in bundle.glob("*.onnx")} == {"fp32.onnx", "int8.onnx"}


def test_a_second_run_does_nothing_and_dvc_agrees():
    again = tidegate("run")
    assert again.returncode == 0, again.stdout
    assert "Nothing to do" in again.stdout
    assert "Flow run" not in again.stdout
    # other lines run where somebody asks for them
    assert dvc("status", "--with-deps", "release@sentiment").stdout.strip() == "Data and pipelines are up to date."


def test_the_release_labels_a_film_review(tmp_path):
    (tmp_path / "new.csv").write_text("text\nA moving and funny film.\nDull from start to end.\n")
    done = tidegate("predict", "sentiment", str(tmp_path / "new.csv"), "-o", str(tmp_path / "out.csv"))
    assert done.returncode == 0, done.stdout
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert ",positive," in lines[1]
    assert ",negative," in lines[2]
