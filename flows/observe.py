"""One look at a line's live traffic: read the window, examine it, keep what was found, tell who must know.

Whatever goes wrong is an observation as well: a page that shows nothing looks like a page that shows no drift.
"""

import logging
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import alerts, deploy, observations, registry
from flows.examine import current_champion
from flows.lock import hold
from flows.settings import LineSettings, load
from flows.window import SKEW, Current, judged, reference, stream
from serving.log import read
from tasks.bundle import load_release, release_id
from tasks.core.errors import RejectedError, SettingsError, TidegateError, disk_full
from tasks.core.line import Line
from tasks.drift import estimate
from tasks.drift.examine import Findings, confirmed, examine
from tasks.drift.result import Health, Observation
from tasks.drift.tallies import Tallies
from tasks.drift.window import Window
from tasks.inference import read_tokenizer

if TYPE_CHECKING:
    from sqlalchemy import Engine

log = logging.getLogger("tidegate")

EVENT = "tidegate.drift.confirmed"
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
BEFORE = 50  # observations that are looked at for the window before this one
TITLES = {"drift": "live traffic is not what the model was made for"}


@dataclass(frozen=True)
class Subject:
    """What is looked at: a line, its champion, and the time that the window covers."""

    line: Line
    settings: LineSettings
    bundle: Path
    release: str
    version: str
    variant: str
    since: datetime | None
    until: datetime
    last: int | None


def monitor_line(name: str, window: str | None = None, rows: int | None = None) -> Observation:
    """Look at the last `rows` rows of a line, or at a `window` such as `1d` (default: as params.yaml says).

    Writes the observation and its report, raises or resolves the alert of the line, and where a drift is confirmed
    emits the event that starts the loop. What keeps it from looking stands in `problem`; nothing is raised for it.
    Raises SettingsError where line or window do not exist, BusyError during another look.
    """
    settings = load([name])[name]
    line, until = Line(name, settings.kind), datetime.now(UTC)
    length = _length(window or settings.monitor.window)
    since = None if rows is not None else until - length
    with hold(f"{name}.monitor", f"Another look at {name} is going on. Wait for its end."):
        made = _begun(line, until, since)
        try:
            subject = _subject(line, settings, since, until, rows)
            made = made.model_copy(update={"release": subject.release, "version": subject.version})
            made = _looked(subject, made)
        except (TidegateError, OSError) as error:
            told = str(disk_full(error) or error)
            made = made.model_copy(update={"problem": told, "reason": f"It could not be looked at: {told}"})
        kept = _kept(made)
    _tell(kept)
    return kept


