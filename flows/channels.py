"""Sending alerts by apprise to the channels that the environment names; what fails is tried again, and shown."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from filelock import FileLock, Timeout

from flows import alerts
from flows.alert_settings import URLS, AlertSettings, load_alerts
from flows.alerts import Alert, Delivery, Event
from tasks.core.errors import TidegateError

if TYPE_CHECKING:
    from apprise import Apprise

log = logging.getLogger("tidegate")

SECONDS = 20.0  # for all channels together: whoever raises an alert waits no longer
PAUSE = timedelta(minutes=1)  # after a failed try, twice as long after each further one ...
LONGEST = timedelta(hours=1)  # ... up to this
KEPT = timedelta(days=7)  # what could not be told by then is no news
TITLE = "Tidegate: "
MARKS = {"raised": "", "updated": "Worse: ", "resolved": "Resolved: "}
NO_URL = "no URL that apprise knows"
TEST = -1
"""The place of a test among the events of an alert: it is none of them."""

Channels = Mapping[str, "Apprise | None"]
"""By name; None for an entry that is no URL of a channel."""


def deliver(now: datetime | None = None) -> None:
    """Tell every event that is due on every channel. Takes seconds at most, and never raises for what a channel does.

    In quiet hours only severe alerts are due. A channel that fails is an alert of its own, sent by the others.
    """
    channels = _channels()
    if channels:
        try:
            with FileLock(alerts.FOLDER / ".sending", timeout=SECONDS):
                _tell(channels, now or datetime.now(UTC))
        except Timeout:
            log.warning("Another process is sending alerts; what waits here is sent with the next look.")
    _watch(channels)


def tell_unkept(alert: Alert) -> None:
    """Send an alert whose record could not be written, to all channels, once."""
    channels = {name: channel for name, channel in _channels().items() if channel is not None}
    _at_once({name: [_message(channel, alert, alert.events[-1])] for name, channel in channels.items()})


def test() -> dict[str, str]:
    """Send a message to every channel; what went wrong by channel, empty where it was taken.

    A channel that takes it counts as alive again.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    alert = Alert(id="test", line=None, kind="channel", severity="notice", title="a test", opened=now, updated=now,
                  reason="Somebody asked for it by `tidegate alerts --test`. Nothing is wrong.")  # fmt: skip
    channels = _channels()
    event = Event(what="raised", time=now)
    jobs = {name: [_message(one, alert, event)] for name, one in channels.items() if one is not None}
    faults = {name: told[0] for name, told in _at_once(jobs).items()}
    if (open_one := alerts.open_one(None, "channel")) is not None:
        alerts.note(open_one.id, [_delivery("test", TEST, now, name, fault) for name, fault in faults.items()])
    _watch(channels)  # before anything is sent: one that is back need not hear that it was dead
    deliver()
    return {name: faults.get(name, NO_URL) for name in channels}


def quiet(settings: AlertSettings, now: datetime) -> bool:
    """Whether these are hours in which only severe alerts are sent; by the clock of the place, also over midnight."""
    if settings.quiet is None:
        return False
    begin, end = settings.quiet.split("-")
    clock = now.astimezone(ZoneInfo(settings.timezone)).strftime("%H:%M")
    return begin <= clock < end if begin <= end else clock >= begin or clock < end


def _tell(channels: Channels, now: datetime) -> None:
    """Send what is due, and note what became of it."""
    try:
        settings = load_alerts()
    except TidegateError as error:
        log.warning("Quiet hours are unknown, so that alerts are sent: %s", error)
        settings = AlertSettings()
    known = alerts.alerts()
    dead = _dead(known, channels)
    jobs: dict[str, list[Callable[[], str]]] = {}
    due: dict[str, list[tuple[Alert, Event]]] = {}
    for name, channel in channels.items():
        if channel is not None:
            due[name] = list(_due(known, name, name in dead, settings, now))
            jobs[name] = [_message(channel, alert, event) for alert, event in due[name]]
    when = now.isoformat(timespec="milliseconds")
    for name, faults in _at_once(jobs).items():
        for (alert, event), fault in zip(due[name], faults, strict=False):  # the rest was not tried
            alerts.note(alert.id, [_delivery(event.what, len(alert.events) - 1, when, name, fault)])


