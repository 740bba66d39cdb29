"""The exact search against the plainest one, and bases that cannot be searched."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import search
from tasks.core.errors import StageError

NAMES = ["a", "b", "c"]


def unit(rng, rows, width=8):
    vectors = rng.normal(size=(rows, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.integers(0, 2**32), st.integers(0, 30), st.integers(0, 7), st.integers(1, 6))
def test_each_label_is_as_near_as_its_nearest_entry(seed, entries, queries, names):
    rng = np.random.default_rng(seed)
    vectors, asked, owners = unit(rng, entries), unit(rng, queries), rng.integers(0, names, entries)
    expected = np.full((queries, names), -1.0)
    for entry, owner in enumerate(owners):
        expected[:, owner] = np.maximum(expected[:, owner], asked @ vectors[entry])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "CELLS", 40)  # several blocks
        found = search.Exact(vectors, owners, names).similarities(asked)
    assert found == pytest.approx(expected, abs=1e-5)


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=9), st.integers(0, 3))
def test_the_rank_is_the_place_in_the_order_of_answers(rows, actual):
    similarities = np.array(rows, dtype=np.float32)
    orders = np.argsort(-similarities, axis=1, kind="stable").tolist()
    found = search.ranks(similarities, np.full(len(rows), actual))
    assert found.tolist() == [order.index(actual) + 1 for order in orders]
    assert ((found == 1) == (similarities.argmax(axis=1) == actual)).all()


def test_what_is_found_late_counts_less_and_beyond_ten_nothing():
    assert search.reciprocal(np.array([1, 2, 10, 11])).tolist() == [1, 0.5, 0.1, 0]


def written(path, labels):
    base = search.Base(["1", "2", "3"], ["x", "y", "\u2028 z"], labels, unit(np.random.default_rng(0), 3))
    search.write(path, base)
    return base


def test_a_base_is_read_as_it_was_written_and_the_same_base_makes_the_same_bytes(tmp_path):
    base = written(tmp_path / "base.npz", ["c", "a", "c"])
    found = search.read(tmp_path / "base.npz")
    assert (found.ids, found.texts, found.labels) == (base.ids, base.texts, base.labels)
    assert (found.vectors == base.vectors).all()
    written(tmp_path / "again.npz", ["c", "a", "c"])
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "base.npz").read_bytes()


def test_labels_have_their_places_among_the_names():
    assert search.owned(["c", "a", "c"], NAMES).tolist() == [2, 0, 2]
    with pytest.raises(StageError, match="labels that the model does not know: d, e"):
        search.owned(["a", "e", "d"], NAMES)


def no_entries(path):
    search.write(path, search.Base([], [], [], np.empty((0, 8), np.float32)))


def fewer_labels(path):
    search.write(path, search.Base(["1", "2"], ["x", "y"], ["a"], unit(np.random.default_rng(0), 2)))


def pickled(path):
    with path.open("wb") as stream:
        np.savez(stream, entries=np.array([{}]), embedding=np.empty((0, 8)))


BROKEN = {
    "nothing": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(b"PK\x03\x04"),
    "an object": pickled,
    "another archive": lambda path: np.savez(path, other=np.empty(1)),
    "no entries": no_entries,
    "fewer labels": fewer_labels,
}


@pytest.mark.parametrize("case", BROKEN)
def test_bases_that_cannot_be_searched(tmp_path, case):
    path = tmp_path / "base.npz"
    with pytest.raises(StageError, match="is missing: the model has no answers to find"):
        search.read(path)
    BROKEN[case](path)
    with pytest.raises(StageError, match="is broken"):
        search.read(path)
