"""Checks by counts: histograms of the reference and the current window, and answers that turned out right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks.drift import chance
from tasks.drift.result import Check, Skipped
from tasks.drift.settings import MonitorSettings, Name
from tasks.drift.tallies import Column, Numbers, Tallies

LABELLED = 20
"""Rows with a true label from which on accuracy is compared."""


@dataclass(frozen=True)
class _Told:
    """How a property is spoken of."""

    what: str
    shown: Callable[[float], str] = lambda value: f"{value:.3g}"


_NUMBERS: dict[Name, _Told] = {
    "length": _Told("Characters of a text", lambda value: f"{value:.0f}"),
    "characters": _Told("Digits, punctuation and symbols in a text", lambda value: f"{value:.1%}"),
    "tokens": _Told("Tokens per character", lambda value: f"{value:.2f}"),
    "unknown": _Told("Tokens that the tokenizer does not know", lambda value: f"{value:.1%}"),
    "confidence": _Told("The probability of the answer", lambda value: f"{value:.2f}"),
}
_CATEGORIES: dict[Name, str] = {"language": "script", "prediction": "answer"}


def checks(tallies: Tallies, settings: MonitorSettings, level: float, sampled: bool) -> list[Check | Skipped]:
    """A check of every property that was counted. `level` is the p that alarms."""
    return [_histogram(name, column, settings, level, sampled) for name, column in tallies.columns.items()]


def _histogram(name: Any, column: Column, settings: MonitorSettings, level: float, sampled: bool) -> Check | Skipped:
    numbers = isinstance(column, Numbers)
    known = slice(None, -1) if numbers else slice(None)  # the last bin of numbers holds what is none
    rows = int(column.reference[known].sum()), int(column.current[known].sum())
    if not all(rows):
        where = "reference" if not rows[0] else "window"
        return Skipped(name=name, reason=f"The {where} has no row of which this is known.")
    distance = chance.kolmogorov_smirnov if numbers else chance.total_variation
    found = chance.compare(column.reference, column.current, distance, level, settings.seed)
    return Check(
        name=name,
        statistic="Kolmogorov-Smirnov distance" if numbers else "total variation",
        value=found.value,
        limit=settings.limit(name),
        p=found.p,
        reason=_moved_number(name, column) if isinstance(column, Numbers) else _moved_category(name, column),
        rows_reference=int(column.reference.sum()),
        rows_current=int(column.current.sum()),
        sampled=sampled,
        detectable=max(found.detectable, settings.limit(name)),
        evidence=_evidence(column),
    )


def _moved_number(name: Name, column: Numbers) -> str:
    told = _NUMBERS[name]
    now, before = (told.shown(column.median(counts)) for counts in (column.current, column.reference))
    return f"{told.what}: {now} in the middle, {before} in the reference."


def _moved_category(name: Name, column: Any) -> str:
    now, before = (counts / counts.sum() for counts in (column.current, column.reference))
    most = int(abs(now - before).argmax())
    known = column.names[most] or "none"
    return f"The {_CATEGORIES[name]} {known}: {now[most]:.1%} of rows, {before[most]:.1%} in the reference."


def _evidence(column: Column) -> dict[str, Any]:
    """`edges` or `categories`, and the shares of rows in each bin as tallies.Numbers has them."""
    bins = {"edges": column.edges.tolist()} if isinstance(column, Numbers) else {"categories": column.names}
    shares = {
        side: [round(float(share), 6) for share in counts / max(1, counts.sum())]
        for side, counts in (("reference", column.reference), ("current", column.current))
    }
    return {**bins, **shares}


def performance(tallies: Tallies, settings: MonitorSettings, level: float) -> Check | Skipped:
    """Whether answers are right less often than on the reference, by the rows whose labels have come."""
    reference, current = tallies.right["reference"], tallies.right["current"]
    rows = int(reference.sum()), int(current.sum())
    if min(rows) < LABELLED:
        where = ("reference", rows[0]) if rows[0] < LABELLED else ("window", rows[1])
        return Skipped(
            name="performance", reason=f"{where[1]} rows of the {where[0]} have a label; {LABELLED} are needed."
        )
    now, before = current[0] / rows[1], reference[0] / rows[0]
    reason = f"Of {rows[1]:,} rows with a label {now:.1%} were answered rightly, {before:.1%} in the reference."
    evidence = {"reference": float(before), "current": float(now)}
    return lost("performance", "accuracy lost", (reference, current), settings, level, reason, evidence)


def lost(
    name: Name,
    statistic: str,
    counts: tuple[chance.Counts, chance.Counts],
    settings: MonitorSettings,
    level: float,
    reason: str,
    evidence: dict[str, Any],
) -> Check:
    """Whether a share is smaller than in the reference; `counts` are [with it, without it] of reference and current."""
    found, limit = chance.fewer_right(*counts, level), settings.limit(name)
    return Check(
        name=name,
        statistic=statistic,
        value=found.value,
        limit=limit,
        p=found.p,
        reason=reason,
        rows_reference=int(counts[0].sum()),
        rows_current=int(counts[1].sum()),
        sampled=False,
        detectable=max(found.detectable, limit),
        evidence=evidence,
    )
