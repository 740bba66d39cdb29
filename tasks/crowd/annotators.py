"""How well each person answers, told by what the others say of the same items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.crowd.aggregate import Aggregate
from tasks.crowd.votes import Floats, Indices, Votes
from tasks.drift.chance import holm
from tasks.kinds.classify.scores import wilson

Manner = Literal["informed", "at random", "against the others", "too little to tell"]
LEVEL = 0.05
DRAWS = 1_999
"""Tables drawn at random: the smallest p is 1 / 2,000."""
HASTY = 1 / 3
"""Who takes less than this share of the others' median time, and not by chance, clicks fast."""
LEAST_TIMES = 10


@dataclass(frozen=True)
class Quality:
    """One person's answers to items that others answered too."""

    person: str
    votes: int
    """All that the person gave."""
    shared: int
    """Those to items that others answered."""
    right: float | None
    """Share of the shared ones that are the aggregated label, with a 95 % Wilson interval; None without any."""
    low: float | None
    high: float | None
    confusion: Indices
    """[labels, labels], aggregated label by given label, of the shared ones."""
    manner: Manner
    p_random: float | None
    """One-sided p that answers which have nothing to do with the others' agree with them as often."""
    p_typical: float | None
    """One-sided p that a typical person agrees with the others as seldom, by Holm over all people."""


def examine(votes: Votes, found: Aggregate, seed: int = 0) -> list[Quality]:
    """Each person's quality, in the order of `votes.people`.

    A person's answer is held against the label that most others gave to the item; items where the others are tied or
    absent are left out of the tests. `at random`: nothing shows that the answers follow the others' (exact test of
    independence on agreements, tables drawn with both margins fixed, p above 5 %), and a typical person, whose hit rate
    for each label is that of all others, would agree more often (Poisson binomial, Holm over people, p below 5 %).
    `against the others`: they agree less than chance does, as where labels are mixed up. Few answers tell neither.
    """
    others = [_others(votes, n) for n in range(len(votes.people))]
    agreeing, judged = [table.diagonal() for table in others], [table.sum(axis=1) for table in others]
    p_random = [_independent(table, np.random.default_rng([seed, n])) for n, table in enumerate(others)]
    hits, asked = np.sum(agreeing, axis=0), np.sum(judged, axis=0)
    p_seldom = [
        _typical(agreeing[n], judged[n], hits - agreeing[n], asked - judged[n]) for n in range(len(votes.people))
    ]
    corrected = holm([1.0 if p is None else p for p in p_seldom])
    return [
        _quality(votes, found, n, p_random[n], None if p_seldom[n] is None else corrected[n])
        for n in range(len(votes.people))
    ]


@dataclass(frozen=True)
class Speed:
    """How long a person looks at a text, beside the others."""

    person: str
    answers: int
    median: float
    """Seconds."""
    others: float | None
    p: float | None
    """One-sided p that the person takes as long as the others (Mann-Whitney), by Holm over people."""
    hasty: bool


def speeds(seconds: Mapping[str, Sequence[float]]) -> list[Speed]:
    """Each person's speed from the seconds of their answers, by person; who has none is left out."""
    from scipy.stats import mannwhitneyu

    timed = {who: np.asarray(seconds[who], float) for who in sorted(seconds) if len(seconds[who])}
    rest = {who: np.concatenate([np.empty(0), *(times for other, times in timed.items() if other != who)])
            for who in timed}  # fmt: skip
    told = [who for who in timed if min(len(timed[who]), len(rest[who])) >= LEAST_TIMES]
    found = holm([float(mannwhitneyu(timed[who], rest[who], alternative="less").pvalue) for who in told])
    p = dict(zip(told, found, strict=True))
    return [_speed(who, timed[who], rest[who], p.get(who)) for who in timed]


def _speed(who: str, times: Floats, rest: Floats, p: float | None) -> Speed:
    median, others = float(np.median(times)), float(np.median(rest)) if len(rest) else None
    hasty = p is not None and others is not None and p < LEVEL and median < HASTY * others
    return Speed(who, len(times), median, others, p, hasty)


def _others(votes: Votes, person: int) -> Indices:
    """[labels, labels], a person's items by the others' one most frequent label and the person's own."""
    mine = votes.person == person
    items, own = votes.item[mine], votes.label[mine]
    rest = votes.counts[items].copy()
    rest[np.arange(len(items)), own] -= 1
    most = rest.max(axis=1, initial=0)
    clear = (most > 0) & ((rest == most[:, None]).sum(axis=1) == 1)
    table = np.zeros((len(votes.labels),) * 2, np.int64)
    np.add.at(table, (rest[clear].argmax(axis=1), own[clear]), 1)
    return table


def _independent(table: Indices, rng: np.random.Generator) -> tuple[float, float] | None:
    """p that a table of independent answers with these margins has as many agreements, and as few.

    None where it could not differ.
    """
    from scipy.stats import random_table

    table = table[:, table.any(axis=0) | table.any(axis=1)][table.any(axis=0) | table.any(axis=1)]
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    if (rows > 0).sum() < 2 or not rows.sum():
        return None
    drawn = random_table(rows, columns).rvs(DRAWS, random_state=rng)
    agreements = np.trace(drawn, axis1=1, axis2=2)
    seen = np.trace(table)
    many, few = (float((1 + as_extreme.sum()) / (1 + DRAWS)) for as_extreme in (agreements >= seen, agreements <= seen))
    return many, few


def _typical(agreeing: Indices, judged: Indices, hits: Indices, asked: Indices) -> float | None:
    """p that somebody who hits each label as often as the others do agrees as seldom; None without others."""
    from scipy.stats import poisson_binom

    known = asked > 0
    if not judged[known].sum():
        return None
    rate = np.repeat(hits[known] / asked[known], judged[known])
    return float(poisson_binom(np.clip(rate, 0, 1)).cdf(int(agreeing[known].sum())))


def _quality(
    votes: Votes, found: Aggregate, person: int, p_random: tuple[float, float] | None, p_typical: float | None
) -> Quality:
    mine = votes.person == person
    items, own = votes.item[mine], votes.label[mine]
    shared = votes.counts[items].sum(axis=1) > 1
    truth, given = found.label[items[shared]], own[shared]
    confusion = np.zeros((len(votes.labels),) * 2, np.int64)
    np.add.at(confusion, (truth, given), 1)
    many, right = int(shared.sum()), int((truth == given).sum())
    low, high = wilson(right, many) if many else (None, None)
    return Quality(
        votes.people[person], int(mine.sum()), many, right / many if many else None, low, high, confusion,
        _manner(p_random, p_typical), None if p_random is None else p_random[0], p_typical,
    )  # fmt: skip


def _manner(p_random: tuple[float, float] | None, p_typical: float | None) -> Manner:
    if p_random is None or p_typical is None:
        return "too little to tell"
    many, few = p_random
    if many <= LEVEL:
        return "informed"
    if p_typical > LEVEL:
        return "too little to tell"
    return "against the others" if few <= LEVEL else "at random"
