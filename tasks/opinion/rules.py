"""Risk rules: what of that which is said of an entity people should know now, and the headlines that say so."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tasks.drift.result import Severity
from tasks.opinion.changes import MONTH, Usual, burst, evidence, grid, limit, longest_run, usual
from tasks.opinion.entities import plain, words
from tasks.opinion.index import Index, opinion_index
from tasks.opinion.said import DAY, Said
from tasks.opinion.settings import OpinionSettings

HOUR = DAY // 24


@dataclass(frozen=True)
class Finding:
    """A rule found something."""

    entity: str
    rule: str
    time: int
    """Of the headline that was one too many, in microseconds since 1970."""
    severity: Severity
    reason: str
    headlines: tuple[str, ...]
    """Ids of those that caused it, the newest first."""


def findings(said: Said, entity: str, settings: OpinionSettings, since: int, now: int) -> list[Finding]:
    """What the rules find of headlines later than `since`, in the order of time.

    Days are those of UTC. Each day is held against its own baseline, which ends `gap_days` before it.
    """
    watch = Watch(said, entity, settings, now)
    rules = settings.rules
    found = [
        *(_drops(watch) if rules.index_drop else ()),
        *(_bursts(watch) if rules.volume_burst else ()),
        *(_runs(watch) if rules.negative_run else ()),
        *(_risks(watch) if rules.risk_words else ()),
    ]
    return sorted((one for one in found if since < one.time <= now), key=lambda one: (one.time, one.rule))


class Watch:
    """One entity's last month of headlines, each with what was usual before its day."""

    def __init__(self, said: Said, entity: str, settings: OpinionSettings, now: int) -> None:
        self.said, self.entity, self.settings = said, entity, settings
        self.today = now // DAY
        detector = settings.detector
        self.rate = detector.false_alarms_per_month / max(1, settings.rules.by_chance() * len(settings.entities))
        self.first = self.today - MONTH - detector.gap_days - detector.baseline_days
        self.tally, self.negatives = said.by_day(self.first, self.today)
        self._usual: dict[int, Usual | None] = {}

    @cached_property
    def index(self) -> Index:
        """Of each day from `first` on."""
        wanted = self.settings.index
        return opinion_index(self.tally, wanted.half_life_days, wanted.confidence)

    @property
    def latest(self) -> Iterator[int]:
        """Places of the headlines of the last month."""
        return iter(np.flatnonzero((self.said.days > self.today - MONTH) & (self.said.days <= self.today)).tolist())

    def usual(self, day: int) -> Usual | None:
        """The baseline of a day; None where it holds too few headlines. Days before the first headline are none."""
        if day not in self._usual:
            self._usual[day] = self._baseline(day)
        return self._usual[day]

    def _baseline(self, day: int) -> Usual | None:
        wanted = self.settings.detector
        end = day - self.first - wanted.gap_days
        span = slice(max(0, end - wanted.baseline_days), end)
        headlines, scores = self.tally.headlines[span], self.tally.scores[span]
        begun = int(np.argmax(headlines > 0))
        if headlines.sum() < wanted.least_headlines or len(headlines) - begun < 2:
            return None
        return usual(headlines[begun:], self.negatives[span][begun:], scores[begun:])

    def finding(self, rule: str, place: int, severity: Severity, reason: str, causes: NDArray[np.int64]) -> Finding:
        """What a rule found at the headline of a place; of the causes the newest are named."""
        newest = causes[::-1][: self.settings.rules.headlines]
        ids = tuple(str(one) for one in self.said.ids[newest])
        return Finding(self.entity, rule, int(self.said.times[place]), severity, f"{self.entity}: {reason}", ids)


