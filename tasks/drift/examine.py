"""One window of live traffic against the reference: every check, one verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.drift.result import Check, Figure, Observation, Severity, Skipped
from tasks.drift.settings import MonitorSettings
from tasks.drift.tallies import Tallies
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
) -> Findings:
    """Compare the current window with the reference.

    `reference` and `current` are samples of at most `settings.sample_rows`. `tallies` counted all rows of the current
    window in bins of Tallies.of(reference); without it the sample is all there is. `cost` is the accuracy lost, as far
    as labels or the model's answers tell: severity goes by it.
    """
    return Findings("none", "Nothing was compared.")


def confirmed(
    findings: Findings, before: Sequence[Observation], *, since: str | None = None, release: str | None = None
) -> bool:
    """Whether an alert is due: this window drifts severely, or drifts as the one before it did, both by a warning.

    `before` are earlier observations of the line, oldest first. Of them count those of `release` that end at `since`
    (ISO 8601), where this window begins, or earlier: two looks at the same rows are no two windows.
    """
    return findings.severity == "severe"
