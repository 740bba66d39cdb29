"""Training by in-batch negatives: the loss, the partners, and that a killed training ends as an unbroken one."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import labeled
from hypothesis import given
from hypothesis import strategies as st

from tasks import search
from tasks.core.files import read_json, sha256, write_json, write_parquet
from tasks.core.line import Line
from tasks.core.stage import execute
from tasks.kinds.retrieve.train import Partners, Retrieval
from tasks.rows import LABELED
from tasks.train import train

LINE = Line("toy", "retrieve")


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 2**31))
def test_a_partner_is_another_row_of_the_label(labels, seed):
    labels = np.array(labels)
    rows = np.arange(len(labels))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        found = Partners(labels).draw(rows)
    assert (labels[found] == labels).all()
    alone = np.bincount(labels)[labels] == 1
    assert ((found == rows) == alone).all()


def test_every_row_of_the_label_may_be_the_partner():
    partners = Partners(np.array([1, 0, 1, 1, 0]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = {int(partners.draw(np.array([2]))[0]) for _ in range(50)}
    assert found == {0, 3}


def project(encoder, **settings):
    """What train reads, in the working directory."""
    block = {
        "base_model": encoder, "epochs": 2, "batch_size": 8, "learning_rate": 3e-3, "max_length": 32, "log_steps": 4,
        "precision": "fp32",
    }  # fmt: skip
    lines = {LINE.name: {"kind": LINE.kind, "train": block | settings}}
    Path("params.yaml").write_text(yaml.safe_dump({"lines": lines}))
    write_json(LINE.file("label", "labels.json"), ["positive", "negative"])
    for seed, (side, rows) in enumerate((("train", 160), ("validation", 60))):
        write_parquet(LINE.file("split", f"{side}.parquet"), labeled(rows, seed), LABELED)


@pytest.fixture
def ready(checkout, tiny_encoder):
    """One thread: more do not pay for a tiny model, and on a busy machine they wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    project(tiny_encoder)
    yield checkout
    torch.set_num_threads(before)


def test_the_loss_tells_partners_from_rows_of_other_labels_alone(ready, tiny_encoder, monkeypatch):
    from tasks.train import TrainSettings

    settings = TrainSettings(base_model=tiny_encoder, max_length=32)
    task = Retrieval(LINE, settings, Path(tiny_encoder["path"]), bf16=False)
    task.model.eval()
    rows = np.arange(12)
    partners = rows + 12
    labels = task.targets[rows]
    monkeypatch.setattr(task.partners, "draw", lambda _: partners)
    asked, found = (task._embed(task.tokens, which).detach().numpy().astype(np.float64) for which in (rows, partners))
    cosines = search.SCALE * asked @ found.T
    losses = []
    for row in rows:
        against = [row, *np.flatnonzero(labels != labels[row])]
        losses.append(np.log(np.exp(cosines[row, against]).sum()) - cosines[row, row])
    assert 0 < (labels == labels[0]).sum() < 12
    assert task.loss(rows).item() == pytest.approx(np.mean(losses), rel=1e-4)


def test_it_learns_and_goes_on_where_it_was_broken_off(ready, tiny_encoder, monkeypatch):
    project(tiny_encoder, checkpoint_seconds=0)
    execute(train, LINE.name)
    whole = sha256(LINE.file("train", "model.safetensors"))
    history = read_json(LINE.file("train", "history.json"))
    assert history[-1]["validation_mrr_at_10"] > 0.9
    assert read_json(LINE.file("train", "config.json"))["id2label"] == {"0": "positive", "1": "negative"}
    loss, calls = Retrieval.loss, itertools.count()

    def breaking(task, rows):
        if next(calls) == 26:  # in the second epoch, at the 7th of its batches: the checkpoint is of the 4th
            raise KeyboardInterrupt
        return loss(task, rows)

    monkeypatch.setattr(Retrieval, "loss", breaking)
    with pytest.raises(KeyboardInterrupt):
        execute(train, LINE.name)
    execute(train, LINE.name)
    assert next(calls) < 26 + 20, "it did not begin anew"
    assert sha256(LINE.file("train", "model.safetensors")) == whole
    assert read_json(LINE.file("train", "history.json")) == history
