"""What one look at a window found: the record that page, report, alerts and loop all read, so that none contradicts.

An observation is one run of the monitor over one window of one line.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA = 1

Severity = Literal["none", "notice", "warning", "severe"]
"""none: no drift found. notice: another distribution that costs nothing that matters. warning: it costs accuracy.
severe: it costs so much, or is so plain, that nobody waits for a second window."""

RANK: dict[Severity, int] = {"none": 0, "notice": 1, "warning": 2, "severe": 3}

Health = Literal["green", "amber", "red", "grey"]
"""grey: nothing can be said (no traffic, too few rows, the log is gone)."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Check(_Record):
    """One comparison of the current window with the reference."""

    name: str
    """length, language, characters, tokens, unknown, text, embedding, prediction, confidence, performance,
    click_through, estimate.
    """
    statistic: str
    """What `value` is, in the field's words: total variation, AUC of a domain classifier, ..."""
    value: float
    limit: float | None
    """The smallest effect that matters: below it nothing drifts, however many rows show it."""
    p: float | None
    """By permutation, or exact; None where the check is no test."""
    p_adjusted: float | None = None
    """After correction over the checks of this observation."""
    drifted: bool = False
    severity: Severity = "none"
    reason: str
    """A sentence for ops staff, without texts of users."""
    rows_reference: int
    rows_current: int
    sampled: bool
    """Whether the rows are a sample of the window."""
    detectable: float | None
    """The smallest value of the statistic that so many rows show in 8 of 10 windows; None where it is unknown."""
    evidence: dict[str, Any] = {}
    """What to look at: histograms {edges, reference, current}, terms, masked examples."""


class Skipped(_Record):
    """A check that could not be made."""

    name: str
    reason: str


class Figure(_Record):
    """A figure with its interval."""

    value: float
    low: float
    high: float
    rows: int
    estimated: bool = False
    """Whether it rests on what the model's answers tell, not on labels."""


class Observation(_Record):
    """One look at one window."""

    schema_version: int = SCHEMA
    id: str
    """Time and a few hex digits; sorts by time. The name of its files."""
    line: str
    time: str
    """When it was made, ISO 8601, UTC."""
    release: str | None
    """The champion whose answers were looked at; None where there is none."""
    version: str | None
    since: str | None
    """Of the current window: from here, ISO 8601, UTC ..."""
    until: str | None
    """... up to but without here."""
    rows: int
    """In the current window."""
    labelled: int
    """Of them with a true label."""
    rows_reference: int
    requests_per_hour: float | None
    latency_ms_p50: float | None
    latency_ms_p95: float | None
    checks: list[Check] = []
    skipped: list[Skipped] = []
    accuracy_reference: Figure | None = None
    """On the release's own test rows."""
    accuracy_known: Figure | None = None
    """On rows of the window whose labels have come."""
    accuracy_estimated: Figure | None = None
    """Of the rows without labels, by what the model's answers tell."""
    cost: Figure | None = None
    """Accuracy lost against the reference, known where labels allow it, else estimated. 0.05 is five points."""
    click_through: Figure | None = None
    """The share of lists from which users took something; None where no lists were given, or too little is known."""
    severity: Severity
    health: Health
    reason: str
    """Why it is of that health, in a sentence, without texts of users."""
    confirmed: bool
    """Whether an alert is due: two disjoint windows in a row drift, or this one severely."""
    report: str | None = None
    """The Evidently report's file name beside the record; None where none was written."""
    problem: str | None = None
    """What went wrong in this run, where the window could not be looked at: the log database is gone, the disk full."""
