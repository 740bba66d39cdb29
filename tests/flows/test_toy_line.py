"""The whole line on a tiny encoder: two checkouts at different paths, one by each way in."""

import json
import shutil
import subprocess

import pandas as pd
import pytest
import yaml
from commands import dvc, tidegate
from toy import here

from tasks.release import release_id


def test_both_ways_reach_a_release(lines):
    assert lines["log"].returncode == 0, lines["log"].stdout
    assert lines["repro_log"].returncode == 0, lines["repro_log"].stdout


def test_steps_were_really_trained(lines):
    history = json.loads((lines["run"] / "data/toy/train/history.json").read_text())
    assert history[-1]["step"] > 20
    metrics = json.loads((lines["run"] / "data/toy/evaluate/metrics.json").read_text())
    assert metrics["accuracy"] > 0.9  # made sentences are easy, but not for an untrained model


def test_the_same_record_and_the_same_release(lines):
    ids = {which: release_id(lines[which] / "data/toy/release/bundle") for which in ("run", "repro")}
    assert ids["run"] == ids["repro"]
    assert (lines["run"] / "dvc.lock").read_text() == (lines["repro"] / "dvc.lock").read_text()
    assert (lines["run"] / ".tidegate/releases/toy" / ids["run"] / "provenance.json").exists()


def test_nothing_spoke_to_anybody(lines):
    assert not lines["calls"].exists(), lines["calls"].read_text()


def test_no_path_of_the_machine_is_in_a_release(lines):
    bundle = lines["run"] / "data/toy/release/bundle"
    machine = str(lines["run"]).encode()
    assert not [file.name for file in bundle.rglob("*") if file.is_file() and machine in file.read_bytes()]


def test_the_second_run_does_nothing_and_starts_no_prefect(lines):
    again = tidegate("run", "toy", **here(lines, "run"))
    assert again.returncode == 0
    assert "Nothing to do" in again.stdout
    assert "Flow run" not in again.stdout


@pytest.mark.long
def test_a_change_of_one_stage_reruns_what_depends_on_it_and_going_back_restores(lines, tmp_path):
    folder = shutil.copytree(lines["run"], tmp_path / "copy", symlinks=True)
    place = {"cwd": folder, "env": {**lines["environment"], "PYTHONPATH": str(folder)}}
    before = release_id(folder / "data/toy/release/bundle")
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["lines"]["toy"]["quality_gate"]["checks"].append({"metric": "f1_macro", "min": 0.5})
    original = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    done = tidegate("run", "toy", **place)
    assert done.returncode == 0, done.stdout
    assert "evaluate: unchanged" in done.stdout
    assert "quality_gate: ran" in done.stdout
    assert release_id(folder / "data/toy/release/bundle") != before
    (folder / "params.yaml").write_text(original)
    back = dvc("repro", **place)
    assert "Running stage" not in back.stdout, back.stdout
    assert release_id(folder / "data/toy/release/bundle") == before


def test_a_clone_pulls_and_has_nothing_to_do(lines, tmp_path):
    place = here(lines, "run")
    assert tidegate("init", "--remote", str(tmp_path / "store"), **place).returncode == 0
    assert "store" not in (lines["run"] / ".dvc/config").read_text()
    assert dvc("push", **place).returncode == 0
    for command in (["add", "-A"], ["commit", "-qm", "a run"]):
        subprocess.run(["git", *command], cwd=lines["run"], check=True)
    subprocess.run(["git", "clone", "-q", lines["run"], tmp_path / "clone"], check=True)
    there = {"cwd": tmp_path / "clone", "env": {**lines["environment"], "PYTHONPATH": str(tmp_path / "clone")}}
    bare = dvc("repro", **there)
    assert bare.returncode != 0
    assert "inbox" in bare.stdout
    assert tidegate("init", "--remote", str(tmp_path / "store"), **there).returncode == 0
    pulled = dvc("pull", **there)
    assert pulled.returncode == 0, pulled.stdout
    again = dvc("repro", **there)
    assert again.returncode == 0, again.stdout
    assert "Running stage" not in again.stdout
    assert dvc("status", **there).stdout.strip() == "Data and pipelines are up to date."


def test_status_and_doctor(lines):
    status = tidegate("status", **here(lines, "run"))
    assert status.returncode == 0, status.stdout
    assert status.stdout.count("up to date") == 10
    assert "accuracy" in status.stdout
    doctor = tidegate("doctor", **here(lines, "run"))
    assert doctor.returncode == 0, doctor.stdout
    assert "telemetry" in doctor.stdout


@pytest.mark.long
def test_metrics_and_experiments_of_dvc_work(lines, tmp_path):
    metrics = dvc("metrics", "show", "--json", **here(lines, "run"))
    assert "accuracy" in metrics.stdout
    folder = shutil.copytree(lines["repro"], tmp_path / "copy", symlinks=True)
    place = {"cwd": folder, "env": {**lines["environment"], "PYTHONPATH": str(folder)}}
    for command in (["add", "-A"], ["commit", "-qm", "a repro"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    done = dvc("exp", "run", "-S", "lines.toy.train.learning_rate=5e-4", "train@toy", **place)
    assert done.returncode == 0, done.stdout
    assert "learning_rate: 0.0005" in (folder / "params.yaml").read_text()
    wrong = dvc("exp", "run", "-S", "lines.toy.train.learning_rate=-1", "train@toy", **place)
    assert wrong.returncode != 0
    assert "lines.toy.train.learning_rate" in wrong.stdout


def test_predict_labels_a_file_with_the_newest_release(lines, tmp_path):
    pd.DataFrame({"n": [1, 2], "text": ["the film was great and warm", "a dull and awful script"]}).to_csv(
        tmp_path / "new.csv", index=False
    )
    done = tidegate("predict", "toy", str(tmp_path / "new.csv"), "-o", str(tmp_path / "out.csv"), **here(lines, "run"))
    assert done.returncode == 0, done.stdout
    scored = pd.read_csv(tmp_path / "out.csv")
    assert scored["label"].tolist() == ["positive", "negative"]
    assert scored["n"].tolist() == [1, 2]
