"""The train stage on a tiny encoder: what it writes, that it is repeatable, and what it says to bad input."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import copy_code, labeled

from tasks.core.errors import BusyError, DataError, SettingsError, SourceError
from tasks.core.files import read_json, sha256, write_json, write_parquet
from tasks.core.line import Line
from tasks.core.stage import execute
from tasks.rows import LABELED

LINE = Line("toy")
OUTS = ["config.json", "history.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


def project(encoder: dict, rows: int = 240, **settings: object) -> None:
    """What train reads, in the working directory."""
    block = {
        "base_model": encoder, "epochs": 2, "batch_size": 8, "learning_rate": 3e-3, "max_length": 32, "log_steps": 4,
        "precision": "fp32",
    }  # fmt: skip
    lines = {LINE.name: {"kind": LINE.kind, "train": block | settings}}
    Path("params.yaml").write_text(yaml.safe_dump({"lines": lines}))
    write_json(LINE.file("label", "labels.json"), ["positive", "negative"])
    sides(labeled(rows), labeled(60, seed=1))
    Path("versions").mkdir(exist_ok=True)
    Path("versions/train.txt").write_text("torch==0\n")


def sides(train: object, validation: object) -> None:
    write_parquet(LINE.file("split", "train.parquet"), train, LABELED)
    write_parquet(LINE.file("split", "validation.parquet"), validation, LABELED)


def train() -> None:
    from tasks.train import train as stage

    execute(stage, LINE.name)


def digests() -> dict[str, str]:
    folder = LINE.folder / "train"
    return {path.name: sha256(path) for path in folder.iterdir() if path.is_file()}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Threads do not pay for a tiny model, and on a busy machine they wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    torch.set_num_threads(before)


@pytest.fixture
def ready(checkout, tiny_encoder):
    project(tiny_encoder)
    return checkout


def test_writes_a_checkpoint_that_has_learnt(ready):
    train()
    assert sorted(digests()) == OUTS
    config = read_json(LINE.file("train", "config.json"))
    assert config["id2label"] == {"0": "positive", "1": "negative"}, "the order of labels.json"
    assert read_json(LINE.file("train", "tokenizer_config.json"))["model_max_length"] == 32
    history = read_json(LINE.file("train", "history.json"))
    assert history[-1]["validation_f1_macro"] > 0.9
    assert history[-1]["loss"] < history[0]["loss"] / 2
    assert [entry["step"] for entry in history][-1] == 60
    assert any((LINE.folder / "train/tensorboard").iterdir())
    assert not list(Path(".tidegate/checkpoints").iterdir()), "removed on success"


def test_the_checkpoint_answers_as_validation_said(ready):
    from tasks.kinds.classify.checkpoint import Checkpoint

    train()
    model = Checkpoint(LINE.folder / "train")
    assert model.labels == ["positive", "negative"]
    frame = labeled(60, seed=1)
    answers = model.logits(frame["text"].tolist(), 16, "validation").argmax(1)
    accuracy = (frame["label"].map({"positive": 0, "negative": 1}) == answers).mean()
    best = max(read_json(LINE.file("train", "history.json")), key=lambda entry: entry.get("validation_f1_macro", 0))
    assert accuracy == pytest.approx(best["validation_accuracy"])


def test_two_checkouts_give_the_same_bytes_and_no_place_is_written_down(ready, tmp_path, monkeypatch, tiny_encoder):
    train()
    first = digests()
    other = copy_code(tmp_path / "elsewhere")
    monkeypatch.chdir(other)
    project(tiny_encoder)
    train()
    assert digests() == first
    for name in set(OUTS) - {"model.safetensors"}:
        text = LINE.file("train", name).read_text()
        assert str(tmp_path) not in text
        assert tiny_encoder["path"] not in text


def test_another_seed_gives_another_model(ready, tiny_encoder):
    train()
    first = digests()["model.safetensors"]
    project(tiny_encoder, seed=1)
    train()
    assert digests()["model.safetensors"] != first


def checkpoint_step() -> int:
    for path in Path(".tidegate/checkpoints").glob("*/checkpoint.json"):
        return json.loads(path.read_text())["position"]["step"]
    return 0


def start_and_kill(after: int) -> int:
    """Run the stage in a process of its own and kill it once a checkpoint of step `after` or later lies there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.train", LINE.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 120
    while checkpoint_step() < after and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output
    return checkpoint_step()


@pytest.mark.long
def test_killed_with_kill_9_twice_it_ends_with_the_weights_of_an_unbroken_run(ready, tiny_encoder, caplog):
    long = {"epochs": 8, "patience": 8, "precision": "bf16", "checkpoint_seconds": 0, "log_steps": 1}
    project(tiny_encoder, **long)
    train()
    whole = digests()
    shutil.rmtree(LINE.folder / "train")
    first = start_and_kill(after=20)
    second = start_and_kill(after=first + 50)
    assert first < second < 240
    assert not (LINE.folder / "train").exists(), "nothing half-written stands where a result would"
    caplog.set_level("INFO")
    train()
    assert f"Resuming at step {second} of 240" in caplog.text
    assert digests() == whole


