"""Copies within one table: which are found, which row stays."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import duplicates
from tasks.similar import NearSettings, plain, similarity

NEAR = NearSettings()


def sentences(rows, words=12, seed=0):
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    vocabulary = ["".join(rng.choice(letters, rng.integers(3, 9))) for _ in range(2000)]
    return [" ".join(rng.choice(vocabulary, words)) for _ in range(rows)]


def test_exact_copies_differ_in_form_alone():
    assert duplicates.exact(["The film", "other", "the  FILM", "ｔｈｅ film", "the films"]) == {2: 0, 3: 0}


def test_edited_copies_are_found_and_others_are_not():
    texts = sentences(400)
    edited = [f"{text[:20]}x{text[21:]}" for text in texts[:50]]
    assert duplicates.near([*texts, *edited], NEAR) == {400 + n: n for n in range(50)}


def test_a_chain_of_edits_keeps_both_its_ends():
    first = sentences(1, words=20)[0]
    middle, last = f"{'#' * 14}{first[14:]}", f"{'#' * 28}{first[28:]}"
    assert duplicates.near([first, middle, last], NEAR) == {1: 0}


def test_a_crowd_of_copies_leaves_one():
    text = sentences(1)[0]
    found = duplicates.near([f"{text} {n}" for n in range(300)], NEAR)
    assert found == dict.fromkeys(range(1, 300), 0)


def test_texts_too_short_to_tell_stay():
    assert duplicates.near(["good", "good!", "", "goods"], NEAR) == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("abc ", min_size=8, max_size=30), max_size=12))
def test_what_leaves_is_like_an_earlier_one_that_stays(texts):
    found = duplicates.near(texts, NearSettings(ngram=3))
    for copy, stays in found.items():
        assert stays < copy
        assert stays not in found
        assert similarity(plain(texts[stays]), plain(texts[copy]), 3, NEAR) is not None
