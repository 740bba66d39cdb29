"""What a label report tells: agreement, speed, workload, quality, disagreements, as figures without a page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from tasks.crowd import agreement
from tasks.crowd.aggregate import Aggregate, aggregate
from tasks.crowd.annotators import Quality, Speed, examine, speeds
from tasks.crowd.gather import Gathered
from tasks.crowd.settings import VoteSettings

EXAMPLES = 20
LEAST_PAIR = 10
"""Items that two people must share for a kappa of theirs."""
PAIRS = 30
PAIR_SAMPLES = 300


@dataclass(frozen=True)
class Disagreement:
    """An item that people answered differently."""

    item: str
    text: str
    answers: list[tuple[str, list[str]]]
    """Labels with the people who gave them, the most frequent first."""
    label: str | None
    confidence: float | None
    decided: bool


@dataclass(frozen=True)
class Week:
    """What a person answered in a week beside what team.yaml says they can."""

    monday: str
    person: str
    answers: int
    capacity: int | None

    @property
    def over(self) -> bool:
        """Whether it was more."""
        return self.capacity is not None and self.answers > self.capacity


@dataclass(frozen=True)
class TeamReport:
    """All that the page shows."""

    gathered: Gathered
    found: Aggregate
    settings: VoteSettings
    alpha: agreement.Interval | None
    fleiss: agreement.Interval | None
    pairs: list[tuple[str, str, agreement.Interval]]
    people: list[Quality]
    speeds: list[Speed]
    weeks: list[Week]
    disagreements: list[Disagreement]

    @property
    def counts(self) -> dict[str, int]:
        """How much there is."""
        people = self.gathered.votes.counts.sum(axis=1)
        return {
            "texts": len(self.gathered.votes.items),
            "votes": len(self.gathered.votes),
            "people": len(self.gathered.votes.people),
            "texts that several people answered": int((people > 1).sum()),
            "of these, answered alike by all": int(
                ((self.gathered.votes.counts > 0).sum(axis=1) == 1)[people > 1].sum()
            ),
            "decided by an adjudicator": len(self.gathered.decided),
            "discarded by an adjudicator": self.gathered.discarded,
            "ties": int(self.found.tied.sum()),
            "votes for labels that the line does not have": sum(self.gathered.left_out.values()),
        }


def describe(
    gathered: Gathered, settings: VoteSettings, capacity: Mapping[str, int | None], samples: int = 1000, seed: int = 0
) -> TeamReport:
    """Work everything out; `capacity` is texts a week by person, absent or None where nobody said."""
    votes = gathered.votes
    found = aggregate(votes, settings.method, gathered.decided, seed)
    return TeamReport(
        gathered, found, settings,
        agreement.alpha(votes.counts, samples, seed),
        agreement.fleiss(votes.counts, samples, seed),
        agreement.pairs(votes, LEAST_PAIR, PAIR_SAMPLES, seed)[:PAIRS],
        examine(votes, found, seed),
        speeds(gathered.seconds),
        _weeks(gathered.answered, capacity),
        _disagreements(gathered, found),
    )  # fmt: skip


def _weeks(answered: Sequence[tuple[str, datetime]], capacity: Mapping[str, int | None]) -> list[Week]:
    counts = Counter((_monday(time), who) for who, time in answered)
    return [Week(monday, who, many, capacity.get(who)) for (monday, who), many in sorted(counts.items())]


def _monday(time: datetime) -> str:
    day = time.astimezone(UTC).date()
    return (day - timedelta(days=day.weekday())).isoformat()


def _disagreements(gathered: Gathered, found: Aggregate) -> list[Disagreement]:
    """The items with the least share of equal pairs, least confident first, none twice."""
    votes = gathered.votes
    same = agreement.same_pairs(votes.counts)
    places = np.flatnonzero(same < 1)
    doubt = np.nan_to_num(found.confidence, nan=0.0)
    ordered = places[np.lexsort((places, doubt[places], same[places]))][:EXAMPLES]
    return [_disagreement(gathered, found, int(place)) for place in ordered]


def _disagreement(gathered: Gathered, found: Aggregate, place: int) -> Disagreement:
    votes = gathered.votes
    item = votes.items[place]
    said: dict[str, list[str]] = {}
    for n in np.flatnonzero(votes.item == place):
        said.setdefault(votes.labels[votes.label[n]], []).append(votes.people[votes.person[n]])
    confidence: Any = found.confidence[place]
    decided = gathered.decided.get(item)
    return Disagreement(
        item, gathered.texts[item], sorted(said.items(), key=lambda one: (-len(one[1]), one[0])),
        decided or votes.labels[found.label[place]],
        None if decided or np.isnan(confidence) else float(confidence), decided is not None,
    )  # fmt: skip
