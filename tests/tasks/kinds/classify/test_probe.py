"""The head of a probe: sklearn's own logits, a start that is judged, and a training that goes on from it."""

import itertools
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
import yaml
from conftest import labeled
from sklearn.linear_model import LogisticRegression

from tasks.core.errors import SettingsError
from tasks.core.files import read_json, sha256, write_json, write_parquet
from tasks.core.line import Line
from tasks.core.stage import execute
from tasks.export import to_onnx
from tasks.kinds.classify.checkpoint import Checkpoint
from tasks.kinds.classify.export import CORE, wrap
from tasks.kinds.classify.shared import probe
from tasks.kinds.classify.train import Classification
from tasks.rows import LABELED
from tasks.train import train

LINE = Line("toy")
LABELS = ["positive", "negative", "mixed"]
HISTORY = LINE.file("train", "history.json")


def project(encoder, labels=LABELS, **settings):
    """What train reads, in the working directory: of three labels the last is had by every fifth row."""
    block = {
        "base_model": encoder, "head": "probe", "epochs": 3, "batch_size": 8, "learning_rate": 1e-3, "max_length": 32,
        "log_steps": 4, "precision": "fp32",
    }  # fmt: skip
    Path("params.yaml").write_text(
        yaml.safe_dump({"lines": {LINE.name: {"kind": LINE.kind, "train": block | settings}}})
    )
    write_json(LINE.file("label", "labels.json"), labels)
    for seed, (side, rows) in enumerate((("train", 120), ("validation", 60))):
        frame = labeled(rows, seed)
        frame.loc[frame.index % 5 == 0, "label"] = labels[-1]
        write_parquet(LINE.file("split", f"{side}.parquet"), frame, LABELED)


