"""Votes as arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import DataError
from tasks.crowd.aggregate import aggregate
from tasks.crowd.votes import Votes

LABELS = ["a", "b", "c"]
said = st.lists(
    st.tuples(st.sampled_from(["i1", "i2", "i3"]), st.sampled_from("xyz"), st.sampled_from(LABELS)), max_size=20
)


@given(said)
def test_of_one_person_on_one_item_the_last_vote_counts(given):
    votes = Votes.of(given, ["i1", "i2", "i3", "nobody"], LABELS)
    last = {(item, who): label for item, who, label in given}
    found = {(votes.items[i], votes.people[p]): LABELS[n]
             for i, p, n in zip(votes.item, votes.person, votes.label, strict=True)}  # fmt: skip
    assert found == last
    assert votes.replaced == len(given) - len(last)
    assert votes.counts.sum() == len(votes) == len(last)
    assert votes.counts[3].sum() == 0


@given(said)
def test_majority_is_the_most_frequent_label(given):
    votes = Votes.of(given, ["i1", "i2", "i3"], LABELS)
    found = aggregate(votes, "majority")
    for counts, label, tied in zip(votes.counts, found.label, found.tied, strict=True):
        if counts.sum():
            assert counts[label] == counts.max()
            assert tied == ((counts == counts.max()).sum() > 1)
        else:
            assert (label, tied) == (-1, False)


def test_dawid_skene_learns_from_what_an_adjudicator_decided():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    given = [(f"i{n}", who, "ab"[t if right else 1 - t]) for n, t in enumerate(truth)
             for who, right in (("good", rng.random() < 0.95), ("bad", rng.random() < 0.2))]  # fmt: skip
    votes = Votes.of(given, [f"i{n}" for n in range(60)], ["a", "b"])
    decided = {f"i{n}": "ab"[t] for n, t in enumerate(truth[:30])}
    alone, taught = (aggregate(votes, "dawid_skene", known) for known in (None, decided))
    assert (taught.label[30:] == truth[30:]).mean() > 0.85
    assert (taught.label == truth).mean() >= (alone.label == truth).mean()


def test_unknown_labels_are_named_and_counted():
    with pytest.raises(DataError, match=r"2 votes are for a label outside the set: 'd' \(2\)\. Allowed are a, b, c"):
        Votes.of([("i1", "x", "d"), ("i1", "y", "d"), ("i1", "z", "a")], ["i1"], LABELS)
