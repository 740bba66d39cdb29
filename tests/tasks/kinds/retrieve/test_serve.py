"""Answers out of embeddings and a base, and what is said where one of them is missing."""

import numpy as np
import pytest

from tasks import search
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