@pytest.fixture
def ready(checkout, tiny_encoder):
    """One thread: more do not pay for a tiny model, and on a busy machine they wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    project(tiny_encoder)
    yield checkout
    torch.set_num_threads(before)


def begun():
    """The task as its training begins."""
    from tasks.core.settings import line_params, parse, read_params
    from tasks.encoders import locate
    from tasks.train import TrainSettings

    settings = parse(TrainSettings, line_params(read_params(Path("params.yaml")), LINE.name)["train"], "train")
    task = Classification(LINE, settings, locate(settings.base_model), bf16=False)
    task.model.eval()
    assert task.begin()
    return task


@pytest.mark.parametrize("weights", ["none", "balanced"])
@pytest.mark.parametrize("labels", [LABELS, LABELS[:2]])
def test_the_model_begins_with_sklearns_own_logits(ready, tiny_encoder, labels, weights):
    project(tiny_encoder, labels, class_weights=weights)
    task = begun()
    rows = np.arange(len(task.targets))
    embeddings = task._embeddings(rows)
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1, abs=1e-5)
    balanced = None if weights == "none" else "balanced"
    model = LogisticRegression(C=probe.STRENGTH, max_iter=1000, class_weight=balanced).fit(embeddings, task.targets)
    with torch.inference_mode():
        logits = task._logits(task.tokens, rows).numpy()
    assert np.ptp(logits) > 1
    if len(labels) == 2:
        np.testing.assert_allclose(logits[:, 1] - logits[:, 0], model.decision_function(embeddings), atol=2e-3)
    else:
        np.testing.assert_allclose(logits, model.decision_function(embeddings), atol=2e-3)


def test_it_is_fitted_on_a_bounded_sample_with_every_label():
    targets = np.array([0] * 900 + [1] * 99 + [2])
    rows = probe.drawn(targets, seed=0, most=100)
    assert len(set(rows)) == 100
    assert (np.diff(rows) > 0).all()
    assert set(targets[rows]) == {0, 1, 2}
    assert (targets[rows] == 0).sum() > 70, "labels keep their shares"
    assert probe.drawn(targets, seed=0, most=100).tolist() == rows.tolist()
    assert probe.drawn(targets, seed=1, most=100).tolist() != rows.tolist()
    assert probe.drawn(targets, seed=0).tolist() == list(range(1000))
    assert set(targets[probe.drawn(targets, seed=0, most=2)]) == {0, 1, 2}, "no label is left out for the bound"


def test_the_probe_is_judged_and_kept_where_training_makes_it_no_better(ready, tiny_encoder, monkeypatch):
    figures = itertools.chain([0.9], itertools.repeat(0.5))
    monkeypatch.setattr(Classification, "validate", lambda _: {"validation_score": next(figures)})
    execute(train, LINE.name)
    history = read_json(HISTORY)
    assert history[0] == {"step": 0, "epoch": 0, "validation_score": 0.9}
    assert history[-1]["epoch"] == 2, "patience counts from the start"
    texts = labeled(60, seed=1)["text"].tolist()
    task = begun()
    with torch.inference_mode():
        expected = task._logits(task.validation, np.arange(60)).numpy()
    np.testing.assert_allclose(Checkpoint(LINE.folder / "train").logits(texts, 16, "rows"), expected, atol=1e-5)


def test_training_goes_on_from_the_probe(ready):
    execute(train, LINE.name)
    history = read_json(HISTORY)
    scores = [entry["validation_accuracy"] for entry in history if "validation_accuracy" in entry]
    frame = labeled(60, seed=1)
    frame.loc[frame.index % 5 == 0, "label"] = "mixed"
    model = Checkpoint(LINE.folder / "train")
    answers = np.array(model.labels)[model.logits(frame["text"].tolist(), 16, "rows").argmax(axis=1)]
    best = max(history, key=lambda entry: entry.get("validation_score", 0))
    assert (answers == frame["label"]).mean() == pytest.approx(best["validation_accuracy"])
    assert len(scores) >= 3
    assert read_json(LINE.file("train", "config.json"))["architectures"] == ["EmbeddingClassifier"]
    module, facts = wrap(LINE.folder / "train")
    ids = torch.tensor([[2, 5, 6, 3]])
    logits, embedding = module(ids, torch.ones_like(ids))
    assert facts["labels"] == LABELS
    torch.testing.assert_close(logits, module.model.classifier(embedding))


def test_the_graph_answers_as_torch_does(ready, tmp_path):
    begun().save(tmp_path)
    module, _ = wrap(tmp_path)
    ids, mask = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    example = {"input_ids": torch.ones((2, 8), dtype=torch.int64), "attention_mask": torch.ones((2, 8)).long()}
    graph = to_onnx(module, example, CORE, opset=20, long=True).SerializeToString()
    found = ort.InferenceSession(graph).run(CORE, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    for mine, torchs in zip(found, module(ids, mask), strict=True):
        np.testing.assert_allclose(mine, torchs.detach().numpy(), atol=1e-5)


def test_a_training_broken_at_any_time_ends_as_an_unbroken_one(ready, tiny_encoder, monkeypatch):
    project(tiny_encoder, checkpoint_seconds=0)
    execute(train, LINE.name)
    whole, history = sha256(LINE.file("train", "model.safetensors")), read_json(HISTORY)
    fits = []
    monkeypatch.setattr(probe, "logistic", lambda *given, fit=probe.logistic: fits.append(1) or fit(*given))
    for broken_at, fitted in ((0, 1), (7, 0), (22, 0)):
        with pytest.MonkeyPatch.context() as patch:
            loss, calls = Classification.loss, itertools.count()

            def breaking(task, rows, loss=loss, calls=calls, broken_at=broken_at):
                if next(calls) == broken_at:
                    raise KeyboardInterrupt
                return loss(task, rows)

            patch.setattr(Classification, "loss", breaking)
            fits.clear()
            with pytest.raises(KeyboardInterrupt):
                execute(train, LINE.name)
            assert len(fits) == fitted, "a training that goes on does not fit anew"
    execute(train, LINE.name)
    assert sha256(LINE.file("train", "model.safetensors")) == whole
    assert read_json(HISTORY) == history


def test_two_trainings_give_the_same_bytes_and_another_head_gives_others(ready, tiny_encoder):
    found = []
    for head in ("probe", "probe", "new"):
        project(tiny_encoder, head=head)
        execute(train, LINE.name)
        found.append(sha256(LINE.file("train", "model.safetensors")))
    assert found[0] == found[1] != found[2]


def test_a_head_that_is_not_known(ready, tiny_encoder):
    project(tiny_encoder, head="prob")
    with pytest.raises(SettingsError, match=r"train\.head.*'new' or 'probe'.*'prob'"):
        execute(train, LINE.name)
