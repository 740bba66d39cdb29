"""Who answers well, at random, mixed up, or fast."""

import numpy as np
import pytest

from tasks.crowd.aggregate import aggregate
from tasks.crowd.annotators import examine, speeds
from tasks.crowd.votes import Votes

LABELS = ["a", "b", "c"]


def team(skills, items=120, seed=0, labels=3, each=4):
    """People who are right so often, else any other label by lot; a negative skill always says the next label."""
    rng = np.random.default_rng(seed)
    said = []
    for n in range(items):
        truth = rng.integers(labels)
        for p in rng.choice(len(skills), each, replace=False):
            wrong = (truth + 1 + (0 if skills[p] < 0 else rng.integers(labels - 1))) % labels
            right = rng.random() < skills[p]
            said.append((f"i{n}", f"p{p}", LABELS[truth if right else wrong]))
    return Votes.of(said, [f"i{n}" for n in range(items)], LABELS[:labels])


def manners(votes):
    return {one.person: one.manner for one in examine(votes, aggregate(votes, "majority"))}


def test_who_answers_at_random_is_found_and_nobody_else():
    votes = team([0.9, 0.85, 0.8, 0.75, 0.9, 1 / 3, 0.7, -1], items=300)
    found = manners(votes)
    assert found.pop("p5") == "at random"
    assert found.pop("p7") == "against the others"
    assert set(found.values()) == {"informed"}


def test_always_the_same_answer_is_no_information():
    votes = team([0.9] * 5, items=200)
    said = [(votes.items[i], votes.people[p], LABELS[n])
            for i, p, n in zip(votes.item, votes.person, votes.label, strict=True)]  # fmt: skip
    lazy = [(item, "lazy", "a") for item in votes.items[:100]]
    assert manners(Votes.of([*said, *lazy], votes.items, LABELS))["lazy"] == "at random"


def test_honest_people_are_hardly_ever_accused():
    accused = [manner for seed in range(15) for manner in manners(team([0.7] * 6, 60, seed)).values()]
    assert sum(manner in ("at random", "against the others") for manner in accused) <= 1


def test_quality_has_an_interval_that_holds_the_truth():
    votes = team([0.95, 0.9, 0.85, 0.6], items=400)
    for one, skill in zip(examine(votes, aggregate(votes, "dawid_skene")), [0.95, 0.9, 0.85, 0.6], strict=True):
        assert one.low - 0.03 < skill < one.high + 0.03
        assert one.confusion.sum() == one.shared == one.votes == 400
        assert one.right == pytest.approx(one.confusion.trace() / 400)


def test_who_shares_no_item_is_not_judged():
    votes = Votes.of([("i1", "x", "a"), ("i1", "y", "a"), ("i2", "z", "b")], ["i1", "i2"], LABELS)
    x, _, z = examine(votes, aggregate(votes, "majority"))
    assert (x.shared, x.right, x.manner) == (1, 1, "too little to tell")
    assert (z.votes, z.shared, z.right, z.low, z.p_random, z.p_typical) == (1, 0, None, None, None, None)


def test_one_person_alone_is_not_judged():
    votes = Votes.of([(f"i{n}", "x", "ab"[n % 2]) for n in range(9)], [f"i{n}" for n in range(9)], LABELS)
    assert manners(votes) == {"x": "too little to tell"}


def test_fast_clickers_stand_out_where_seconds_are_known():
    rng = np.random.default_rng(0)
    times = {f"p{n}": rng.lognormal(2, 0.5, 60) for n in range(4)}
    found = {one.person: one for one in speeds({**times, "fast": rng.lognormal(0, 0.4, 30), "few": [0.5], "none": []})}
    assert [who for who, one in found.items() if one.hasty] == ["fast"]
    assert found["few"].p is None
    assert "none" not in found
    assert speeds({}) == []
    assert not speeds({"alone": [1.0] * 30})[0].hasty
