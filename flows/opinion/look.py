"""One look of a product: new headlines in, the index drawn anew, the rules asked, alerts raised or ended."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flows import alerts
from flows.lock import hold
from flows.opinion.scorer import Scorer
from flows.opinion.scoring import Counts, take
from flows.settings import product as settings_of
from serving.log.rows import microseconds, when
from tasks import inbox
from tasks.core.errors import RejectedError, SourceError
from tasks.core.line import Line
from tasks.opinion.changes import MONTH
from tasks.opinion.index import opinion_index
from tasks.opinion.rules import Finding, findings
from tasks.opinion.said import DAY, Said
from tasks.opinion.settings import OpinionSettings
from tasks.opinion.store import Cause, Store, opened
from tasks.sync import sync

log = logging.getLogger("tidegate")

TITLES = {
    "index_drop": "opinion turns worse", "volume_burst": "unusually much is said",
    "negative_run": "one bad headline after the other", "risk_words": "risk words",
}  # fmt: skip
LATE = timedelta(days=1)
"""How far before the last look headlines still raise alerts: they may come late."""
LEAD = 10
"""Half-lives before the first day of the index: older headlines weigh less than a thousandth."""


@dataclass(frozen=True)
class Looked:
    """What a look did; as text, for people."""

    product: str
    counts: Counts
    raised: list[alerts.Alert]
    open: int
    faults: list[str]

    @property
    def exit_code(self) -> int:
        """3 where an alert was raised, 1 where a feed could not be read, else 0."""
        return RejectedError.exit_code if self.raised else SourceError.exit_code if self.faults else 0

    def __str__(self) -> str:
        c = self.counts
        more = {"without text": c.without_text, "in another language": c.other_language,
                "dated in the future, taken as of now": c.future}  # fmt: skip
        said = [f"{c.read:,} new headlines, {c.kept:,} kept, {c.named_nobody:,} name no entity"]
        said += [f"{many:,} {what}" for what, many in more.items() if many]
        lines = [f"{self.product}: {'; '.join(said)}. {self.open} alert(s) open."]
        lines += [f"{alert.severity}: {alert.title}. {alert.reason}" for alert in self.raised]
        return "\n".join([*lines, *self.faults])


def look(product: str, now: datetime | None = None) -> Looked:
    """Take what the feeds have, score it, draw the index anew and act on what the rules find.

    A feed that cannot be read is told, and the others are taken. Raises BusyError where another look goes on,
    SettingsError and TidegateError where nothing could be done.
    """
    settings, line, now = settings_of(product, OpinionSettings), Line(product), now or datetime.now(UTC)
    with hold(f"opinion-{product}", f"Another look of {product} goes on. Wait for it to end, then look again."):
        faults = _sync(line, settings)
        with opened() as engine:
            counts = Counts()
            with engine.connect() as connection:
                new = Store(connection, product).new_batches([path.stem for path in inbox.batches(line)])
            scorer = Scorer.load(settings) if new else None
            for batch in new:
                assert scorer is not None  # noqa: S101 - for the type checker
                with engine.begin() as connection:
                    path = line.inbox / f"{batch}.parquet"
                    counts = counts.plus(take(Store(connection, product), path, scorer, now))
            with engine.begin() as connection:
                raised, still = judge(Store(connection, product), settings, now)
    return Looked(product, counts, raised, still, faults)


def judge(store: Store, settings: OpinionSettings, now: datetime) -> tuple[list[alerts.Alert], int]:
    """Draw the index of every entity and ask the rules; the alerts raised, and how many are open."""
    moment, raised = microseconds(now), []
    since = min(store.looked() or moment, moment) - round(LATE.total_seconds() * 1e6)
    for entity in settings.entities:
        said = store.said(entity, moment - _reach(settings) * DAY, settings.index.negative)
        _draw(store, entity, said, settings, moment)
        for found in findings(said, entity, settings, since, moment):
            alert = _act(store, found, settings)
            raised += [alert] if alert else []
    still = _end(store, settings, moment)
    store.look(moment)
    return raised, still


def _sync(line: Line, settings: OpinionSettings) -> list[str]:
    """Take new headlines into data/<product>/inbox, masked; what a feed that fails says."""
    faults = []
    for feed in settings.feeds:
        try:
            sync(line, [feed], settings.text)
        except SourceError as error:
            log.error("error: feed %s: %s", feed.name, error)
            faults.append(f"feed {feed.name}: {error}")
    return faults


def _reach(settings: OpinionSettings) -> int:
    """Days of history that index and rules look at."""
    detector = settings.detector
    return MONTH + detector.gap_days + detector.baseline_days + _lead(settings) + 1


def _lead(settings: OpinionSettings) -> int:
    """Days before one of the index whose headlines still weigh in it."""
    return round(LEAD * settings.index.half_life_days)


def _draw(store: Store, entity: str, said: Said, settings: OpinionSettings, now: int) -> None:
    """The index of an entity, over all topics and of each; one of which nothing is left, as was forgotten, goes.

    Days that `said` does not reach, or without the headlines before them, stay as they were drawn; but the whole index
    is drawn where it counts others than there are before: at first, where some came late, where some were forgotten.
    """
    settled = now // DAY - _reach(settings) + 1 + _lead(settings)
    drawn, older = store.drawn(entity, settled), store.older(entity, settled)
    for topic in sorted({"", *store.topics(entity), *drawn}):
        part, since = said, settled
        if drawn.get(topic, 0) != older.get(topic, 0):
            part, since = store.said(entity, 0, settings.index.negative, topic or None), 0
        elif topic:
            part = store.said(entity, now - _reach(settings) * DAY, settings.index.negative, topic)
        store.set_index(entity, topic, _days(part, settings, now // DAY) if len(part.ids) else [], since)


def _days(said: Said, settings: OpinionSettings, last: int) -> list[dict[str, Any]]:
    """The index of each day from the first headline on."""
    first = int(said.days[0])
    tally, _ = said.by_day(first, last)
    found = opinion_index(tally, settings.index.half_life_days, settings.index.confidence)
    return [
        {"day": first + n, "headlines": int(tally.headlines[n]),
         **{name: None if value != value else float(value) for name, value in
            (("value", found.value[n]), ("low", found.low[n]), ("high", found.high[n]))}}
        for n in range(len(tally.headlines))
    ]  # fmt: skip


def _act(store: Store, found: Finding, settings: OpinionSettings) -> alerts.Alert | None:
    """Keep a finding and tell it; the alert where its cause is new, None where it is known."""
    held = round(settings.rules.hold_days * DAY)
    its = [cause for cause in store.causes() if (cause.entity, cause.rule) == (found.entity, found.rule)]
    if any(found.time <= cause.last for cause in its):
        return None
    before = its[-1] if its and its[-1].over is None and found.time - its[-1].last <= held else None
    texts = store.texts(found.headlines)
    alert = alerts.raise_alert(
        store.product, "opinion", found.severity, f"{found.entity}: {TITLES[found.rule]}", found.reason,
        subject=_subject(found.entity, found.rule), headlines=[texts[one]["text"] for one in found.headlines],
    )  # fmt: skip
    store.keep(found, alert.id, before)
    return None if before else alert


def _end(store: Store, settings: OpinionSettings, now: int) -> int:
    """End the alerts of causes of which nothing was found for `hold_days`; returns how many stay open."""
    still = 0
    for cause in store.causes(open_only=True):
        if now - cause.last < settings.rules.hold_days * DAY:
            still += 1
            continue
        _resolve(store, cause, settings, now)
    return still


def _resolve(store: Store, cause: Cause, settings: OpinionSettings, now: int) -> None:
    why = f"Nothing more of it was found since {when(cause.last):%Y-%m-%d}, for {settings.rules.hold_days:g} days."
    alerts.resolve(store.product, "opinion", why, _subject(cause.entity, cause.rule))
    store.end(cause, now)


def _subject(entity: str, rule: str) -> str:
    return f"{entity}/{rule}"
