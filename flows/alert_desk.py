"""`tidegate alerts` and `tidegate acknowledge`: what is wrong now, who was told, and who looks after it."""

from flows import alerts, channels
from flows.alert_settings import URLS
from flows.alerts import Alert
from flows.approver import Question, allowed
from tasks.core.errors import SettingsError, TidegateError
from tasks.core.line import Line
from tasks.core.settings import line_params, read_params

LAST = 20
"""Alerts that `--all` shows."""


def show(line: str | None, past: bool) -> str:
    """The open alerts in words, the worst first, or with `past` the newest of all; of a line those of all lines too.

    Raises SettingsError for a name that is no line's and no product's.
    """
    params = read_params()
    if line is not None and line not in (params.get("products") or {}):
        line_params(params, line)
    found = alerts.alerts(line, LAST) if past else alerts.open_alerts(line)
    nothing = "No alert." if past else "No alert is open."
    return "\n\n".join(map(_words, found)) or nothing


def acknowledge(alert: str, by: str, why: str, key: str | None = None) -> Alert:
    """Note that somebody looks after an open alert.

    `key` is their API key; default: as for a promotion. Raises SettingsError where there is no such open alert or no
    reason, NotAllowedError where they may not.
    """
    if not why.strip():
        raise SettingsError("--why is empty: say what is being done.")
    found = alerts.require_open(alert)
    person = allowed(Question("acknowledge", Line(found.line or "project"), alert, by), key)
    return alerts.acknowledge(alert, person.by, why)


def test() -> list[str]:
    """Send a message to every channel; a sentence on each that took it. Raises TidegateError where not all did."""
    told = channels.test()
    if not told:
        raise SettingsError(f"The environment has no {URLS}. Set it to apprise URLs, e.g. mailto://..., slack://...")
    faults = [f"{name}: {fault}" for name, fault in told.items() if fault]
    if faults:
        raise TidegateError(f"Not every channel took the message.\n{chr(10).join(faults)}")
    return [f"{name} took the message." for name in told]


def _words(alert: Alert) -> str:
    """Its id, which `tidegate acknowledge` takes, and all that is known of it."""
    seen = alert.acknowledged
    said = [
        f"{alert.id}  {alert.severity}  {alert.line or 'all lines'}: {alert.title}",
        alert.reason,
        *(f"- {headline}" for headline in alert.headlines),
        f"Since {_minutes(alert.opened)}; told to {_told(alert)}.",
    ]
    if seen is not None:
        said.append(f"{seen.by} looks after it since {_minutes(seen.time)}: {seen.why}")
    if alert.resolved is not None:
        said.append(f"Over since {_minutes(alert.resolved)}. {alert.why_resolved}")
    return "\n  ".join(said)


def _told(alert: Alert) -> str:
    """The channels that took its newest event, and those that did not."""
    newest = {one.channel: one for one in alert.deliveries if one.event == len(alert.events) - 1}
    return ", ".join(name if one.ok else f"{name} failed" for name, one in newest.items()) or "nobody"


def _minutes(time: str) -> str:
    return f"{time[:16].replace('T', ' ')} UTC"
