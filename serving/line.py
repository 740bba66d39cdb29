"""A line as it is served now: its champion, what is tried beside it, and the queue that they share."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.batcher import Batcher, BatchSettings, Engine, Request
from serving.deployment import Beside, Pointer
from serving.errors import Expired, Failed, NotReady, QueueFull
from serving.log.record import Answered, Recorder, Role
from serving.metrics import Metrics
from serving.served import Row, Served
from serving.traffic import Tally, meets_canary, meets_shadow
from tasks.kinds.common.serve import named
from tasks.kinds.rank.shared import rankings

log = logging.getLogger("tidegate")

COUNTED = 200  # labels that are counted one by one: a metric's series for each of a million items would swamp it
RECOMMENDS = "rank"
"""The task kind whose labels are items."""
PATIENCE = 5.0  # seconds that a text for a shadow may wait for a gap in the traffic


@dataclass(frozen=True)
class Reply:
    """The answer to one request: all of it by one release."""

    labels: list[str]
    """[texts]"""
    probabilities: NDArray[np.float32]
    """[texts, classes], calibrated."""
    classes: list[str]
    """The columns of `probabilities`: another release of the line may have them in another order."""
    release: str
    version: str | None
    variant: str
    role: Role
    """`champion` or `canary`."""
    in_scope: list[bool | None] | None = None
    """[texts], whether a text has one of the labels at all; None where the release takes every text."""
    served: Served | None = None
    """The release itself, for what is asked of it besides."""
    lists: list[Sequence[Any]] | None = None
    """[texts], where lists were asked for; `probabilities` are of these, 0 behind the last."""


@dataclass(frozen=True)
class Refusal:
    """A release that was not taken up, and why."""

    release: str | None
    """None where the pointer itself cannot be read."""
    role: Role
    reason: str
    time: datetime


@dataclass(frozen=True)
class Trial:
    """A release beside the champion, and what it has shown so far."""

    served: Served
    rule: Beside
    tally: Tally


@dataclass(frozen=True)
class Serving:
    """What serves a line: switched as a whole, so that a request meets either all of the old or all of the new."""

    pointer: Pointer
    champion: Served
    canary: Trial | None = None
    shadow: Trial | None = None

    def all(self) -> list[Served]:
        """Every release that is loaded for the line."""
        return [self.champion, *(trial.served for trial in (self.canary, self.shadow) if trial)]


@dataclass(frozen=True)
class _Asked:
    """A request as it came."""

    now: Serving
    texts: Sequence[str]
    request_id: str
    source: str
    deadline: float
    time: datetime
    arrived: float
    engine: Callable[[Served], Engine[Row]]
    """What of a release is to compute it."""


class ServedLine:
    """One line of the service. `submit` may be called from any thread and returns at once."""

    def __init__(self, name: str, settings: BatchSettings, metrics: Metrics, recorder: Recorder) -> None:
        self.name = name
        self.now: Serving | None = None
        self.refused: Refusal | None = None
        """The last refusal; None as soon as a pointer was taken up whole."""
        self._metrics, self._recorder = metrics, recorder
        self._batcher = Batcher(settings, name, metrics.batch_texts.labels(name).observe)
        metrics.queue_texts.labels(name).set_function(lambda: self._batcher.waiting)

    @property
    def champion(self) -> Served | None:
        """The release that answers; None before the first."""
        now = self.now
        return now.champion if now else None

    @property
    def labels(self) -> list[str]:
        """The champion's labels, in the order of its probabilities. Raises NotReady before the first release."""
        return self._serving().champion.labels

    @property
    def truths(self) -> list[str]:
        """What people may say a text is: a label, or what the line calls a text that has none of them."""
        champion = self._serving().champion
        return [*champion.labels, *([champion.out_of_scope] if champion.out_of_scope else [])]

    @property
    def kind(self) -> str:
        """The task kind. Raises NotReady before the first release."""
        return self._serving().champion.kind

    @property
    def readable(self) -> Callable[[str], bool]:
        """Says of a text whether it is one that the kind reads. Raises NotReady before the first release."""
        return self._serving().champion.readable

    def submit(
        self,
        texts: Sequence[str],
        *,
        request_id: str,
        source: str,
        deadline: float,
        key: str | None = None,
        engine: Callable[[Served], Engine[Row]] = lambda served: served,
    ) -> Future[Reply]:
        """Ask for the labels of raw texts; `deadline` is a time.monotonic(), `key` names the caller for a canary.

        `engine` is what of a release computes, where labels are not what is asked for. The answer is in the prediction
        log before the future has it. Raises NotReady, QueueFull, DataError without a text. The future can be cancelled;
        it fails with Expired or Failed, or NotReady when the service stops.
        """
        now = self._serving()
        asked = _Asked(now, texts, request_id, source, deadline, datetime.now(UTC), time.monotonic(), engine)
        trial = now.canary
        if trial and not trial.tally.ended and meets_canary(trial.rule, key or request_id):
            return self._ask(asked, trial.served, Future())
        return self._ask(asked, now.champion, Future())

    def switch(self, now: Serving | None) -> None:
        """Let another champion, canary and shadow answer from the next request on; None withdraws the line."""
        before, self.now = self.now, now
        old, new = ({self._info(served) for served in serving.all()} if serving else set() for serving in (before, now))
        for info in old - new:
            self._metrics.release.remove(*info)
        for info in new:
            self._metrics.release.labels(*info).set(1)

    def close(self, timeout: float | None = None) -> bool:
        """Finish what is queued, take no more. False when that took longer than `timeout` seconds."""
        drained = self._batcher.close(timeout=timeout)
        self.switch(None)
        self._metrics.queue_texts.remove(self.name)
        return drained

    def describe(self) -> dict[str, Any]:
        """What serves the line, as JSON."""
        now, refused = self.now, self.refused
        about: dict[str, Any] = {"line": self.name, "waiting_texts": self._batcher.waiting}
        if now:
            served = now.champion
            about |= {"kind": served.kind, "labels": served.labels, **_named(served), "since": now.pointer.time}
            about |= {"answers_version": len(served.changes)} if served.changeable else {}
            about |= {trial.served.role: _tried(trial) for trial in (now.canary, now.shadow) if trial}
        if refused:
            about["refused"] = {
                "release": refused.release,
                "role": refused.role,
                "reason": refused.reason,
                "time": refused.time.isoformat(timespec="seconds"),
            }
        return about

    def _serving(self) -> Serving:
        if now := self.now:
            return now
        reason = f" {self.refused.reason}" if self.refused else ""
        raise NotReady(f"The line {self.name} has no release to answer with yet.{reason}")

    def _info(self, served: Served) -> tuple[str, ...]:
        return self.name, served.release, served.version or "", served.variant, served.provider, served.role

    def _ask(self, asked: _Asked, served: Served, future: "Future[Reply]") -> "Future[Reply]":
        request = Request(
            asked.engine(served),
            asked.texts,
            asked.deadline,
            partial(self._answer, asked, served),
            partial(self._failed, asked, served, future),
            future,
        )
        try:
            self._batcher.submit(request)
        except QueueFull:
            self._metrics.rejected.labels(self.name, "queue_full").inc()
            raise
        return future

    def _answer(self, asked: _Asked, served: Served, rows: list[Row]) -> Reply:
        """Log and count the results, see to the shadow, make the reply."""
        probabilities = self._log(asked, served, rows)
        labels = [row.label for row in rows]
        now = asked.now
        if served.role == "canary" and now.canary:
            self._ask_later(asked, now.canary, now.champion, labels)
        elif now.shadow and meets_shadow(now.shadow.rule):
            self._ask_later(asked, now.shadow, now.shadow.served, labels)
        inside = [row.in_scope for row in rows]
        named = (served.labels, served.release, served.version, served.variant, served.role)
        return Reply(labels, probabilities, *named, inside, served, _lists(rows))

    def _failed(self, asked: _Asked, served: Served, future: "Future[Reply]", error: Exception) -> bool:
        """Count it. The champion answers for a canary that fails: True when it was asked to."""
        if isinstance(error, Expired):
            self._metrics.rejected.labels(self.name, "expired").inc()
        if not isinstance(error, Failed) or served.role != "canary" or not asked.now.canary:
            return False
        self._end(asked.now.canary, asked.now.canary.tally.failed())
        try:
            self._ask(asked, asked.now.champion, future)
        except (QueueFull, NotReady):
            return False
        return True

    def _ask_later(self, asked: _Asked, trial: Trial, served: Served, labels: list[str]) -> None:
        """Have `served` label the texts as well, when nothing else waits: the shadow, or the champion for a canary."""
        request: Request[Row] = Request(
            asked.engine(served),
            asked.texts,
            time.monotonic() + PATIENCE,
            partial(self._compare, asked, trial, served, labels),
            partial(self._missed, trial),
            later=True,
        )
        try:
            self._batcher.submit(request)
        except (QueueFull, NotReady):
            trial.tally.drop()

    def _compare(self, asked: _Asked, trial: Trial, served: Served, labels: list[str], rows: list[Row]) -> None:
        differs = sum(row.label != label for row, label in zip(rows, labels, strict=True))
        if served.role == "shadow":
            self._log(asked, served, rows)
            self._metrics.shadow_differs.labels(self.name).inc(differs)
        self._end(trial, trial.tally.compared(len(rows), differs))

    def _missed(self, trial: Trial, error: Exception) -> bool:
        if isinstance(error, Failed):
            self._end(trial, trial.tally.failed())
        else:
            trial.tally.drop()
        return False

    def _end(self, trial: Trial, reason: str | None) -> None:
        if reason and trial.served.role == "canary":
            log.warning("%s: the canary %s gets no more requests: %s", self.name, trial.served.release, reason)
            self._metrics.swaps.labels(self.name, "canary_ended").inc()

    def _log(self, asked: _Asked, served: Served, rows: list[Row]) -> NDArray[np.float32]:
        """Record and count results; their probabilities."""
        probabilities = np.stack([row.probabilities for row in rows])
        labels = [row.label for row in rows]
        kept, listed = _kept(served, rows, probabilities)
        answered = Answered(
            request_id=asked.request_id,
            time=asked.time,
            line=self.name,
            release=served.release,
            variant=served.variant,
            role=served.role,
            source=asked.source,
            texts=[row.text for row in rows],
            labels=labels,
            probabilities=kept,
            embeddings=np.stack([row.embedding for row in rows]),
            latency_ms=1000 * (time.monotonic() - asked.arrived),
            in_scope=[row.in_scope for row in rows],
            listed=listed,
        )
        try:
            self._recorder.answered(answered)
        except Exception:  # the answer is right all the same
            log.exception("%s: an answer could not be logged", self.name)
        if refused := sum(row.in_scope is False for row in rows):
            self._metrics.out_of_scope.labels(self.name, served.release, served.role).inc(refused)
        for label, texts in Counter(labels).items() if len(served.labels) <= COUNTED else ():
            self._metrics.labels.labels(self.name, served.release, served.role, label).inc(texts)
        observe = self._metrics.confidence.labels(self.name, served.release).observe
        for confidence in probabilities.max(axis=1).tolist():
            observe(confidence)
        return probabilities


