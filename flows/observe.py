"""One look at a line's live traffic: read the window, examine it, keep what was found, tell who must know.

Whatever goes wrong is an observation as well: a page that shows nothing looks like a page that shows no drift.
"""

import logging
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flows import alerts, deploy, observations, registry, watched
from flows.alerts import Kind
from flows.clicks import read_clicks
from flows.examine import current_champion
from flows.lock import hold
from flows.settings import load
from flows.window import Current, Reference, Span, others, reference, stream
from serving.log import read
from tasks.bundle import load_release, release_id
from tasks.core.errors import SettingsError, TidegateError, disk_full
from tasks.core.line import Line
from tasks.drift import clicks, estimate
from tasks.drift.clicks import Clicks
from tasks.drift.examine import Findings, confirmed, examine
from tasks.drift.result import Health, Observation
from tasks.drift.settings import MonitorSettings
from tasks.drift.tallies import Tallies
from tasks.drift.window import Window
from tasks.inference import read_tokenizer

log = logging.getLogger("tidegate")

EVENT = "tidegate.drift.confirmed"
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SKEW = timedelta(minutes=5)
"""Clocks of machines differ by less; a row later than that bears a wrong time."""
BEFORE = 20  # observations that end where this window begins, or earlier
FEWER_CLICKS = "users take something from fewer of their lists"
TAKEN_LATER = "users take less often what their lists have first"
TITLES: dict[Kind, str] = {
    "drift": "live traffic is not what the model was made for",
    "performance": "the model answers more texts wrongly",
}


@dataclass(frozen=True)
class Subject:
    """What is looked at: a line's champion, and which rows of the prediction log."""

    settings: MonitorSettings
    bundle: Path
    version: str
    variant: str
    span: Span


def monitor_line(name: str, window: str | None = None, rows: int | None = None) -> Observation:
    """Look at the last `rows` rows of a line, or at a `window` such as `1d` (default: as params.yaml says).

    Writes the observation and its report, raises or resolves alerts, and where a drift is confirmed emits the event
    that starts the loop. What keeps it from looking stands in `problem`; nothing is raised for it. Raises SettingsError
    where line or window do not exist, BusyError during another look; an error of the program is an observation first.
    """
    settings = load([name])[name]
    line, until = Line(name, settings.kind), datetime.now(UTC)
    length = _length(window or settings.monitor.window)
    made = _begun(name, until, None if rows is not None else until - length)
    with hold(f"{name}.monitor", f"Another look at {name} is going on. Wait for its end."):
        observations.clear_halves(name)
        try:
            made = _seen(line, settings.monitor, made, rows)
        except (TidegateError, OSError) as error:
            made = _blind(made, str(disk_full(error) or error))
        except Exception as error:
            _told(_blind(made, f"{type(error).__name__} in the program; the log of this run has the rest."))
            raise
        return _told(_reported(made))


def _begun(line: str, until: datetime, since: datetime | None) -> Observation:
    """An observation of which nothing is known yet."""
    return Observation(
        id=observations.new_id(until), line=line, time=until.isoformat(timespec="seconds"), release=None,
        version=None, since=since and since.isoformat(), until=until.isoformat(),
        rows=0, labelled=0, rows_reference=0, requests_per_hour=None, latency_ms_p50=None, latency_ms_p95=None,
        severity="none", health="grey", reason="", confirmed=False,
    )  # fmt: skip


def _blind(made: Observation, problem: str) -> Observation:
    reason = f"It could not be looked at: {problem}"
    return made.model_copy(update={"problem": problem, "reason": reason, "health": "grey", "confirmed": False})


def _seen(line: Line, settings: MonitorSettings, made: Observation, rows: int | None) -> Observation:
    """What was seen. Raises TidegateError where release or prediction log cannot be read."""
    current = current_champion(line)
    if current is None:
        none = f"{line.name} has no champion: nothing is watched. `tidegate promote {line.name}` makes one."
        return made.model_copy(update={"reason": none})
    subject = _subject(line, current.version, settings, made, rows)
    made = made.model_copy(update={"release": subject.span.release, "version": subject.version})
    return _looked(subject, made)


def _subject(line: Line, version: str, settings: MonitorSettings, made: Observation, rows: int | None) -> Subject:
    """Raises TidegateError where the champion's release is not whole."""
    bundle = registry.folder(line, registry.named(line.name, version))
    manifest, release = load_release(bundle), release_id(bundle)
    pointer = deploy.serving_folder().pointer(line.name)
    served = pointer.variant if pointer is not None and pointer.release == release else None
    variant = served or ("int8" if "int8" in manifest.admissible else manifest.admissible[0])
    since = datetime.fromisoformat(made.since) if made.since else None
    span = Span(line.name, release, since, datetime.fromisoformat(made.until or made.time), rows)
    return Subject(settings, bundle, version, variant, span)


def _looked(subject: Subject, made: Observation) -> Observation:
    """What was seen of the champion. Raises TidegateError where the prediction log cannot be read."""
    from serving.log.database import connected
    from serving.log.settings import load_log

    log_settings, settings, span = load_log(), subject.settings, subject.span
    known = reference(subject.bundle, subject.variant, log_settings.projection, settings.sample_rows, settings.seed)
    tallies = Tallies.of(known.window)
    with connected(log_settings.database()) as engine:
        current = stream(engine, span, known, tallies, settings.sample_rows, settings.seed)
        aside = _aside(others(engine, span, current), read.count(engine, span.line, since=span.until + SKEW))
        since = span.since or current.first
        taken = read_clicks(engine, span, since) if since and current.lists else None
    made = made.model_copy(update=_volume(span, current, known))
    if current.sample is None or current.rows < settings.min_rows:
        few = f"{current.rows:,} rows came" if current.rows else "No row came"
        return made.model_copy(update={"reason": f"{few}; from {settings.min_rows:,} on a window is judged.{aside}"})
    return _judged(subject, made, known.window, current, tallies, taken, aside)


