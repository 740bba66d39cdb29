"""Sending alerts by apprise to the channels that the environment names; what fails is tried again, and shown."""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from flows import alerts
from flows.alert_settings import URLS, AlertSettings
from flows.alerts import Alert, Delivery, Event
from tasks.core.errors import TidegateError
from tasks.core.settings import PARAMS, parse, read_params

if TYPE_CHECKING:
    from apprise import Apprise

log = logging.getLogger("tidegate")

SECONDS = 20.0  # for all channels together: whoever raises an alert waits no longer
TRIES = 8  # of one event on one channel, each after twice the pause: the last after about two hours
PAUSE = timedelta(minutes=1)
KEPT = timedelta(days=2)  # what could not be told by then is no news
TITLE = "Tidegate: "
MARKS = {"raised": "", "updated": "Worse: ", "resolved": "Resolved: "}


def load_alerts() -> AlertSettings:
    """The block `alerts` of params.yaml; all defaults where there is none."""
    return parse(AlertSettings, read_params().get("alerts") if PARAMS.exists() else None, "alerts")


def names() -> list[str]:
    """The channels of the environment by name; secrets left out."""
    return list(_channels())


def deliver(now: datetime | None = None) -> None:
    """Tell every event that is due on every channel. Takes SECONDS at most, and never raises for what a channel does.

    In quiet hours only severe alerts are due. A channel that fails is an alert of its own, sent by the others.
    """
    now = now or datetime.now(UTC)
    channels = _channels()
    if not channels:
        return
    try:
        settings = load_alerts()
    except TidegateError as error:
        log.warning("Quiet hours are unknown, so that alerts are sent: %s", error)
        settings = AlertSettings()
    known = alerts.alerts()
    dead = set(_dead(known, channels))
    due = [(alert, event, name) for alert in known for event, name in _due(alert, channels, settings, now)
           if alert.kind != "channel" or name not in dead]  # fmt: skip
    if not due:
        return
    pool = ThreadPoolExecutor(max_workers=min(8, len(due)), thread_name_prefix="alert")
    sent = [(alert, event, name, pool.submit(_send, channels[name], alert, event)) for alert, event, name in due]
    wait([future for *_, future in sent], SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    for alert, event, name, future in sent:
        ended = future.done() and not future.cancelled()
        fault = future.result() if ended else f"no answer within {SECONDS:.0f} s"
        time, place = now.isoformat(timespec="seconds"), len(alert.events) - 1
        told = Delivery(what=event.what, event=place, time=time, channel=name, ok=not fault, error=fault)
        alerts.note(alert.id, [told])
    _watch(channels)


def test() -> list[tuple[str, str]]:
    """Send a message to every channel; each with what went wrong, empty where it was taken."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    alert = Alert(id="test", line=None, kind="channel", severity="notice", title="a test", opened=time, updated=time,
                  reason="Somebody asked for it by `tidegate alerts --test`. Nothing is wrong.")  # fmt: skip
    return [(name, _send(one, alert, Event(what="raised", time=time))) for name, one in _channels().items()]


def quiet(settings: AlertSettings, now: datetime) -> bool:
    """Whether these are hours in which only severe alerts are sent; by the clock of the place, also over midnight."""
    if settings.quiet is None:
        return False
    begin, end = settings.quiet.split("-")
    clock = now.astimezone(ZoneInfo(settings.timezone)).strftime("%H:%M")
    return begin <= clock < end if begin <= end else clock >= begin or clock < end


def _due(
    alert: Alert, channels: dict[str, "Apprise"], settings: AlertSettings, now: datetime
) -> Iterator[tuple[Event, str]]:
    """The newest event of an alert, for each channel that has not taken it and may be tried now."""
    if not alert.events or (alert.severity != "severe" and quiet(settings, now)):
        return
    event = alert.events[-1]
    if now - datetime.fromisoformat(event.time) > KEPT:
        return
    for name in channels:
        tries = [one for one in alert.deliveries if one.channel == name and one.event == len(alert.events) - 1]
        if any(one.ok for one in tries) or len(tries) >= TRIES:
            continue
        if not tries or now - datetime.fromisoformat(tries[-1].time) >= PAUSE * 2 ** (len(tries) - 1):
            yield event, name


def _send(channel: "Apprise", alert: Alert, event: Event) -> str:
    """Tell one event on one channel; what went wrong, empty where it was taken."""
    from apprise import NotifyFormat, NotifyType

    kind = {"resolved": NotifyType.SUCCESS}.get(event.what) or (
        NotifyType.FAILURE if alert.severity == "severe" else NotifyType.WARNING
    )
    where = f"{alert.line}: " if alert.line else ""
    body = alert.why_resolved if event.what == "resolved" else alert.reason
    try:
        taken = channel.notify(
            title=f"{TITLE}{MARKS[event.what]}{where}{alert.title}", body=body or alert.reason, notify_type=kind,
            body_format=NotifyFormat.TEXT,
        )  # fmt: skip
    except Exception as error:  # plugins raise what their libraries raise
        return type(error).__name__
    return "" if taken else "it was not taken"


def _channels() -> dict[str, "Apprise"]:
    """What the environment names, by scheme and place."""
    given = os.environ.get(URLS, "").split()
    if not given:
        return {}
    from apprise import Apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it would log addresses
    found = {}
    for n, url in enumerate(given, 1):
        channel = Apprise()
        if channel.add(url):
            found[f"{url.partition(':')[0].lower()}-{n}"] = channel
        else:
            log.warning("Entry %d of %s is no URL that apprise knows.", n, URLS)
    return found


def _watch(channels: dict[str, "Apprise"]) -> None:
    """Raise an alert for channels whose last try failed, and resolve it when they take messages again."""
    dead = _dead(alerts.alerts(), channels)
    open_one = next((alert for alert in alerts.open_alerts() if alert.kind == "channel"), None)
    if dead:
        faults = ", ".join(f"{name} ({fault})" for name, fault in dead.items())
        reason = f"Alerts do not reach {faults}. Is the address right, and is it up? `tidegate alerts --test` tries."
        if open_one is None or open_one.reason != reason:
            alerts.raise_alert(None, "channel", "warning", "an alert channel is dead", reason)
    elif open_one is not None:
        alerts.resolve(None, "channel", "Every channel takes messages again.")


def _dead(known: list[Alert], channels: dict[str, "Apprise"]) -> dict[str, str]:
    """The channels whose last try failed, and how."""
    last: dict[str, Delivery] = {}
    for told in (told for alert in known for told in alert.deliveries):
        if told.channel in channels and (told.channel not in last or told.time >= last[told.channel].time):
            last[told.channel] = told
    return {name: told.error for name, told in sorted(last.items()) if not told.ok}
