"""Lists of a large catalogue in the log, held against a release's reference: like against like."""

import json
import shutil
from contextlib import closing
from dataclasses import replace
from functools import partial

import faiss
import films
import numpy as np
import pandas as pd
import pytest
import releases
from windows import described

from flows.window import reference
from serving.batcher import BatchSettings
from serving.line import ServedLine, Serving
from serving.listing import Listing
from serving.log import projection
from serving.metrics import Metrics
from serving.served import Choice, Served
from tasks import nearest
from tasks.bundle import seal
from tasks.drift.examine import examine
from tasks.drift.settings import MonitorSettings
from tasks.drift.window import Window
from tasks.kinds.rank import serve
from tasks.kinds.rank.shared import history
from tasks.kinds.rank.shared.catalogue import Catalogue
from tasks.kinds.rank.shared.lists import Wanted
from tasks.release import _write_answers

ITEMS, USERS, ASKED = 4_000, 600, 900
NOW = 2 * films.TURNED
WAYS = {
    "lists": [Wanted(10)], "short ones": [Wanted(3)], "long and varied ones": [Wanted(50), Wanted(10, diversity=0.2)],
    "predictions": [None],
}  # fmt: skip


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A release whose items an index proposes, with users to be judged by, and its model."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("bundle")
    vectors = rng.standard_normal((ITEMS, 3)).astype(np.float32) / 2
    popularity = rng.standard_normal((1, ITEMS)).astype(np.float32) / 2
    names = [f"item {n}" for n in range(ITEMS)]
    items = Catalogue(names, names, vectors, vectors, np.concatenate([popularity] * 2), np.array([films.TURNED]))
    model = films.model(folder, items)
    told = [[(names[at], 5) for at in rng.choice(ITEMS, rng.integers(1, 4), replace=False)] for _ in range(USERS)]
    texts = [history.write(events, NOW) for events in told]
    frame = pd.DataFrame({"text": texts, "side": "test", "label": rng.choice(names, USERS)})
    (folder / "reference").mkdir()
    frame.to_parquet(folder / "reference/rows.parquet")
    _write_answers(folder / "reference/fp32.parquet", model, texts)
    faiss.write_index(nearest.build(items.sought), str(folder / "fp32.items.index"))
    seal(folder, {"line": "films", "kind": "rank", "labels": names, "admissible": ["fp32"], "inputs": {},
                  "params": {}, "verdicts": {}})  # fmt: skip
    return folder, replace(model, answering=serve.answering(folder, model.signature, "fp32"))


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """A sample that is not all there is."""
    monkeypatch.setattr(serve, "SAMPLED", 1_000)


def logged(model, texts, wanted):
    """What the service logs of these histories, as the monitor reads it; `wanted` takes turns."""
    kept, labels = releases.Kept(), model.signature.labels
    champion = Served(Choice("a" * 12, "fp32", "cpu", False), None, "champion", "cpu", "rank", labels, model)
    with closing(ServedLine("films", BatchSettings(workers=1), Metrics(), kept)) as line:
        line.switch(Serving(releases.pointer("a" * 12), champion))
        for n, text in enumerate(texts):
            one = wanted[n % len(wanted)]
            engine = {} if one is None else {"engine": partial(Listing, wanted=one)}
            line.submit([text], request_id=f"r{n}", source="s", deadline=1e9, **engine).result(60)
    widest = max(one.probabilities.shape[1] for one in kept.answers)
    rows = [np.pad(one.probabilities[0], (0, widest - one.probabilities.shape[1])) for one in kept.answers]
    users = np.concatenate([one.embeddings for one in kept.answers])
    return kept.answers, Window(
        text=texts, label=[one.labels[0] for one in kept.answers], probabilities=np.stack(rows),
        projection=projection.project(users, 8).astype(np.float32), true_label=[None] * len(texts), **described(texts),
    )  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_the_same_users_asking_again_are_no_drift(released, way):
    bundle, model = released
    assert model.answering.index is not None
    known = reference(bundle, "fp32", 8, 20_000, 0).window
    texts = np.random.default_rng(1).choice(np.array(known.text, dtype=object), ASKED).tolist()
    answers, window = logged(model, texts, WAYS[way])
    assert all(len(one.listed[0]) == one.probabilities.shape[1] <= 50 for one in answers), "of the list alone"
    assert all(one.listed[0][0] == one.labels[0] for one in answers)
    found = {check.name: check for check in examine(known, window, MonitorSettings()).checks}
    assert not found["confidence"].drifted, found["confidence"].reason
    assert found["confidence"].value < 0.05 and found["prediction"].p > 0.05
    assert not any(check.drifted for check in found.values())


def test_probabilities_of_what_an_index_found_are_among_all_items(released):
    _, model = released
    text = history.write([("item 7", 5), ("item 8", None)])
    [every] = model.predict([text]).probabilities
    listed = model.answering.listed(model.session, text, 20)
    true = [every[int(item.item.removeprefix("item "))] for item in listed]
    assert [item.score for item in listed] == pytest.approx(true, rel=0.1)
    assert sum(true) < 0.5, "what was not found counts"
    assert json.loads(text)[0][0] not in {item.item for item in listed}


def test_an_older_release_with_probabilities_of_all_items_is_looked_at_as_well(released, tmp_path):
    bundle, model = released
    older = shutil.copytree(bundle, tmp_path / "older")
    texts = pd.read_parquet(bundle / "reference/rows.parquet")["text"].tolist()
    answers = replace(model, answering=replace(model.answering, index=None)).predict(texts)
    every = {"predicted": answers.labels, "probabilities": [*answers.probabilities], "embedding": [*answers.embeddings]}
    pd.DataFrame(every).to_parquet(older / "reference/fp32.parquet")
    then, now = (reference(folder, "fp32", 8, 20_000, 0).window for folder in (older, bundle))
    assert then.probabilities.shape[1] == ITEMS and now.probabilities.shape[1] == 10
    assert then.label == now.label
    assert then.probabilities.max(axis=1) == pytest.approx(now.probabilities.max(axis=1), rel=1e-5)
    _, window = logged(model, then.text, WAYS["lists"])
    found = examine(then, window, MonitorSettings()).checks
    assert found and not any(check.drifted for check in found)
