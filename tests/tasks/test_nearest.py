"""The index of a large base against exact search; changes of it; files that are none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import nearest, search
from tasks.core.errors import StageError

WIDTH = 16


def units(rng, count, width=WIDTH):
    vectors = rng.standard_normal((count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clustered(rng, count, width=WIDTH):
    """Texts of one answer lie about each other, as a trained encoder puts them."""
    centres = units(rng, 50, width)
    near = centres[rng.integers(50, size=count)] + 0.5 * units(rng, count, width)
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def whole(vectors, owners=None, names=1):
    owners = np.zeros(len(vectors), np.int64) if owners is None else owners
    every = range(len(vectors))
    return nearest.over(nearest.build(vectors), vectors, every, vectors[:0], owners, names)


@settings(max_examples=25, deadline=None)
@given(st.integers(40, 250), st.integers(1, 20), st.integers(0, 5), st.integers(15, 40), st.integers(0, 2**32 - 1))
def test_where_every_list_is_looked_through_all_is_found(count, k, queries, width, seed):
    rng = np.random.default_rng(seed)
    vectors, asked = units(rng, count, width), units(rng, queries, width)
    places, cosines = whole(vectors).nearest(asked, k)
    right, best = nearest.exact(vectors, asked, k)
    assert places.shape == right.shape == (queries, k)
    np.testing.assert_allclose(cosines, best, atol=1e-5)
    for row, found in enumerate(places):
        assert len(set(found.tolist())) == k
        np.testing.assert_allclose(vectors[found] @ asked[row], cosines[row], atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(40, 300), st.integers(0, 30), st.floats(0, 0.8), st.integers(0, 2**32 - 1))
def test_what_came_and_went_is_as_in_a_base_made_anew(count, new, gone, seed):
    rng = np.random.default_rng(seed)
    vectors, added, asked = units(rng, count), units(rng, new), units(rng, 4)
    kept = np.flatnonzero(rng.random(count) >= gone).tolist() or [0]
    owners = rng.integers(5, size=len(kept) + new)
    large = nearest.over(nearest.build(vectors), vectors, kept, added, owners, 5)
    anew = search.Exact(np.concatenate([vectors[kept], added]), owners, 5)
    places, cosines = large.nearest(asked, 10)
    told = places >= 0
    assert (np.isin(places, [*kept, *range(count, count + new)]) | ~told).all()
    assert told.sum(axis=1).tolist() == [min(10, len(kept) + new)] * 4
    assert cosines[:, 0] == pytest.approx(anew.similarities(asked).max(axis=1), abs=1e-5)
    few = nearest.over(None, vectors, kept, added, owners, 5)
    np.testing.assert_allclose(few.similarities(asked), anew.similarities(asked), atol=1e-6)


@pytest.fixture(scope="module")
def base():
    rng = np.random.default_rng(0)
    vectors = clustered(rng, 20_000, 32)
    return vectors, clustered(np.random.default_rng(0), 20_200, 32)[-200:], rng.integers(300, size=20_000)


def test_the_first_answer_is_that_of_exact_search_and_as_near(base):
    vectors, asked, owners = base
    found, right = whole(vectors, owners, 300).similarities(asked), search.Exact(vectors, owners, 300)
    told = right.similarities(asked)
    assert (found.argmax(axis=1) == told.argmax(axis=1)).mean() >= 0.98
    assert (found > -1).any(axis=1).all()
    gap = np.where(found > -1, told - found, 0)
    assert gap.min() > -1e-5, "nothing is nearer than it is"
    assert (gap < 1e-5).mean() > 0.99
    places = nearest.exact(vectors, asked, 10)[0]
    hits = [len({*one} & {*two}) for one, two in zip(whole(vectors).nearest(asked, 10)[0].tolist(), places.tolist())]  # noqa: B905
    assert sum(hits) / places.size >= 0.95


def test_the_nearest_entries_of_equals_are_the_first():
    vectors = np.eye(3, dtype=np.float32)[[0, 1, 1, 1, 2]]
    places, cosines = nearest.exact(vectors, np.eye(3, dtype=np.float32)[[1]], 4)
    assert places.tolist() == [[1, 2, 3, 0]] and cosines.tolist() == [[1, 1, 1, 0]]
    assert nearest.exact(vectors[:0], vectors[:2], 4)[0].shape == (2, 0)
    np.testing.assert_allclose(nearest.spread((places, cosines), np.array([0, 1, 1, 2, 3]), 4), [[0, 1, 1, -1]])


def test_a_written_index_is_the_same_each_time_and_found_again(tmp_path, base):
    vectors = base[0][:2000]
    for name in ("one", "two"):
        nearest.write(tmp_path / name, vectors)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert nearest.open_lists(tmp_path / "one", vectors).ntotal == len(vectors)
    with pytest.raises(StageError, match="no index of the base"):
        nearest.open_lists(tmp_path / "one", vectors[1:])
    whole_ = (tmp_path / "one").read_bytes()
    for broken in (b"", b"x" * 100, whole_[: len(whole_) // 2]):
        (tmp_path / "two").write_bytes(broken)
        with pytest.raises(StageError, match="is broken"):
            nearest.open_lists(tmp_path / "two", vectors)


def test_vectors_that_give_no_index_are_told(tmp_path):
    with pytest.raises(StageError, match=r"No index fp32\.answers\.index could be made: "):
        nearest.write(tmp_path / "fp32.answers.index", np.zeros(3, np.float32))
    assert not list(tmp_path.iterdir())