def say(seen: Observation) -> int:
    """Print an observation; the exit code: 0, 3 for a confirmed drift, 1 where it could not look."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if seen.checks:
        table = Table("check", "severity", "statistic", "value", "limit", "p, corrected", "reason")
        for check in seen.checks:
            numbers = ["" if n is None else f"{n:.3g}" for n in (check.value, check.limit, check.p_adjusted)]
            table.add_row(*map(Text, [check.name, check.severity, check.statistic, *numbers, check.reason]))
        console.print(table)
    for one in seen.skipped:
        console.print(f"{one.name} was not checked: {one.reason}", markup=False, highlight=False)
    console.print(f"{seen.line} is {seen.health}: {seen.reason}", markup=False, highlight=False)
    if seen.report:
        console.print(f"Report: {observations.path(seen.line, seen.id).with_suffix('.html')}", highlight=False)
    if seen.problem:
        return 1
    return RejectedError.exit_code if seen.confirmed else 0


def _begun(line: Line, until: datetime, since: datetime | None) -> Observation:
    """An observation of which nothing is known yet."""
    return Observation(
        id=observations.new_id(until), line=line.name, time=until.isoformat(timespec="seconds"), release=None,
        version=None, since=since and since.isoformat(timespec="seconds"), until=until.isoformat(timespec="seconds"),
        rows=0, labelled=0, rows_reference=0, requests_per_hour=None, latency_ms_p50=None, latency_ms_p95=None,
        severity="none", health="grey", reason="", confirmed=False,
    )  # fmt: skip


def _subject(line: Line, settings: LineSettings, since: datetime | None, until: datetime, last: int | None) -> Subject:
    """Raises TidegateError where there is no champion, or its release is not whole."""
    current = current_champion(line)
    if current is None:
        raise TidegateError(f"{line.name} has no champion. `tidegate promote {line.name}` makes one.")
    bundle = registry.folder(line, registry.named(line.name, current.version))
    manifest = load_release(bundle)
    pointer = deploy.serving_folder().pointer(line.name)
    served = pointer.variant if pointer is not None and pointer.release == release_id(bundle) else None
    variant = served or ("int8" if "int8" in manifest.admissible else manifest.admissible[0])
    return Subject(line, settings, bundle, release_id(bundle), current.version, variant, since, until, last)


def _looked(subject: Subject, made: Observation) -> Observation:
    """What was seen. Raises TidegateError where the prediction log cannot be read."""
    from serving.log.database import connected
    from serving.log.settings import load_log

    log_settings = load_log()
    known = reference(subject.bundle, subject.variant, log_settings.projection)
    tallies = Tallies.of(known)
    with connected(log_settings.database()) as engine:
        current = _streamed(subject, engine, tallies)
        future = read.count(engine, subject.line.name, since=subject.until + SKEW)
    made = made.model_copy(update=_volume(subject, current, len(known)))
    right, judged_rows = judged(subject.bundle, subject.variant)
    made = made.model_copy(update={"accuracy_reference": estimate.accuracy(right, judged_rows)})
    least = subject.settings.monitor.min_rows
    if current.sample is None or current.rows < least:
        few = f"{current.rows:,} rows came" if current.rows else "No row came"
        told = f"{few}; from {least:,} on a window is judged."
        return made.model_copy(update={"reason": told + _aside(current, future)})
    return _judged(subject, made, known, current, tallies, _aside(current, future))


def _streamed(subject: Subject, engine: "Engine", tallies: Tallies) -> Current:
    settings = subject.settings.monitor
    return stream(
        engine, subject.line.name, subject.release, tallies, settings.sample_rows, settings.seed, subject.since,
        subject.until + SKEW, subject.last,
    )  # fmt: skip


def _volume(subject: Subject, current: Current, rows_reference: int) -> dict[str, Any]:
    """How much came, and how soon it was answered."""
    first = subject.since or (current.first and current.first.replace(tzinfo=UTC))
    last = subject.until if subject.since else (current.last and current.last.replace(tzinfo=UTC))
    hours = (last - first).total_seconds() / 3600 if first and last else 0
    return {
        "since": first and first.isoformat(timespec="seconds"),
        "rows": current.rows,
        "labelled": current.labelled,
        "rows_reference": rows_reference,
        "requests_per_hour": round(current.requests / hours, 1) if hours > 0 else None,
        "latency_ms_p50": current.latency(0.5),
        "latency_ms_p95": current.latency(0.95),
    }


def _judged(
    subject: Subject, made: Observation, known: Window, current: Current, tallies: Tallies, aside: str
) -> Observation:
    """The window against the reference: checks, accuracy, and what follows from them."""
    assert current.sample is not None  # noqa: S101 - asked before
    settings = subject.settings.monitor
    true = estimate.accuracy(current.right, current.labelled)
    guessed = estimate.estimated(known, current.sample, settings)
    cost = estimate.cost(made.accuracy_reference, true, guessed)
    tokenizer = read_tokenizer(subject.bundle / "tokenizer.json", 10_000)
    found = examine(known, current.sample, settings, tokenizer=tokenizer, tallies=tallies, cost=cost)
    before = observations.history(subject.line.name, BEFORE)
    alarm = confirmed(found, before, since=made.since, release=subject.release)
    return made.model_copy(
        update={
            "checks": found.checks,
            "skipped": found.skipped,
            "accuracy_known": true,
            "accuracy_estimated": guessed,
            "cost": cost,
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


def _aside(current: Current, future: int) -> str:
    """What a person should know of the rows beside the verdict."""
    told = ""
    if current.others:
        told += f" {current.others:,} rows of the window were answered by other releases and are not in it."
    if future:
        told += f" {future:,} rows bear a time in the future: the clock of a machine is ahead."
    return told


def _kept(made: Observation) -> Observation:
    """The observation as it was written, with a report where there is something to report."""
    from flows.evidence import write_report

    if made.checks:
        try:
            made = made.model_copy(update={"report": write_report(made)})
        except (TidegateError, OSError) as error:
            told = f"The report could not be written: {disk_full(error) or error}"
            made = made.model_copy(update={"problem": told})
    observations.keep(made)
    return made


def _tell(made: Observation) -> None:
    """Raise or resolve the line's alert; emit the event of a confirmed drift."""
    if made.confirmed:
        alerts.raise_alert(made.line, "drift", made.severity, TITLES["drift"], made.reason, made.id)
        _emit(made)
    elif made.health == "green":
        alerts.resolve(made.line, "drift", f"A window of {made.rows:,} rows shows no drift that matters.")
    if made.problem is None:
        alerts.resolve(made.line, "run_failed", "The monitor looked at the line again.")
    else:
        alerts.raise_alert(made.line, "run_failed", "warning", "the monitor could not look", made.problem, made.id)


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
