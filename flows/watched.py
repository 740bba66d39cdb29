"""The dead-man's switch: scheduled runs that failed or never came, monitors that fell silent."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from flows import alerts, approvals, observations, scheduled
from flows.alert_settings import AlertSettings, load_alerts
from flows.alerts import Kind
from flows.scheduled import Fault
from tasks.core.errors import StageError
from tasks.core.settings import read_params
from tasks.drift.result import Severity

log = logging.getLogger("tidegate")

TITLES: dict[Kind, str] = {
    "run_failed": "a scheduled run failed", "run_missed": "what should run does not",
    "approval": "a release waits for an approver",
}  # fmt: skip
RESOLVED: dict[Kind, str] = {"approval": "It waits no more."}
"""Why an alert ends, where that is not that something runs again."""


def watch(now: datetime) -> None:
    """Raise and resolve alerts of the kinds run_failed, run_missed and approval, then send what waits.

    Without a Prefect server only the monitors' observations are looked at. Raises SettingsError for a params.yaml that
    cannot be read.
    """
    settings = load_alerts()
    silent, blind = list(_silent(settings, now)), list(_blind())
    _settle("approval", list(_waiting()), "notice")
    try:
        with scheduled.client() as server:
            failed = scheduled.failures(server) if server else []
            late = scheduled.missing(server, now, timedelta(minutes=settings.late_minutes)) if server else []
    except ConnectionError as error:  # what it would say is not known: nothing is resolved
        _raise("run_failed", blind)
        _raise("run_missed", [*silent, Fault(None, f"{error} Nothing that is scheduled runs")])
    else:
        _settle("run_failed", [*failed, *(fault for fault in blind if fault.line not in {one.line for one in failed})])
        _settle("run_missed", [*silent, *late])
    alerts.deliver_pending(now)


def _silent(settings: AlertSettings, now: datetime) -> Iterable[Fault]:
    """Lines that were looked at once, and not lately."""
    for line in read_params()["lines"]:
        last = observations.last_time(line)
        if last is not None and now - last > timedelta(hours=settings.missed_after_hours):
            yield Fault(line, f"the monitor made its last observation at {last:%Y-%m-%d %H:%M} UTC")


def _blind() -> Iterable[Fault]:
    """Lines that the monitor could not look at, or of which it could not keep all."""
    for line in read_params()["lines"]:
        last = observations.latest(line)
        if last is not None and last.problem:
            yield Fault(line, last.problem.rstrip("."))


def _waiting() -> Iterable[Fault]:
    """Lines of which a release waits for an approver: nobody who was told of it by nothing else would look."""
    for line in read_params()["lines"]:
        try:
            known = approvals.proposals(line)
        except StageError as error:  # one broken record is not to end the watch
            log.warning("%s", error)
            continue
        for proposal in known:
            if proposal.state == "waiting":
                yield Fault(line, f"release {proposal.release} waits until {proposal.expires}, then it is declined")


def _settle(kind: Kind, faults: list[Fault], severity: Severity = "warning") -> None:
    """Raise what is wrong, and resolve what was."""
    _raise(kind, faults, severity)
    wrong = {fault.line for fault in faults}
    for alert in alerts.open_alerts():
        if alert.kind == kind and alert.line not in wrong:
            alerts.resolve(alert.line, kind, RESOLVED.get(kind, "It runs again."))


def _raise(kind: Kind, faults: list[Fault], severity: Severity = "warning") -> None:
    """One alert per line."""
    for line in dict.fromkeys(fault.line for fault in faults):
        reason = "; ".join(fault.reason for fault in faults if fault.line == line)
        alerts.raise_alert(line, kind, severity, TITLES[kind], f"{reason[0].upper()}{reason[1:]}.")