def _lists(rows: Sequence[Row]) -> list[Sequence[Any]] | None:
    """The list of each row; None where labels were asked for."""
    found = [row.listed for row in rows if row.listed is not None]
    return found if len(found) == len(rows) else None


def _kept(
    served: Served, rows: Sequence[Row], probabilities: NDArray[np.float32]
) -> tuple[NDArray[np.float32], list[list[str]] | None]:
    """The probabilities that the log keeps, and of which labels; None of all of them.

    Of a list those of its items. Where all there are were ranked, those of the first: a number for each of a million
    would be 4 MB a row.
    """
    if lists := _lists(rows):
        return probabilities, [[item.item for item in row] for row in lists]
    if served.kind != RECOMMENDS:
        return probabilities, None
    listed, first = rankings.first(probabilities)
    return first, named(listed, served.labels)


def as_role(served: Served, role: Role, version: str | None) -> Served:
    """The same loaded release in another role."""
    return served if (served.role, served.version) == (role, version) else replace(served, role=role, version=version)


def _named(served: Served) -> dict[str, Any]:
    return {
        "release": served.release,
        "version": served.version,
        "variant": served.variant,
        "provider": served.provider,
    }


def _tried(trial: Trial) -> dict[str, Any]:
    tally = trial.tally
    return {
        **_named(trial.served),
        "share": trial.rule.share,
        "compared_texts": tally.texts,
        "differing_texts": tally.differs,
        "failed_requests": tally.errors,
        "dropped_requests": tally.dropped,
        "ended": tally.ended,
    }
