"""The exact search against the plainest one, and bases that cannot be searched."""

import numpy as np
import pandas as pd
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
    entries = pd.DataFrame({"id": ["1", "2", "3"], "text": ["x", "y", "z"], "label": labels})
    vectors = unit(np.random.default_rng(0), 3)
    search.write(path, entries, vectors)
    return vectors


def test_a_base_is_read_as_it_was_written(tmp_path):
    vectors = written(tmp_path / "base.parquet", ["c", "a", "c"])
    base = search.read(tmp_path / "base.parquet")
    assert (base.ids, base.labels) == (["1", "2", "3"], ["c", "a", "c"])
    found = base.index(NAMES).similarities(vectors)
    assert found[:, 2].tolist() == pytest.approx([1, max(vectors[1] @ vectors[0], vectors[1] @ vectors[2]), 1])
    assert found[1, 0] == pytest.approx(1)
    assert (found[:, 1] == -1).all(), "nothing leads to b"


def test_bases_that_cannot_be_searched(tmp_path):
    path = tmp_path / "base.parquet"
    with pytest.raises(StageError, match="is missing: the model has no answers to find"):
        search.read(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(StageError, match="is broken"):
        search.read(path)
    pd.DataFrame({"id": ["1"], "label": ["a"], "embedding": ["x"]}).to_parquet(path)
    with pytest.raises(StageError, match="is broken"):
        search.read(path)
    written(path, ["a", "d", "e"])
    with pytest.raises(StageError, match="labels that the model does not know: d, e"):
        search.read(path).index(NAMES)
