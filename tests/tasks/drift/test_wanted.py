"""Which rows are worth a label."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.drift.wanted import most_telling

RNG = np.random.default_rng(0)


def chosen(rows=300, many=60, width=4):
    """300 rows of which the first 30 are unsure and the last 30 unfamiliar."""
    margin = np.where(np.arange(rows) < 30, 0.01, 0.9).astype(np.float32)
    projection = RNG.normal(size=(rows, width)).astype(np.float32)
    projection[-30:] += 20
    reference = RNG.normal(size=(500, width)).astype(np.float32)
    return most_telling([f"t{n}" for n in range(rows)], margin, projection, reference, many)


def test_a_third_of_each():
    found = chosen()
    by = {why: [place for place, its in found if its == why] for why in ("at random", "unsure", "unfamiliar")}
    assert [len(places) for places in by.values()] == [20, 20, 20]
    assert all(place < 30 for place in by["unsure"])
    assert sum(place >= 270 for place in by["unfamiliar"]) >= 3  # half of those that are farthest are of them
    assert len({place for place, _ in found}) == 60


def test_who_stops_early_has_some_of_each():
    assert {why for _, why in chosen()[:3]} == {"at random", "unsure", "unfamiliar"}


def test_without_projections():
    assert {why for _, why in chosen(width=0)} == {"at random", "unsure"}


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), max_size=30), st.integers(1, 40))
def test_no_text_comes_twice(text, many):
    ones = np.ones((len(text), 2), np.float32)
    found = most_telling(text, ones[:, 0], ones, np.zeros((3, 2), np.float32), many)
    assert len(found) == min(many, len(set(text)))
    assert len({text[place] for place, _ in found}) == len(found)