def _drops(watch: Watch) -> Iterator[Finding]:
    """A CUSUM of negatives over its limit, while the index stands below what was usual."""
    rule, odds = watch.settings.rules.index_drop, watch.settings.detector.odds
    assert rule is not None  # noqa: S101 - for the type checker
    said, height, start = watch.said, 0.0, 0
    for place in watch.latest:
        day = int(said.days[place])
        known = watch.usual(day)
        if known is None:
            height = 0.0
            continue
        share = grid(known.negatives)
        if height <= 0:
            height, start = 0.0, place
        height += float(evidence(said.negative[place : place + 1], share, odds, known.spread)[0])
        value, high = (float(one[day - watch.first]) for one in (watch.index.value, watch.index.high))
        if height < limit(share, odds, known.headlines, watch.rate) or value > known.score - rule.least:
            continue
        causes = np.arange(start, place + 1)
        negative = causes[said.negative[causes]]
        reason = (
            f"the opinion index fell to {value:+.2f} where {known.score:+.2f} is usual: {len(negative)} of the last "
            f"{len(causes)} headlines are negative, and {_share(watch, day):.0%} usually."
        )
        severity: Severity = "severe" if high < known.score - rule.least else "warning"
        yield watch.finding("index_drop", place, severity, reason, negative)
        height = 0.0


def _bursts(watch: Watch) -> Iterator[Finding]:
    """A day with more headlines than chance explains; told at the headline that is one too many."""
    rule = watch.settings.rules.volume_burst
    assert rule is not None  # noqa: S101 - for the type checker
    for day in range(watch.today - MONTH + 1, watch.today + 1):
        known = watch.usual(day)
        places = np.flatnonzero(watch.said.days == day)
        if known is None or len(places) < max(rule.least, rule.times * known.headlines):
            continue
        if burst(len(places), known) > watch.rate / MONTH:
            continue
        enough = max(rule.least, math.ceil(rule.times * known.headlines))
        while burst(enough, known) > watch.rate / MONTH:
            enough += 1
        reason = f"{len(places)} headlines came in a day, where {known.headlines:.1f} are usual."
        yield watch.finding("volume_burst", int(places[enough - 1]), "warning", reason, places)


def _runs(watch: Watch) -> Iterator[Finding]:
    """More negatives in a row than chance brings."""
    rule = watch.settings.rules.negative_run
    assert rule is not None  # noqa: S101 - for the type checker
    run: list[int] = []
    for place in watch.latest:
        known = watch.usual(int(watch.said.days[place]))
        run = [*run, place] if watch.said.negative[place] and known else []
        if known and len(run) >= max(rule.least, longest_run(known, watch.rate)):
            reason = f"{len(run)} headlines in a row are negative."
            yield watch.finding("negative_run", place, "warning", reason, np.array(run))
            run = []


def _risks(watch: Watch) -> Iterator[Finding]:
    """Headlines with a word that is a risk whatever is usual."""
    rule = watch.settings.rules.risk_words
    assert rule is not None  # noqa: S101 - for the type checker
    pattern, said = words(rule.words), watch.said
    assert pattern is not None  # noqa: S101 - there is a word at least
    hit: list[int] = []
    named: dict[int, str] = {}
    for place in watch.latest:
        match = pattern.search(plain(str(said.texts[place])))
        if match is None or (rule.negative_only and not said.negative[place]):
            continue
        named[place] = match[0]
        hit = [*(one for one in hit if said.times[place] - said.times[one] <= rule.hours * HOUR), place]
        if len(hit) >= rule.least:
            told = ", ".join(sorted({named[one] for one in hit}))
            reason = f"{len(hit)} headlines within {rule.hours:g} hours speak of {told}."
            yield watch.finding("risk_words", place, "severe", reason, np.array(hit))
            hit = []


def _share(watch: Watch, day: int) -> float:
    """The share of negatives in a day's baseline, as it was seen."""
    wanted = watch.settings.detector
    end = day - watch.first - wanted.gap_days
    span = slice(max(0, end - wanted.baseline_days), end)
    return float(watch.negatives[span].sum() / watch.tally.headlines[span].sum())
