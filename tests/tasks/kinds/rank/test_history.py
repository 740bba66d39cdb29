"""Histories as texts and as arrays."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import DataError
from tasks.kinds.rank.shared import history
from tasks.kinds.rank.shared.history import BETWEEN, DISLIKED, LIKED, PADDING, Tastes

TASTES = Tastes(like=4, dislike=3)
NUMBERS = {"a": 0, "b": 1, "c": 2}
EVENTS = st.lists(
    st.tuples(
        st.text(min_size=1, max_size=8),
        st.none() | st.integers(-9, 9).map(float) | st.floats(-1e6, 1e6, allow_nan=False),
    )
)


@given(EVENTS, st.none() | st.floats(0, 4e9))
def test_what_is_written_is_read_again_in_one_way(events, at):
    text = history.write(events, at)
    assert history.parse(text) == (events, at)
    assert history.canonical(json.dumps(json.loads(text), indent=2)) == text


def test_an_item_alone_has_no_rating():
    assert history.canonical('[ "50", ["172", null], ["b", 3.0] ]') == '[["50",null],["172",null],["b",3]]'


@pytest.mark.parametrize(
    "text",
    ["", "a film", "{}", "null", '"a"', "5", '[["a",5,1]]', '[[5,"a"]]', '[["",5]]', '[["a","5"]]', '[["a",true]]',
     '[["a",NaN]]', '[["a",1e999]]', "[1e999]", "[NaN]", '[["a",5],7]', "[" * 5000, f'[["{"x" * 201}",5]]',
     '[["a",' + "9" * 400 + "]]"],
)  # fmt: skip
def test_what_is_no_history_is_told(text):
    with pytest.raises(DataError, match="is no history"):
        history.read(text)


def test_the_tower_reads_the_latest_first():
    told = [[("a", 5.0), ("x", 5.0), ("b", 2.0), ("c", 3.0)], [], [("b", None)]]
    items, classes = history.arrays(told, NUMBERS, TASTES, 10)
    assert items.tolist() == [[2, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert classes.tolist() == [[BETWEEN, DISLIKED, LIKED], [PADDING] * 3, [LIKED, PADDING, PADDING]]
    items, classes = history.arrays(told, NUMBERS, TASTES, 2)
    assert items[0].tolist() == [2, 1] and classes.shape == (3, 2)
    assert history.arrays([[]], NUMBERS, TASTES, 2)[1].tolist() == [[PADDING]]


def test_all_that_a_history_names_is_seen():
    assert history.seen([[("c", 1.0), ("x", 5.0)], []], NUMBERS).tolist() == [[False, False, True], [False] * 3]


def test_a_rating_at_the_threshold_counts_as_the_better():
    found = TASTES.classes(np.array([2.9, 3.0, 3.9, 4.0, np.nan]))
    assert found.tolist() == [DISLIKED, BETWEEN, BETWEEN, LIKED, LIKED]
