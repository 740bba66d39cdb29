"""Batches: every row once, little padding, and the ids that the tokenizer gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.batches import by_length, shuffled, tokenize

lengths_of_rows = st.lists(st.integers(1, 60), min_size=1, max_size=300).map(np.array)


@settings(max_examples=50, deadline=None)
@given(lengths_of_rows, st.integers(1, 40), st.integers(0, 5))
def test_every_row_once_and_no_batch_too_large(lengths, size, seed):
    for batches in (shuffled(lengths, size, np.random.default_rng(seed)), by_length(lengths, size)):
        assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
        assert max(len(batch) for batch in batches) <= size


def test_rows_of_like_length_share_a_batch_in_an_order_that_the_seed_decides():
    lengths = np.random.default_rng(0).geometric(0.05, 5000)
    batches = shuffled(lengths, 32, np.random.default_rng(1))
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    assert padded / lengths.sum() < 1.15
    first = [len(batch) and lengths[batch].max() for batch in batches[:20]]
    assert first != sorted(first), "batches must not come shortest first"
    again = shuffled(lengths, 32, np.random.default_rng(1))
    assert all((a == b).all() for a, b in zip(batches, again, strict=True))
    assert any((a != b).any() for a, b in zip(batches, shuffled(lengths, 32, np.random.default_rng(2)), strict=True))


@pytest.fixture
def tokenizer(tiny_encoder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_encoder["path"])


def test_batches_hold_what_the_tokenizer_gives(tokenizer, monkeypatch):
    monkeypatch.setattr("tasks.batches.CHUNK", 2)
    texts = ["the film was great", "", "a dull story and a cold ending", "warm " * 40, "music"]
    tokens = tokenize(tokenizer, texts, max_length=12)
    rows = np.array([3, 1, 0])
    batch = tokens.batch(rows, torch.device("cpu"))
    expected = tokenizer(
        [texts[row] for row in rows], padding=True, truncation=True, max_length=12, return_tensors="pt"
    )
    assert torch.equal(batch["input_ids"], expected["input_ids"])
    assert torch.equal(batch["attention_mask"], expected["attention_mask"])
    assert tokens.lengths.max() == 12
