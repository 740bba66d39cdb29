"""What is asked first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.annotation.order import margins, order, unit

RNG = np.random.default_rng(0)


def clusters(sizes, width=32):
    """Points around as many centres, and which one each is of."""
    of = np.repeat(np.arange(len(sizes)), sizes)
    return unit((np.eye(width)[of] + RNG.normal(scale=0.05, size=(len(of), width))).astype(np.float32)), of


def test_without_a_champion_each_region_is_met_and_the_dense_ones_first():
    vectors, of = clusters([50, 400, 10, 200, 100])
    found = order(vectors, 4, random_share=0)
    assert [of[place] for place, _ in found] == [1, 3, 4, 0]
    assert {why for _, why in found} == {"typical"}


def test_with_a_champion_unsure_regions_come_first_and_none_twice():
    vectors, of = clusters([300, 300, 300])
    margin = np.where(of == 2, 0.05, np.where(of == 0, 0.4, 0.99)).astype(np.float32)
    found = order(vectors, 2, margin, random_share=0)
    assert [of[place] for place, _ in found] == [2, 0]
    assert {why for _, why in found} == {"uncertain"}


def test_what_is_known_is_not_asked_again():
    vectors, of = clusters([300, 100])
    found = order(vectors, 1, random_share=0, known=vectors[:50])
    assert of[found[0][0]] == 1


@pytest.mark.parametrize("margin", [None, np.linspace(0, 1, 600, dtype=np.float32)])
def test_a_share_is_drawn_at_random_from_all_and_spread_evenly(margin):
    vectors, _ = clusters([300, 300])
    found = order(vectors, 200, margin, random_share=0.25)
    random = [n for n, (_, why) in enumerate(found) if why == "random"]
    assert len(random) == 50
    for end in (4, 20, 100):
        assert sum(n < end for n in random) == end / 4
    places = [place for place, why in found if why == "random"]
    assert 200 < np.mean(places) < 400  # by margin they would be among the first
    assert found == order(vectors, 200, margin, random_share=0.25)
    assert found != order(vectors, 200, margin, random_share=0.25, seed=1)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 30), st.integers(0, 40), st.floats(0, 1), st.booleans(), st.booleans())
def test_any_number_of_rows(texts, rows, share, champion, empty):
    vectors = np.zeros((texts, 3), np.float32) if empty else unit(RNG.normal(size=(texts, 3)).astype(np.float32))
    margin = RNG.random(texts).astype(np.float32) if champion else None
    found = order(vectors, rows, margin, share)
    assert len(found) == min(texts, rows) == len({place for place, _ in found})


def test_margins():
    assert margins(np.array([[0.5, 0.2, 0.3], [0.1, 0.9, 0]], np.float32)) == pytest.approx([0.2, 0.8])
