"""From tests to a verdict: what chance explains, what is too small to matter, and what the rest costs."""

from collections.abc import Sequence

from tasks.drift.chance import holm
from tasks.drift.result import RANK, Check, Figure, Severity
from tasks.drift.settings import MonitorSettings

SIGNALS = {
    "length": "form", "language": "form", "characters": "form", "tokens": "form", "unknown": "form",
    "text": "content", "embedding": "content", "prediction": "answers", "confidence": "answers",
    "performance": "accuracy", "click_through": "clicks",
}  # fmt: skip
"""What a check is a sign of. Texts of another form may say the same."""


def judged(checks: Sequence[Check], settings: MonitorSettings, cost: Figure | None) -> list[Check]:
    """The checks with p corrected over all of them (Holm), which of them drifted and how much that matters.

    With a `cost` one more stands at the end, `estimate`, that is no test: it weighs what the others found.
    """
    adjusted = holm([1.0 if check.p is None else check.p for check in checks])
    found = [_judged(check, p, settings, cost) for check, p in zip(checks, adjusted, strict=True)]
    return found if cost is None else [*found, _estimate(cost, settings, any(check.drifted for check in found))]


def verdict(checks: Sequence[Check], cost: Figure | None) -> tuple[Severity, str]:
    """The highest severity, and why in a sentence."""
    drifted = [check for check in checks if check.drifted and check.name in SIGNALS]
    if not drifted:
        return "none", f"No drift in {len([check for check in checks if check.p is not None])} checks."
    severity = max((check.severity for check in drifted), key=RANK.__getitem__)
    names = [check.name for check in sorted(drifted, key=lambda check: (-RANK[check.severity], check.p_adjusted or 0))]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return severity, f"Drift in {listed}. {_told(severity, cost)}"


def _judged(check: Check, p: float, settings: MonitorSettings, cost: Figure | None) -> Check:
    limit = check.limit or 0.0
    small, chance = check.value < limit, p > settings.false_alarms
    drifted = not (small or chance)
    why = "Chance explains it." if chance else f"More than chance, but below the limit of {limit:g}."
    return check.model_copy(
        update={
            "p_adjusted": p,
            "drifted": drifted,
            "severity": _severity(check, settings, cost) if drifted else "none",
            "reason": check.reason if drifted else f"{check.reason} {why}",
        }
    )


def _severity(check: Check, settings: MonitorSettings, cost: Figure | None) -> Severity:
    if check.name == "click_through":  # no accuracy tells what it costs
        return "warning"
    if cost is None:  # then what it may cost goes by what it is a sign of
        if check.name == "performance" and check.value >= settings.severe_cost:
            return "severe"
        return "notice" if SIGNALS[check.name] == "form" else "warning"
    return _by_cost(cost, settings)


def _by_cost(cost: Figure, settings: MonitorSettings) -> Severity:
    if cost.value >= settings.severe_cost and cost.low >= settings.warning_cost:
        return "severe"
    return "warning" if cost.value >= settings.warning_cost else "notice"


def _estimate(cost: Figure, settings: MonitorSettings, any_drift: bool) -> Check:
    severity = _by_cost(cost, settings) if any_drift else "none"
    matters = severity in ("warning", "severe")
    return Check(
        name="estimate",
        statistic="accuracy lost",
        value=cost.value,
        limit=settings.warning_cost,
        p=None,
        drifted=matters,
        severity=severity if matters else "none",
        reason=_points(cost),
        rows_reference=0,
        rows_current=cost.rows,
        sampled=False,
        detectable=None,
        evidence={"low": cost.low, "high": cost.high},
    )


def _told(severity: Severity, cost: Figure | None) -> str:
    if cost is not None:
        return _points(cost)
    return "What it costs is not known." if severity != "notice" else "Only the form of the texts is another."


def _points(cost: Figure) -> str:
    """The accuracy lost in points, with its interval."""
    if cost.value <= 0:
        return "It costs no accuracy, as far as can be told."
    lost, low, high = (100 * share for share in (cost.value, cost.low, cost.high))
    by = "By an estimate it costs" if cost.estimated else "It costs"
    return f"{by} {lost:.1f} points of accuracy ({low:.1f} to {high:.1f})."
