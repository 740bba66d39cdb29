import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from similar_texts import chinese, edited, english
from sklearn.feature_extraction.text import CountVectorizer

from tasks import similar
from tasks.similar import SHORT, NearSettings, drawn, gram_size, near_pairs, plain, similarity

SETTINGS = NearSettings()
ANY = NearSettings(near_duplicates=1e-9)


@pytest.mark.parametrize("made", [english, chinese])
def test_copies_edited_in_a_tenth_of_their_characters_are_found_and_nothing_else(made):
    rng = np.random.default_rng(0)
    texts = made(600, rng)
    copies = [edited(text, 0.1, rng) for text in texts[:200]]
    found = near_pairs(copies, texts, SETTINGS)
    right = [pair for pair in found if pair.left == pair.right]
    assert len(right) >= 196
    assert right == found
    assert all(0.8 <= pair.similarity < 1 for pair in found)


@pytest.mark.parametrize("made", [english, chinese])
def test_unlike_texts_are_no_pair(made):
    texts = made(1000, np.random.default_rng(1))
    assert near_pairs(texts[:500], texts[500:], SETTINGS) == []


def test_words_that_moved_are_found_by_their_grams_alone():
    one = "an old man tells the same story every evening; the film is slow and beautiful"
    other = "the film is slow and beautiful; an old man tells the same story every evening"
    assert near_pairs([one], [other], SETTINGS)
    assert not near_pairs([one], [other], NearSettings(near_duplicates=0.99))


def test_the_longer_side_may_be_either_and_blocks_do_not_show(monkeypatch):
    rng = np.random.default_rng(2)
    texts = english(120, rng)
    copies = [edited(text, 0.08, rng) for text in texts[:50]]
    found = near_pairs(copies, texts, SETTINGS)
    assert found == near_pairs(copies, texts, SETTINGS)
    assert [(b, a, s) for a, b, s in near_pairs(texts, copies, SETTINGS)] == found
    monkeypatch.setattr(similar, "BLOCK", 7)
    assert near_pairs(copies, texts, SETTINGS) == found


def test_short_texts_have_no_near_duplicates():
    short, long = "a" * (SHORT - 1), "a" * SHORT
    assert near_pairs([short, ""], [short, long, ""], SETTINGS) == []
    assert near_pairs([long], [short, long], SETTINGS) == [(0, 1, 1.0)]
    assert near_pairs([], [long], SETTINGS) == []


def test_very_long_texts_are_compared_by_their_beginning(monkeypatch):
    monkeypatch.setattr(similar, "CUT", 40)
    start = "one and the same beginning of two long texts"
    assert near_pairs([start + "x" * 50], [start + "yz" * 50], SETTINGS) == [(0, 0, 1.0)]


@given(st.text(max_size=30), st.text(max_size=30), st.integers(2, 5))
def test_the_similarity_is_that_of_an_independent_count(one, other, size):
    one, other = max(one, "?"), max(other, "?")
    counts = CountVectorizer(analyzer=lambda text: similar._grams(text, size), binary=True).fit_transform([one, other])
    a, b = counts.toarray().astype(bool)
    by_grams = (a & b).sum() / (a | b).sum()
    by_edits = 1 - distance(one, other) / max(len(one), len(other))
    expected = max(by_grams, by_edits if by_edits >= SETTINGS.edit_similarity else 0)
    assert (similarity(one, other, size, ANY) or 0) == pytest.approx(expected)
    assert similarity(one, other, size, SETTINGS) == similarity(other, one, size, SETTINGS)
    assert (similarity(one, other, size, SETTINGS) is None) == (by_grams < 0.8 and by_edits < 0.85)


def distance(one, other):
    """Levenshtein's distance, by the table of the textbook (Wagner and Fischer 1974)."""
    row = list(range(len(other) + 1))
    for n, a in enumerate(one, start=1):
        before, row = row, [n]
        for m, b in enumerate(other):
            row.append(min(before[m + 1] + 1, row[m] + 1, before[m] + (a != b)))
    return row[-1]


@given(st.text())
def test_outer_white_space_makes_no_other_text(text):
    assert plain(f"  {text}\n") == plain(text)


def test_equal_after_normalisation_is_equal():
    assert plain("The  FILM\twas ﬁne") == plain("the film was fine")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a film about a boy and his dog"], 3),
        (["这部电影的故事非常感人", "ok"], 2),
        (["映画はとても面白かったです"], 2),
        (["영화가 정말 재미있었습니다"], 2),
        (["a long review " * 30], 4),
        (["很长的评论" * 80], 3),
        ([], 3),
    ],
)
def test_the_size_of_the_grams_follows_script_and_length(texts, expected):
    assert gram_size(texts, SETTINGS) == expected
    assert gram_size(texts, NearSettings(ngram=5)) == 5


def test_a_draw_is_bounded_keeps_the_order_and_repeats_itself():
    frame = pd.DataFrame({"n": range(100)})
    some = drawn(frame, NearSettings(max_rows=30))
    assert len(some) == 30
    assert some["n"].is_monotonic_increasing
    assert some.equals(drawn(frame, NearSettings(max_rows=30)))
    assert not some.equals(drawn(frame, NearSettings(max_rows=30, seed=1)))
    assert drawn(frame, SETTINGS) is frame


@pytest.mark.parametrize("ngram", [1, 11, "automatic", None])
def test_an_impossible_size_is_refused(ngram):
    with pytest.raises(ValidationError, match="ngram"):
        NearSettings(ngram=ngram)
