from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from windows import SHOP, window

from tasks.drift.tallies import OTHER, Categories, Numbers, Tallies, confidence, tokenized
from tasks.drift.window import Window

NUMBERS = arrays(np.float64, st.integers(0, 60), elements=st.floats(allow_nan=True, allow_infinity=True, width=32))


@settings(deadline=None)
@given(NUMBERS, NUMBERS)
def test_every_number_is_counted_once(reference, current):
    column = Numbers.of(reference)
    assert column.reference.sum() == len(reference)
    counts = column.count(current)
    assert counts.sum() == len(current)
    assert counts[-1] == np.isnan(current).sum()


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "", OTHER])), st.lists(st.text(max_size=2)))
def test_every_category_is_counted_once_and_unknown_ones_together(reference, current):
    column = Categories.of(reference)
    assert column.reference.sum() == len(reference)
    counts = column.count(current)
    assert counts.sum() == len(current)
    assert counts[-1] == sum(name not in set(reference) - {OTHER} for name in current)


@settings(deadline=None)
@given(st.lists(st.integers(0, 90), max_size=5))
def test_chunks_count_like_the_whole(cuts):
    reference, current = window(80), window(90, 1, SHOP, labels=40)
    whole = Tallies.of(reference).add(current)
    parts = [current.take(np.arange(a, b)) for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 90], strict=True)]
    chunked = Tallies.of(reference)
    for part in parts:
        chunked.add(part)
    assert chunked.rows == whole.rows == 90
    assert (chunked.right["current"] == whole.right["current"]).all()
    assert all((chunked.columns[name].current == c.current).all() for name, c in whole.columns.items())


def test_only_rows_with_a_label_count_as_right_or_wrong():
    tallies = Tallies.of(window(200, right=1.0)).add(window(50, 1, right=0.0, labels=30))
    assert tallies.right["reference"].tolist() == [200, 0]
    assert tallies.right["current"].tolist() == [0, 30]


def test_a_reference_is_spread_evenly_over_its_bins_and_what_exceeds_it_stands_apart():
    column = Numbers.of(np.arange(1000))
    assert column.reference[:-2].max() <= 33
    assert column.count(np.array([5000.0, 999, np.nan])).tolist()[-3:] == [1, 1, 1]


def test_confidence_leaves_out_classes_that_a_release_has_not():
    rows = replace(window(2), probabilities=np.array([[0.2, 0.8, np.nan], [np.nan] * 3], np.float32))
    assert confidence(rows)[0] == pytest.approx(0.8)
    assert np.isnan(confidence(rows)[1])
    assert np.isnan(confidence(replace(rows, probabilities=np.empty((2, 0), np.float32)))).all()


def test_tokens_are_counted_per_character_and_unknown_ones_by_their_share():
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "film": 1, "good": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    found = tokenized(tokenizer)(replace(window(3), text=["good film", "good 电影 电影 film", None]))
    assert found["tokens"][:2].tolist() == [2 / 8, 4 / 12]
    assert found["unknown"][:2].tolist() == [0, 0.5]
    assert np.isnan(found["unknown"][2])


def test_a_million_rows_are_counted_in_seconds_and_the_memory_of_one_chunk():
    reference, chunk = window(500), Window.joined([window(500, 1)] * 20)
    tallies = Tallies.of(reference)
    for _ in range(10):
        tallies.add(chunk)
    assert tallies.rows == 100_000
    assert sum(len(column.current) for column in tallies.columns.values()) < 200
