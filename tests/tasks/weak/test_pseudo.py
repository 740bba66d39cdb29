"""Which of a model's answers are learned from."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.weak.pseudo import chosen, row_id


def test_each_label_gets_as_many_as_the_scarcest_has():
    codes = np.array([0, 0, 0, 1, 1, 2, 0])
    sure = np.array([0.99, 0.96, 0.97, 0.98, 0.94, 0.5, 0.99], np.float32)
    ids = [f"{n:x}" for n in (6, 5, 4, 3, 2, 1, 0)]
    assert chosen(ids, codes, sure, 3, 0.95).tolist() == [6, 3], "the first by id, not the surest"
    assert chosen(ids, codes, sure, 3, 0.95, rows=9).tolist() == [6, 3, 2, 1]
    assert chosen(ids, codes, sure, 3, 0.999).tolist() == []


def test_an_id_is_made_of_the_text():
    assert row_id("a") == row_id("a") != row_id("b")
    assert len(row_id("\ud800")) == 16


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1, width=32)), max_size=40), st.integers(1, 30))
def test_no_label_gets_more_than_its_share_and_none_is_unsure(answers, rows):
    codes = np.array([code for code, _ in answers], np.int64)
    sure = np.array([confidence for _, confidence in answers], np.float32)
    kept = chosen([row_id(str(n)) for n in range(len(answers))], codes, sure, 4, 0.5, rows)
    assert (sure[kept] >= 0.5).all()
    assert (np.bincount(codes[kept], minlength=4) <= rows // 4).all()
    assert len(set(kept.tolist())) == len(kept)
