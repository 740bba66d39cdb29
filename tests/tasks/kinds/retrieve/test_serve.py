"""Answers out of embeddings and a base, and what is said where one of them is missing."""

import numpy as np
import pytest

from tasks import nearest, search
from tasks.answer_base import Change, Changes, Entry
from tasks.core.errors import StageError
from tasks.inference import Signature
from tasks.kinds.retrieve.export import calibrator
from tasks.kinds.retrieve.serve import answering

SIGNATURE = Signature(
    schema_version=1, kind="retrieve", labels=["a", "b", "c"], max_length=8, pad_id=0, inputs=[], outputs=["embedding"],
    opset=20, variants={}, calibration={"fp32": {"method": "temperature", "temperature": 2.0}},
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A base of two entries that lead to c and one that leads to a."""
    base = search.Base(["1", "2", "3"], ["x", "y", "z"], ["c", "a", "c"], np.eye(3, dtype=np.float32))
    search.write(tmp_path / "fp32.answers.npz", base)
    return tmp_path


def test_the_nearest_entry_gives_the_label_and_the_temperature_its_probability(folder):
    asked = np.array([[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]], dtype=np.float32)
    answers = answering(folder, SIGNATURE, "fp32")({"embedding": asked})
    assert answers.labels.tolist() == ["c", "a"]
    assert answers.similarities.tolist() == pytest.approx(np.array([[0, -1, 0.8], [1, -1, 0]]))
    exponents = np.exp(search.SCALE / 2 * np.array([0, -1, 0.8]))
    assert answers.probabilities[0] == pytest.approx(exponents / exponents.sum())
    assert answers.confidence.tolist() == answers.probabilities.max(axis=1).tolist()


def test_no_texts_get_no_answers(folder):
    answers = answering(folder, SIGNATURE, "fp32")({"embedding": np.empty((0, 3), dtype=np.float32)})
    assert answers.probabilities.shape == (0, 3)
    assert answers.confidence.tolist() == []


def test_a_release_without_its_base_or_its_calibration_is_refused(folder, tmp_path):
    with pytest.raises(StageError, match="no calibration of int8"):
        answering(folder, SIGNATURE, "int8")
    (folder / "fp32.answers.npz").unlink()
    with pytest.raises(StageError, match="is missing"):
        answering(folder, SIGNATURE, "fp32")


def test_parameters_for_each_label_are_refused():
    calibrator({"method": "temperature"})
    with pytest.raises(StageError, match="answers come and go"):
        calibrator({"method": "vector"})


def test_answers_that_come_and_go(folder):
    answering_ = answering(folder, SIGNATURE, "fp32")
    new = Entry(id="4", text="w", label="d")
    vectors = {"w": [0.8, 0.6, 0.0]}
    changes = Changes(line="toy", changes=(Change(by="", time="", added=(new,), withdrawn=("a",)),))
    changed = answering_.changed(changes, lambda texts: np.array([vectors[text] for text in texts], dtype=np.float32))
    assert changed.names == ["a", "b", "c", "d"], "behind the labels of the release, whose places stay"
    found = changed({"embedding": np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype=np.float32)})
    assert found.labels.tolist() == ["d", "c"]
    assert found.similarities.tolist() == pytest.approx(np.array([[-1, -1, 0, 0.6], [-1, -1, 1, 0.8]]))
    gone = Changes(line="toy", changes=(Change(by="", time="", withdrawn=("a", "c")),))
    with pytest.raises(StageError, match="leaves no answer"):
        changed.changed(gone, None)
    assert changed.changed(Changes(line="toy"), None).names == ["a", "b", "c"]


@pytest.fixture
def large(tmp_path):
    """A base of 600 entries with an index, of which none is near two labels."""
    rng = np.random.default_rng(0)
    vectors = (np.eye(16)[np.arange(600) % 3] + 0.05 * rng.standard_normal((600, 16))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [str(number) for number in range(600)]
    labels = [SIGNATURE.labels[number % 3] for number in range(600)]
    search.write(tmp_path / "fp32.answers.npz", search.Base(ids, ids, labels, vectors))
    nearest.write(tmp_path / "fp32.answers.index", vectors)
    return tmp_path


def test_an_index_answers_as_exact_search_does_in_the_same_form(large):
    by_index = answering(large, SIGNATURE, "fp32")
    assert isinstance(by_index.index, nearest.Large)
    asked = {"embedding": by_index.released.vectors[:30]}
    (large / "fp32.answers.index").unlink()
    exact, found = answering(large, SIGNATURE, "fp32")(asked), by_index(asked)
    assert found.labels.tolist() == exact.labels.tolist()
    assert found.probabilities == pytest.approx(exact.probabilities, abs=1e-3)
    told = found.similarities > -1
    assert told.any(axis=1).all() and not told.all(), "labels of which no entry is near are not looked for"
    assert found.similarities[told] == pytest.approx(exact.similarities[told], abs=1e-5)


def test_answers_come_and_go_in_an_indexed_base(large):
    before = answering(large, SIGNATURE, "fp32")
    asked = {"embedding": np.eye(16, dtype=np.float32)[[0, 5]]}
    entry = Entry(id="new", text="w", label="d")
    changes = Changes(line="toy", changes=(Change(by="", time="", added=(entry,), withdrawn=("a", "1")),))
    after = before.changed(changes, lambda texts: np.eye(16, dtype=np.float32)[[5]])
    assert (before(asked).labels[0], before.names) == ("a", ["a", "b", "c"])
    found = after(asked)
    assert after.names == ["a", "b", "c", "d"]
    assert found.labels[1] == "d" and found.labels[0] != "a"
    assert (found.similarities[:, 0] == -1).all()
    assert after.changed(Changes(line="toy"), None)(asked).labels[0] == "a"


def test_a_broken_index_is_refused(large):
    (large / "fp32.answers.index").write_bytes(b"IwPf")
    with pytest.raises(StageError, match="is broken"):
        answering(large, SIGNATURE, "fp32")
