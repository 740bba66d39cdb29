"""What the monitor says of windows that come one after the other, and what Evidently says of the same by default."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import answered
import pandas as pd

from tasks.drift import estimate, judge
from tasks.drift.examine import Findings, confirmed, examine
from tasks.drift.result import Figure, Observation
from tasks.drift.settings import MonitorSettings
from tasks.drift.window import Window

NUMBERS = ("characters", "words", "non_letters", "confidence")
CATEGORIES = ("script", "predicted")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Look:
    """One window, and what was said of it."""

    line: str
    draw: int
    scenario: str
    size: int
    place: int
    """Its place among the windows of its kind, from 0."""
    lost: float
    """Accuracy lost in truth, by labels that the monitor does not see."""
    severity: str
    """Where what the drift costs is not known."""
    alert: bool
    drifted: list[str]
    p: dict[str, float]
    values: dict[str, float]
    seconds: float
    """Of CPU time, for the checks alone."""
    told: dict[str, Any] = field(default_factory=dict)
    """`cost`, `severity` and `alert` where an estimate of the cost is given to the monitor."""
    rivals: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name: `alarm`, and what it goes by."""

    def row(self) -> dict[str, Any]:
        """As a line of the file of results."""
        return asdict(self)


def look(
    key: tuple[str, int, str, int],
    reference: pd.DataFrame,
    frames: Sequence[pd.DataFrame],
    settings: MonitorSettings,
    tokenizer: Any,
    rivals: bool = False,
) -> list[Look]:
    """Look at windows in their order; each knows those before it, as the monitor's history does."""
    base, right = answered.window(reference, labelled=True), answered.accuracy(reference)
    found: list[Look] = []
    history: dict[bool, list[Observation]] = {False: [], True: []}
    for place, frame in enumerate(frames):
        current = answered.window(frame)
        start = time.process_time()
        findings = examine(base, current, settings, tokenizer=tokenizer)
        seconds = time.process_time() - start
        alert = _judge(findings, place, len(frame), history[False])
        tests = [check for check in findings.checks if check.p is not None]
        one = Look(
            *key, place, right - answered.accuracy(frame), findings.severity, alert,
            [check.name for check in tests if check.drifted], {check.name: check.p or 0.0 for check in tests},
            {check.name: check.value for check in tests}, seconds,
        )  # fmt: skip
        if cost := estimated_cost(base, current, settings):
            again = priced(findings, settings, cost)
            one.told = {"cost": cost.value, "severity": again.severity,
                        "alert": _judge(again, place, len(frame), history[True])}  # fmt: skip
        if rivals:
            one.rivals = {"evidently": evidently(reference, frame)}
        found.append(one)
    return found


def estimated_cost(reference: Window, current: Window, settings: MonitorSettings) -> Figure | None:
    """What the monitor takes the drift to cost while no label has come."""
    right = sum(label == true for label, true in zip(reference.label, reference.true_label, strict=True))
    known = estimate.accuracy(right, len(reference))
    return estimate.cost(known, None, estimate.estimated(reference, current, settings))


def priced(findings: Findings, settings: MonitorSettings, cost: Figure) -> Findings:
    """The same findings judged with a cost."""
    checks = judge.judged(findings.checks, settings, cost)
    return Findings(*judge.verdict(checks, cost), checks, findings.skipped)


def _judge(findings: Findings, place: int, rows: int, before: list[Observation]) -> bool:
    """Whether an alert is due; the observation is put into the history."""
    since, until = ((BEGIN + timedelta(hours=n)).isoformat() for n in (place, place + 1))
    alert = confirmed(findings, before, since=since, release="release")
    before.append(
        Observation(
            id=f"{place}", line="line", time=until, release="release", version=None, since=since, until=until,
            rows=rows, labelled=0, rows_reference=0, requests_per_hour=None, latency_ms_p50=None, latency_ms_p95=None,
            checks=findings.checks, severity=findings.severity, health="green", reason=findings.reason, confirmed=alert,
        )
    )  # fmt: skip
    return alert


def columns(frame: pd.DataFrame) -> pd.DataFrame:
    """A window as a table of plain columns, which tools without texts or embeddings read."""
    plain = frame[["text", *CATEGORIES, *NUMBERS[:-1]]].reset_index(drop=True)
    return plain.assign(confidence=[float(max(row)) for row in frame["probabilities"]])


def evidently(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, Any]:
    """Evidently's drift of data and texts with its defaults: `text` drifts; `data`, half of the columns or more do.

    `any`: a column drifts. `score` is that of the text's drift.
    """
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    told = DataDefinition(text_columns=["text"], numerical_columns=list(NUMBERS), categorical_columns=list(CATEGORIES))
    sides = [Dataset.from_pandas(columns(frame), data_definition=told) for frame in (current, reference)]
    report = Report([DataDriftPreset()], include_tests=True).run(*sides).dict()
    fails = {test["metric_config"]["params"].get("column", "") for test in report["tests"] if test["status"] == "FAIL"}
    score = next(one["value"] for one in report["metrics"] if "column=text" in one["metric_name"])
    return {"text": "text" in fails, "data": "" in fails, "any": bool(fails), "score": float(score)}