def _volume(span: Span, current: Current, known: Reference) -> dict[str, Any]:
    """How much came, and how soon it was answered."""
    since = span.since or current.first
    until = span.until if span.since else current.last
    hours = (until - since).total_seconds() / 3600 if since and until else 0
    return {
        "since": since and since.isoformat(),
        "rows": current.rows,
        "labelled": current.labelled,
        "rows_reference": len(known.window),
        "accuracy_reference": estimate.accuracy(known.right, known.judged),
        "requests_per_hour": round(current.requests / hours, 1) if hours > 0 else None,
        "latency_ms_p50": current.latency(0.5),
        "latency_ms_p95": current.latency(0.95),
    }


def _judged(
    subject: Subject,
    made: Observation,
    known: Window,
    current: Current,
    tallies: Tallies,
    taken: Clicks | None,
    aside: str,
) -> Observation:
    """The window against the reference: checks, accuracy, and what follows from them."""
    assert current.sample is not None  # noqa: S101 - asked before
    settings = subject.settings
    true = estimate.accuracy(current.right, current.labelled)
    guessed = estimate.estimated(known, current.sample, settings)
    cost = estimate.cost(made.accuracy_reference, true, guessed)
    tokenizer = read_tokenizer(subject.bundle / "tokenizer.json", 10_000)
    found = examine(known, current.sample, settings, tokenizer=tokenizer, tallies=tallies, cost=cost, clicks=taken)
    begins = datetime.fromisoformat(made.since or made.time)
    before = observations.history(made.line, BEFORE, until=begins)
    alarm = confirmed(found, before, since=made.since, release=made.release)
    return made.model_copy(
        update={
            "checks": found.checks,
            "skipped": found.skipped,
            "accuracy_known": true,
            "accuracy_estimated": guessed,
            "cost": cost,
            "click_through": None if taken is None else clicks.figure(taken),
            "severity": found.severity,
            "confirmed": alarm,
            "health": _health(found, alarm),
            "reason": found.reason + aside,
        }
    )


def _health(found: Findings, alarm: bool) -> Health:
    if alarm:
        return "red"
    return "amber" if found.severity in ("warning", "severe") else "green"


def _aside(others: int, future: int) -> str:
    """What a person should know of other rows of the log beside the verdict."""
    told = ""
    if others:
        told += f" {others:,} rows of the window were answered by other releases and are not in it."
    if future:
        told += f" {future:,} rows bear a time in the future: the clock of a machine is ahead."
    return told


def _reported(made: Observation) -> Observation:
    """With a report where there is something to report."""
    from flows.evidence import write_report

    if not made.checks:
        return made
    try:
        return made.model_copy(update={"report": write_report(made)})
    except OSError as error:
        return made.model_copy(update={"problem": f"The report could not be written: {disk_full(error) or error}"})


def _told(made: Observation) -> Observation:
    """Keep the observation; raise or resolve the line's alerts; emit the event of a confirmed drift."""
    observations.keep(made)
    if made.confirmed:
        fell = any(check.name == "performance" and check.drifted for check in made.checks)
        kind: Kind = "performance" if fell else "drift"
        alerts.raise_alert(made.line, kind, made.severity, _title(made, kind), made.reason, made.id)
        _emit(made)
    elif made.health == "green":
        for kind in TITLES:
            alerts.resolve(made.line, kind, f"A window of {made.rows:,} rows shows no drift that matters.")
    watched.watch(datetime.now(UTC))
    return made


def _title(made: Observation, kind: Kind) -> str:
    """What is wrong, in the words of what the line gives: answers, or lists."""
    matters = {check.name for check in made.checks if check.severity in ("warning", "severe")}
    if matters == {clicks.NAME}:
        return FEWER_CLICKS
    lists = clicks.NAME in {*(one.name for one in made.checks), *(one.name for one in made.skipped)}
    return TAKEN_LATER if lists and kind == "performance" else TITLES[kind]


def _emit(made: Observation) -> None:
    """Tell Prefect, where a server is set up: a deployment may wait for it."""
    if not os.environ.get("PREFECT_API_URL"):
        log.info("No Prefect server is set up (PREFECT_API_URL): nothing but the alert follows from this.")
        return
    from flows.server import settle

    settle()
    from prefect.events import emit_event

    emit_event(
        EVENT,
        resource={"prefect.resource.id": f"tidegate.line.{made.line}", "prefect.resource.name": made.line},
        payload={"line": made.line, "observation": made.id, "severity": made.severity},
    )


def _length(window: str) -> timedelta:
    """`1d` as a length of time. Raises SettingsError."""
    if not re.fullmatch(r"[1-9][0-9]*[mhdw]", window):
        raise SettingsError(f"--window was given as {window!r}; it is a number and m, h, d or w, such as 12h or 1d.")
    return timedelta(**{UNITS[window[-1]]: int(window[:-1])})