def test_the_same_training_twice_at_once_is_refused(ready):
    from filelock import FileLock

    from tasks.checkpoints import CHECKPOINTS
    from tasks.train import run_key

    CHECKPOINTS.mkdir(parents=True)
    with FileLock(CHECKPOINTS / f"{run_key(LINE, bf16=False)}.lock"), pytest.raises(BusyError, match="Another process"):
        train()


@pytest.mark.parametrize(("precision", "weights"), [("bf16", "balanced"), ("fp32", "none")])
def test_both_precisions_learn_a_rare_class(ready, tiny_encoder, precision, weights):
    project(tiny_encoder, precision=precision, class_weights=weights, epochs=4)
    frame = labeled(400)
    rare = frame["label"] == "negative"
    sides(frame[~rare | (rare.cumsum() <= 40)], labeled(60, seed=1))
    train()
    assert max(entry.get("validation_f1_macro", 0) for entry in read_json(LINE.file("train", "history.json"))) > 0.85


def test_balanced_weights_are_inverse_to_frequency():
    import numpy as np

    from tasks.kinds.classify.train import class_weights

    weights = class_weights(np.array([90, 10]))
    assert weights.tolist() == pytest.approx([100 / 180, 5])


def test_soft_labels_that_nobody_gave_change_no_byte(ready, tiny_encoder):
    train()
    with_setting = digests()
    project(tiny_encoder, soft_labels=False)
    train()
    assert digests() == with_setting


def test_soft_labels_teach_and_can_be_switched_off(ready, tiny_encoder):
    import numpy as np

    frame = labeled(240)
    frame["soft"] = [np.array([0.1, 0.9] if label == "positive" else [0.9, 0.1]) for label in frame["label"]]
    sides(frame, labeled(60, seed=1))
    train()
    history = read_json(LINE.file("train", "history.json"))
    assert history[-1]["validation_f1_macro"] < 0.1, "the soft labels say the opposite"
    project(tiny_encoder, soft_labels=False)
    sides(frame, labeled(60, seed=1))
    train()
    assert read_json(LINE.file("train", "history.json"))[-1]["validation_f1_macro"] > 0.9


def test_rows_without_soft_labels_stay_one_hot():
    import numpy as np
    import pandas as pd

    from tasks.kinds.classify.train import soft_targets

    given = pd.Series([None, np.array([0.5, 1.5], np.float32), None])
    assert soft_targets(given, np.array([1, 0, 0]), 2).tolist() == [[0, 1], [0.25, 0.75], [1, 0]]
    assert soft_targets(pd.Series([None, None]), np.array([1, 0]), 2) is None


@pytest.mark.parametrize("weights", [None, [0.5, 3.0, 1.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_one_hot_distributions_cost_what_classes_cost(weights, smoothing):
    import torch

    from tasks.kinds.classify.train import soft_cross_entropy

    weight = None if weights is None else torch.tensor(weights)
    criterion = torch.nn.CrossEntropyLoss(weight, label_smoothing=smoothing)
    logits = torch.tensor([[1.0, -2, 0.5], [0.1, 0.2, 0.3], [3, 1, 2], [0, -1, 4]])
    classes = torch.tensor([0, 1, 1, 2])
    soft = soft_cross_entropy(criterion, logits, torch.nn.functional.one_hot(classes, 3).float())
    assert float(soft) == pytest.approx(float(criterion(logits, classes)), rel=1e-6)


def all_positive(frame):
    return frame[frame["label"] == "positive"]


BAD_TABLES = {
    "no training rows": (lambda: sides(labeled(0), labeled(9)), "train.parquet holds no rows"),
    "no validation rows": (lambda: sides(labeled(40), labeled(0)), "validation.parquet holds no rows"),
    "one class only": (lambda: sides(all_positive(labeled(40)), labeled(9)), "no row labelled negative"),
    "one label": (lambda: write_json(LINE.file("label", "labels.json"), ["positive"]), "needs two labels or more"),
    "a label outside the set": (
        lambda: sides(labeled(40).assign(label="neutral"), labeled(9)),
        "labels outside the set.*neutral",
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_tables_that_cannot_be_learnt_from(ready, case):
    spoil, message = BAD_TABLES[case]
    spoil()
    with pytest.raises(DataError, match=message):
        train()
    assert not (LINE.folder / "train").exists()


def test_a_model_that_is_not_what_the_pin_says(ready, tiny_encoder):
    project(tiny_encoder | {"sha256": "0" * 64})
    with pytest.raises(SourceError, match="wanted sha256 0000"):
        train()


def test_longer_texts_than_the_model_takes(ready, tiny_encoder):
    project(tiny_encoder, max_length=65)
    with pytest.raises(SettingsError, match="takes at most 64 tokens"):
        train()


def test_a_folder_that_holds_no_model(ready, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "model.safetensors").write_bytes(b"truncated")
    project({"kind": "folder", "path": str(folder), "sha256": sha256(folder)})
    with pytest.raises(SourceError, match="cannot be loaded as a text classifier"):
        train()


def test_a_wrong_setting_names_the_right_one(ready, tiny_encoder):
    project(tiny_encoder, learning_rat=1, epochs=0)
    with pytest.raises(SettingsError) as caught:
        train()
    assert "did you mean 'learning_rate'" in str(caught.value)
    assert re.search(r"train\.epochs: .*greater than or equal to 1", str(caught.value))


def test_importing_the_stage_is_quick(checkout):
    code = "import sys, tasks.train; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
