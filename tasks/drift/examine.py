"""One window of live traffic against the reference: every check, one verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

from tasks.drift import clicks as clicked
from tasks.drift import counted, learned
from tasks.drift.judge import SIGNALS, judged, verdict
from tasks.drift.result import RANK, Check, Figure, Observation, Severity, Skipped
from tasks.drift.settings import MonitorSettings, Name
from tasks.drift.tallies import Tallies, tokenized
from tasks.drift.window import Window

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Findings:
    """All of an observation that follows from its rows."""

    severity: Severity
    reason: str
    """A sentence for ops staff, without texts of users."""
    checks: list[Check] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def examine(
    reference: Window,
    current: Window,
    settings: MonitorSettings,
    *,
    tokenizer: "Tokenizer | None" = None,
    tallies: Tallies | None = None,
    cost: Figure | None = None,
    clicks: "clicked.Clicks | None" = None,
) -> Findings:
    """Compare the current window with the reference.

    `reference` and `current` are samples of at most `settings.sample_rows`. `tallies` counted all rows of the current
    window in bins of Tallies.of(reference); without it the sample is all there is. `cost` is the accuracy lost, as far
    as labels or the model's answers tell: severity goes by it. `clicks` are what became of lists, where such are given.
    """
    names = [name for name in get_args(Name) if clicks is not None or name != clicked.NAME]
    rows = len(current) if tallies is None else tallies.rows
    if few := _few(len(reference), rows, settings.min_rows):
        return Findings("none", few, skipped=[Skipped(name=name, reason=few) for name in names])
    counts = tallies or Tallies.of(reference).add(current)
    sampled = rows > len(current)
    level = settings.false_alarms / len(names)
    found: list[Check | Skipped] = [
        *counted.checks(counts, settings, level, sampled=False),
        *_tokens(reference, current, settings, level, tokenizer, sampled),
        learned.text(reference, current, settings, level, sampled),
        learned.embedding(reference, current, settings, level, sampled),
        counted.performance(counts, settings, level),
        *([] if clicks is None else [clicked.check(clicks, settings, level)]),
    ]
    checks = judged([one for one in found if isinstance(one, Check)], settings, cost)
    return Findings(*verdict(checks, cost), checks, [one for one in found if isinstance(one, Skipped)])


def confirmed(
    findings: Findings, before: Sequence[Observation], *, since: str | None = None, release: str | None = None
) -> bool:
    """Whether an alert is due: this window drifts severely, or drifts as the one before it did, both by a warning.

    `before` are earlier observations of the line, oldest first. Of them count those of `release` that ended at `since`
    (ISO 8601), where this window begins, or earlier: two looks at the same rows are no two windows. A window that was
    too small to be judged, or could not be looked at, neither confirms nor clears.
    """
    if findings.severity == "severe":
        return True
    disjoint = [one for one in before if one.checks and _counts(one, since, release)]
    return bool(disjoint) and bool(_signals(findings.checks) & _signals(disjoint[-1].checks))


def _counts(one: Observation, since: str | None, release: str | None) -> bool:
    if release is not None and one.release != release:
        return False
    return since is None or (one.until is not None and _time(one.until) <= _time(since))


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _signals(checks: Sequence[Check]) -> set[str]:
    """Kinds of signal that drift by a warning or more."""
    return {SIGNALS[one.name] for one in checks if one.name in SIGNALS and RANK[one.severity] >= RANK["warning"]}


def _few(reference: int, rows: int, least: int) -> str | None:
    if reference >= least and rows >= least:
        return None
    if reference < least:
        return f"The reference has {reference:,} rows; {least} are needed for a verdict."
    return f"The window has {rows:,} rows; {least} are needed for a verdict." if rows else "The window has no rows."


def _tokens(
    reference: Window,
    current: Window,
    settings: MonitorSettings,
    level: float,
    tokenizer: "Tokenizer | None",
    sampled: bool,
) -> list[Check | Skipped]:
    """Checks of what the model's tokenizer makes of the texts."""
    sides = [_with_texts(window) for window in (reference, current)]
    if tokenizer is None or not all(map(len, sides)):
        why = "No tokenizer was given." if tokenizer is None else "The log keeps no texts."
        return [Skipped(name=name, reason=why) for name in ("tokens", "unknown")]
    tallies = Tallies.of(sides[0], tokenized(tokenizer)).add(sides[1])
    return counted.checks(tallies, settings, level, sampled)


def _with_texts(window: Window) -> Window:
    return window.take([row for row, text in enumerate(window.text) if text is not None])
