"""All that the page shows of a line, collected so that one broken record hides no other."""

import json
import logging
import os
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from flows import alerts, approvals, loop, registry, releases, store
from flows.alert_settings import URLS
from flows.alerts import Alert
from flows.approvals import Proposal
from flows.loop import Attempt
from flows.ops import around
from flows.ops.around import Prefect, Run, Status, Traffic
from flows.ops.fresh import Fresh
from flows.ops.health import Judged, judge
from flows.ops.timeline import Timeline
from flows.registry import Assigned
from flows.releases import Row
from tasks.comparison import METRICS
from tasks.core.errors import TidegateError
from tasks.drift.result import Observation
from tasks.verdict import Verdict

log = logging.getLogger("tidegate")

T = TypeVar("T")

UNREADABLE = (TidegateError, OSError, ValueError, KeyError, TypeError, AttributeError, subprocess.SubprocessError)
"""What a record that somebody edited, or half a disk, does to a reader."""
LOOKS, ATTEMPTS, PAST_ALERTS, RUNS = 8, 8, 8, 8
"""How many of each the page lists."""
PATIENCE = 15.0  # seconds for the registry, the first time alone: GTO and DVC take that to import on a busy machine


@dataclass(frozen=True)
class Registered:
    """What tags, release store, proposals and serving folder say of a line."""

    champion: Assigned | None = None
    release: str | None = None
    """Of the champion."""
    history: Sequence[Assigned] = ()
    earlier: Sequence[str] = ()
    """Versions that a rollback can go back to, the nearest first."""
    rows: Sequence[Row] = ()
    metric: str = "accuracy"
    """What `figure` of the rows is."""
    verdicts: Sequence[Verdict] = ()
    """Of the champion's release."""
    problems: Sequence[str] = ()


@dataclass(frozen=True)
class View:
    """A line, as the page shows it."""

    line: str
    health: Judged
    latest: Observation | None
    registered: Registered
    alerts: Sequence[Alert]
    past_alerts: Sequence[Alert]
    waiting: Sequence[Proposal]
    attempts: Sequence[Attempt]
    looks: Sequence[Observation]
    """The newest first."""
    reports: frozenset[str]
    """Observations of `looks` that have a report."""
    statuses: Sequence[Status]
    traffic: Traffic
    runs: Sequence[Run]
    problems: Sequence[str]
    """Records that could not be read, a sentence each."""


@dataclass
class _Tried:
    """Reads one thing after the other, and remembers what failed."""

    problems: list[str] = field(default_factory=list)

    def __call__(self, what: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except UNREADABLE as error:
            said = str(error) if isinstance(error, TidegateError) else f"{type(error).__name__}: {error}"
            self.problems.append(f"{what}: {said}")
            log.warning("The page leaves out %s: %s", what, said)
            return otherwise


class Watch:
    """Collects what the page shows of one line, again and again."""

    def __init__(self, line: str, stale_hours: float, pool: ThreadPoolExecutor, shared: "Shared") -> None:
        """A look that is older than `stale_hours` says nothing of now."""
        self.line, self.stale_hours, self.shared = line, stale_hours, shared
        self.timeline = Timeline(line)
        self.registered = Fresh(pool, lambda: registered(line), Registered())
        self.traffic = Fresh(pool, lambda: around.traffic(line), Traffic(_unknown("log")))

    def view(self) -> View:
        """The line as it is now."""
        tried, now = _Tried(), datetime.now(UTC)
        known = self.registered.value(PATIENCE)
        traffic, prefect, service = self.traffic.value(), self.shared.prefect.value(), self.shared.service.value()
        latest = tried("observations", self.timeline.latest, None)
        open_now: list[Alert] = tried("alerts", lambda: alerts.open_alerts(self.line), [])
        every: list[Alert] = tried("alerts", lambda: alerts.alerts(self.line), [])
        proposals: list[Proposal] = tried("approvals", lambda: approvals.proposals(self.line), [])
        attempts: list[Attempt] = tried("loop", lambda: loop.attempts(self.line), [])
        looks: list[Observation] = tried("observations", lambda: self.timeline.last(LOOKS), [])
        looks.reverse()
        return View(
            line=self.line,
            health=judge(known.release, latest, open_now, self.stale_hours, now),
            latest=latest,
            registered=known,
            alerts=open_now,
            past_alerts=[alert for alert in every if not alert.open][:PAST_ALERTS],
            waiting=[one for one in proposals if one.state == "waiting" and one.release != known.release],
            attempts=list(reversed(attempts))[:ATTEMPTS],
            looks=looks,
            reports=frozenset(one.id for one in looks if one.report),
            statuses=[service, traffic.status, prefect.status, _channels(open_now)],
            traffic=traffic,
            runs=[run for run in prefect.runs if run.line in (self.line, None)][:RUNS],
            problems=[*known.problems, *tried.problems],
        )


class Shared:
    """What is the same for all lines."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.service = Fresh(pool, around.service, _unknown("service"))
        self.prefect: Fresh[Prefect] = Fresh(pool, around.prefect, Prefect(_unknown("prefect")))


def registered(line: str) -> Registered:
    """What tags, release store, proposals and serving folder say of a line. Raises nothing for broken ones."""
    tried = _Tried()
    history: list[Assigned] = tried("tags", lambda: registry.history(line), [])
    earlier: list[Assigned] = tried("tags", lambda: registry.earlier(line), [])
    found = tried("releases", lambda: releases.rows(line), None)
    release = found[0].champion if found else _recorded(history)
    return Registered(
        champion=history[-1] if history else None,
        release=release,
        history=history,
        earlier=list(dict.fromkeys(one.version for one in reversed(earlier))),
        rows=found[1] if found else (),
        metric=METRICS[found[0].metric] if found else "accuracy",
        verdicts=tried("verdicts", lambda: _verdicts(line, release), []) if release else (),
        problems=tried.problems,
    )


def release_path(line: str, release: str) -> Path:
    """The folder of a release in the store."""
    return store.STORE / line / release


def _recorded(history: Sequence[Assigned]) -> str | None:
    record = history[-1].record if history else None
    return record.release if record else None


def _verdicts(line: str, release: str) -> list[Verdict]:
    manifest = release_path(line, release) / "manifest.json"
    if not manifest.exists():
        return []
    content = json.loads(manifest.read_text(encoding="utf-8"))
    return [Verdict.model_validate(verdict) for verdict in content["verdicts"].values()]


def _unknown(name: str) -> Status:
    return Status(name, "off", "status.asking", {})


def _channels(found: Sequence[Alert]) -> Status:
    """Whether alerts reach anybody."""
    if any(alert.kind == "channel" for alert in found):
        return Status("channels", "ill", "channels.dead", {})
    told = bool(os.environ.get(URLS, "").strip())
    return Status("channels", "well" if told else "off", "channels.set" if told else "channels.none", {})
