"""Alerts: raised once, updated, resolved; `.tidegate/alerts/<id>.json`. No text of users stands in one.

One alert is open per line, kind and subject. Sending comes after writing and may fail: flows.channels does it, and says
so here.
"""

import logging
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from flows.observations import new_id
from flows.record import now as stamp
from flows.record import one_line
from tasks.core.errors import SettingsError
from tasks.core.files import read_json, write_json
from tasks.core.line import STATE
from tasks.drift.result import RANK, Severity

log = logging.getLogger("tidegate")

FOLDER = STATE / "alerts"
SCHEMA = 1
WAIT = 30.0  # seconds for another process that writes an alert

Kind = Literal["drift", "performance", "run_failed", "run_missed", "loop", "channel", "approval", "opinion", "dialogue"]
Happening = Literal["raised", "updated", "resolved", "test"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(_Record):
    """Something that is to be told."""

    what: Happening
    time: str


class Delivery(_Record):
    """One try to tell it."""

    what: Happening
    event: int
    """Its place in `events`; -1 for a test."""
    time: str
    channel: str
    """Its scheme and place in the list, without what is secret: `mailtos-1`."""
    ok: bool
    error: str = ""


class Acknowledged(_Record):
    """Somebody has seen it and looks after it."""

    by: str
    why: str
    time: str


class Alert(_Record):
    """Something that people should know."""

    schema_version: int = SCHEMA
    id: str
    line: str | None
    """None where it concerns all lines."""
    kind: Kind
    severity: Severity
    title: str
    reason: str
    opened: str
    updated: str
    resolved: str | None = None
    why_resolved: str = ""
    acknowledged: Acknowledged | None = None
    observation: str | None = None
    """The observation that it was last raised for."""
    subject: str = ""
    """What of the line it is about, where several things may be wrong at once: the entity and rule of an opinion,
    the dialogue that waits."""
    headlines: list[str] = []
    """News that caused it, masked: what was published, never what a user wrote."""
    events: list[Event] = []
    deliveries: list[Delivery] = []

    @property
    def open(self) -> bool:
        """Whether it still holds."""
        return self.resolved is None


def raise_alert(
    line: str | None,
    kind: Kind,
    severity: Severity,
    title: str,
    reason: str,
    observation: str | None = None,
    subject: str = "",
    headlines: Sequence[str] = (),
) -> Alert:
    """Raise an alert, or renew the open one of the same line, kind and subject; told anew only when it became worse.

    An acknowledgement holds until then as well. Never raises for what sending meets; where no record can be written,
    for a full disk, it is sent all the same.
    """
    title, reason, time = one_line(title), one_line(reason), stamp()
    told = [one_line(text) for text in headlines]
    with _alone():
        found = open_one(line, kind, subject)
        if found is None:
            alert = Alert(
                id=new_id(datetime.now(UTC)), line=line, kind=kind, severity=severity, title=title, reason=reason,
                opened=time, updated=time, observation=observation, events=[Event(what="raised", time=time)],
                subject=subject, headlines=told,
            )  # fmt: skip
        else:
            news: dict[str, Any] = {"severity": severity, "title": title, "reason": reason, "updated": time}
            news |= {"observation": observation or found.observation, "headlines": told or found.headlines}
            if RANK[severity] > RANK[found.severity]:
                news |= {"events": [*found.events, Event(what="updated", time=time)], "acknowledged": None}
            alert = found.model_copy(update=news)
        try:
            _write(alert)
        except OSError as error:
            log.error("The alert %r cannot be kept: %s", alert.title, error)
            return _told_unkept(alert)
    return _told(alert)


def resolve(line: str | None, kind: Kind, reason: str, subject: str = "") -> Alert | None:
    """End the open alert of a line, kind and subject; None where none is open."""
    with _alone():
        found = open_one(line, kind, subject)
        if found is None:
            return None
        time = stamp()
        told = {"resolved": time, "why_resolved": one_line(reason), "updated": time}
        alert = found.model_copy(update={**told, "events": [*found.events, Event(what="resolved", time=time)]})
        _write(alert)
    return _told(alert)


def acknowledge(alert: str, by: str, why: str) -> Alert:
    """Note who looks after an open alert. Raises SettingsError where there is no such open alert."""
    with _alone():
        found, time = require_open(alert), stamp()
        seen = Acknowledged(by=one_line(by), why=one_line(why), time=time)
        made = found.model_copy(update={"acknowledged": seen, "updated": time})
        _write(made)
    return made


def forget(line: str, headlines: Set[str]) -> int:
    """Take headlines out of a line's alerts; how many alerts had some. Nobody is told."""
    gone, changed = {one_line(text) for text in headlines}, 0
    with _alone():
        for alert in alerts(line):
            kept = [text for text in alert.headlines if text not in gone]
            if len(kept) < len(alert.headlines):
                _write(alert.model_copy(update={"headlines": kept}))
                changed += 1
    return changed


def require_open(alert: str) -> Alert:
    """An open alert by its id. Raises SettingsError with those that there are where it is none of them."""
    known = open_alerts()
    found = next((one for one in known if one.id == alert), None)
    if found is None:
        raise SettingsError(f"There is no open alert {alert}. Open: {', '.join(one.id for one in known) or 'none'}.")
    return found


def alerts(line: str | None = None, last: int | None = None) -> list[Alert]:
    """Alerts, newest first: of a line and of all lines together, or without `line` every one; the `last` newest."""
    names = sorted((file.stem for file in FOLDER.glob("*.json") if not file.name.startswith(".")), reverse=True)
    found = (read(name) for name in names)
    wanted = [alert for alert in found if alert is not None and (line is None or alert.line in (line, None))]
    return wanted[:last]


def open_one(line: str | None, kind: Kind, subject: str = "") -> Alert | None:
    """The open alert of a line, kind and subject; None where none is open."""
    wanted = (line, kind, subject)
    return next((one for one in open_alerts(line) if (one.line, one.kind, one.subject) == wanted), None)


def open_alerts(line: str | None = None) -> list[Alert]:
    """Those of `alerts` that still hold, the worst first."""
    return sorted((alert for alert in alerts(line) if alert.open), key=lambda alert: -RANK[alert.severity])


def path(alert: str) -> Path:
    """The record of an alert."""
    return FOLDER / f"{alert}.json"


def read(alert: str) -> Alert | None:
    """An alert by its id; None where there is none, or its record is broken or a newer program's."""
    file = path(alert)
    try:
        found = Alert.model_validate(read_json(file))
    except FileNotFoundError:
        return None
    except (ValueError, ValidationError, OSError) as error:
        log.warning("%s is left out, it is not readable: %s", file, str(error).splitlines()[0])
        return None
    return found if found.schema_version <= SCHEMA else None


def note(alert: str, deliveries: list[Delivery]) -> None:
    """Add what became of telling an alert."""
    with _alone():
        found = read(alert)
        if found is not None and deliveries:
            _write(found.model_copy(update={"deliveries": [*found.deliveries, *deliveries]}))


def deliver_pending(now: datetime | None = None) -> None:
    """Send what waits: for the end of quiet hours, for a dead channel, for a channel at all. Never raises for those."""
    from flows.channels import deliver

    deliver(now)


def watch_runs(now: datetime | None = None) -> None:
    """Raise alerts for scheduled runs that failed or never came and for monitors that fell silent; resolve them again.

    To be called by what does not depend on those runs: the monitors of other lines, and a timer of `tidegate up`.
    """
    from flows.watched import watch

    watch(now or datetime.now(UTC))


def _told(alert: Alert) -> Alert:
    """The alert after its channels were tried."""
    deliver_pending()
    return read(alert.id) or alert


def _told_unkept(alert: Alert) -> Alert:
    from flows.channels import tell_unkept

    tell_unkept(alert)
    return alert


def _write(alert: Alert) -> None:
    write_json(path(alert.id), alert.model_dump(mode="json"))


@contextmanager
def _alone() -> Iterator[None]:
    """Two processes that raise the same alert make one."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(FOLDER / ".lock", timeout=WAIT):
        yield