def _due(
    known: list[Alert], name: str, dead: bool, settings: AlertSettings, now: datetime
) -> Iterator[tuple[Alert, Event]]:
    """The newest event of each alert that a channel has not taken and may be told now, oldest alert first.

    That an alert is over is told to those alone who heard of it, and that a channel is dead not to itself.
    """
    for alert in reversed(known):
        waits = alert.severity != "severe" and quiet(settings, now)
        if waits or not alert.events or (alert.kind == "channel" and dead):
            continue
        event, told = alert.events[-1], [one for one in alert.deliveries if one.channel == name and one.event != TEST]
        tries = [one for one in told if one.event == len(alert.events) - 1]
        unheard = event.what == "resolved" and not any(one.ok for one in told)
        if unheard or any(one.ok for one in tries) or now - datetime.fromisoformat(event.time) > KEPT:
            continue
        pause = min(LONGEST, PAUSE * 2 ** min(len(tries) - 1, 10)) if tries and dead else timedelta()
        if not tries or now - datetime.fromisoformat(tries[-1].time) >= pause:
            yield alert, event


def _at_once(jobs: dict[str, list[Callable[[], str]]]) -> dict[str, list[str]]:
    """Do the jobs of each channel one after the other, all channels side by side, within SECONDS.

    Returns the fault of each job that was begun, empty where there was none; a fault ends the channel's turn.
    """
    told: dict[str, list[str]] = {name: [] for name in jobs}
    over = threading.Event()

    def turn(name: str) -> None:
        for job in jobs[name]:
            if over.is_set() or any(told[name]):
                return
            told[name].append(job())

    # Threads of a pool would be waited for at the end of the program, however long a channel does not answer.
    threads = {name: threading.Thread(target=turn, args=(name,), daemon=True) for name in jobs if jobs[name]}
    for thread in threads.values():
        thread.start()
    end = time.monotonic() + SECONDS
    for thread in threads.values():
        thread.join(max(0.0, end - time.monotonic()))
    over.set()
    late = {name: [f"no answer within {SECONDS:.0f} s"] for name, thread in threads.items() if thread.is_alive()}
    return {name: [*faults, *late.get(name, [])] for name, faults in told.items() if name in threads}


def _message(channel: "Apprise", alert: Alert, event: Event) -> Callable[[], str]:
    """What tells one event on one channel; it returns what went wrong, empty where the message was taken."""

    def send() -> str:
        from apprise import NotifyFormat, NotifyType

        kind = NotifyType.FAILURE if alert.severity == "severe" else NotifyType.WARNING
        where = f"{alert.line}: " if alert.line else ""
        over = event.what == "resolved"
        try:
            taken = channel.notify(
                title=f"{TITLE}{MARKS[event.what]}{where}{alert.title}",
                body=alert.why_resolved if over and alert.why_resolved else _body(alert),
                notify_type=NotifyType.SUCCESS if over else kind,
                body_format=NotifyFormat.TEXT,
            )
        except Exception as error:  # plugins raise what their libraries raise; a message could hold the address
            return type(error).__name__
        return "" if taken else "it was not taken"

    return send


def _body(alert: Alert) -> str:
    """The reason, and the headlines behind it."""
    return "\n".join([alert.reason or alert.title, *(f"- {headline}" for headline in alert.headlines)])


def _delivery(what: alerts.Happening, event: int, time: str, channel: str, fault: str) -> Delivery:
    return Delivery(what=what, event=event, time=time, channel=channel, ok=not fault, error=fault)


def _channels() -> Channels:
    """What the environment names, by scheme and place."""
    given = os.environ.get(URLS, "").split()
    if not given:
        return {}
    from apprise import Apprise, AppriseAsset

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it would log addresses
    asset = AppriseAsset(app_id="Tidegate", app_desc="Tidegate", app_url="")
    found: dict[str, Apprise | None] = {}
    for n, url in enumerate(given, 1):
        channel = Apprise(asset=asset)
        known = channel.add(url)
        found[f"{url.partition(':')[0].lower()}-{n}" if known else f"entry-{n}"] = channel if known else None
    return found


def _watch(channels: Channels) -> None:
    """Raise an alert for channels whose last try failed, and resolve it when they take messages again."""
    dead, open_one = _dead(alerts.alerts(), channels), alerts.open_one(None, "channel")
    if dead:
        faults = ", ".join(f"{name} ({fault})" for name, fault in dead.items())
        reason = f"Alerts do not reach {faults}. Is the entry of {URLS} right, and is it up? `tidegate alerts --test`."
        if open_one is None or open_one.reason != reason:
            alerts.raise_alert(None, "channel", "warning", "an alert channel is dead", reason)
    elif open_one is not None:
        alerts.resolve(None, "channel", "Every channel takes messages again.")


def _dead(known: list[Alert], channels: Channels) -> dict[str, str]:
    """The channels whose last try failed, and how; entries that are no channel among them."""
    last: dict[str, Delivery] = {}
    for told in (told for alert in known for told in alert.deliveries):
        if told.channel not in last or told.time >= last[told.channel].time:
            last[told.channel] = told
    faults = {name: last[name].error for name in channels if name in last and not last[name].ok}
    return {**faults, **{name: NO_URL for name, channel in channels.items() if channel is None}}
