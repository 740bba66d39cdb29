"""How far people agree beyond chance, each figure with a bootstrap interval over the items.

All follow from sums over items, so that a resample of items costs one product of matrices (tasks.resampled).
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from tasks.crowd.votes import Floats, Indices, Votes
from tasks.resampled import interval

Interval = dict[str, Any]
"""Keys value, low, high, level, rows and bootstrap_samples (tasks.resampled)."""


def alpha(counts: Indices, samples: int, seed: int) -> Interval | None:
    """Krippendorff's alpha for nominal data; `counts` [items, labels] says how many people gave a label to an item.

    alpha = 1 - D_o / D_e (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"). Items below two votes hold
    no pair and are left out. None where no item has two votes, or all votes are equal.
    """
    several, people = _several(counts)
    differing = people * (1 - same_pairs(several))  # ordered pairs, each vote's weighed by 1 / (people - 1)
    return interval(np.column_stack([people, differing, several]), _alpha, samples, seed)


def fleiss(counts: Indices, samples: int, seed: int) -> Interval | None:
    """Fleiss' kappa (Fleiss 1971, Psychological Bulletin 76:378) of the same counts.

    Items need not have the same number of votes: each with two or more counts as one, by its share of equal pairs. None
    where no item has two votes, or all votes are equal.
    """
    several, people = _several(counts)
    return interval(np.column_stack([np.ones(len(people)), same_pairs(several), several]), _fleiss, samples, seed)


def cohen(one: Indices, other: Indices, labels: int, samples: int, seed: int) -> Interval | None:
    """Cohen's kappa (Cohen 1960, Educational and Psychological Measurement 20:37) of two people's labels [items].

    None where both always say one and the same.
    """
    eye = np.eye(labels)
    return interval(np.column_stack([one == other, eye[one], eye[other]]), _cohen, samples, seed)


def pairs(votes: Votes, least: int, samples: int, seed: int) -> list[tuple[str, str, Interval]]:
    """Cohen's kappa of every two people who both answered at least `least` items, those with most in common first."""
    said = [dict(zip(votes.item[votes.person == n], votes.label[votes.person == n], strict=True))
            for n in range(len(votes.people))]  # fmt: skip
    found = []
    for a, b in combinations(range(len(votes.people)), 2):
        both = sorted(said[a].keys() & said[b].keys())
        if len(both) < max(least, 1):
            continue
        one, other = (np.array([answers[item] for item in both]) for answers in (said[a], said[b]))
        kappa = cohen(one, other, len(votes.labels), samples, seed)
        if kappa is not None:
            found.append((votes.people[a], votes.people[b], kappa))
    return sorted(found, key=lambda pair: -pair[2]["rows"])


def same_pairs(counts: Indices | Sequence[Sequence[int]]) -> Floats:
    """[items], the share of equal pairs among an item's votes; NaN below two votes."""
    table = np.asarray(counts, float)
    people = table.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Floats = (table * (table - 1)).sum(axis=1) / (people * (people - 1))
    return np.where(people > 1, share, np.nan)


def _several(counts: Indices) -> tuple[Indices, Floats]:
    """The items with two votes or more, and how many each has."""
    several = counts[counts.sum(axis=1) > 1]
    return several, several.sum(axis=1).astype(float)


def _alpha(sums: Floats) -> Floats:
    people, differing, votes = sums[..., 0], sums[..., 1], sums[..., 2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = (people**2 - (votes**2).sum(axis=-1)) / (people * (people - 1))
        value: Floats = 1 - (differing / people) / expected
    return value


def _fleiss(sums: Floats) -> Floats:
    items, same, votes = sums[..., 0], sums[..., 1], sums[..., 2:]
    return _beyond_chance(same / items, (votes**2).sum(axis=-1) / votes.sum(axis=-1) ** 2)


def _cohen(sums: Floats) -> Floats:
    one, other = np.split(sums[..., 1:], 2, axis=-1)
    items = one.sum(axis=-1)
    return _beyond_chance(sums[..., 0] / items, (one * other).sum(axis=-1) / items**2)


def _beyond_chance(observed: Floats, chance: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        value: Floats = (observed - chance) / (1 - chance)
    return np.where(chance < 1 - 1e-12, value, np.nan)
