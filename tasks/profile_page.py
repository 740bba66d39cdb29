"""The page of a profile: self-contained HTML, whose texts are masked by the policy and escaped."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks import profile_plots, report
from tasks.masks import PLACEHOLDERS
from tasks.profile import QUANTILES, Sampled
from tasks.profile_drift import Moved
from tasks.scan import Scan

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 5  # of each kind
AROUND = 100  # characters of a text on either side of what is shown


@dataclass(frozen=True)
class Policy:
    """What was done to rows before they came here."""

    changed: dict[str, int] = field(default_factory=dict)  # rows by step of the text policy
    dropped: dict[str, int] = field(default_factory=dict)  # rows by kind of personal data
    filters: dict[str, dict[str, int]] = field(default_factory=dict)  # by filter: rows, looked_at, left_out
    filtered: "pd.DataFrame | None" = None  # validate/filtered.parquet


@dataclass(frozen=True)
class Drift:
    """How the rows moved from an earlier version."""

    against: str
    rows: int
    moved: list[Moved]
    words: list[tuple[str, float, float]]


def page(
    line: str, read: str, profile: dict[str, Any], found: Scan, sampled: Sampled, policy: Policy, drift: Drift | None,
    no_drift: str, proposal: str,
) -> str:  # fmt: skip
    """The page as HTML. `read` says which table was read, `no_drift` why there is no drift where there is none."""
    return report.render(
        "profile.html.j2",
        title=f"{line}: profile",
        read=read,
        p=profile,
        quantiles=QUANTILES,
        policy=policy,
        masked=masked(found.sample["text"]),
        filtered=filtered(policy.filtered),
        drift=drift,
        no_drift=no_drift,
        proposal=proposal,
        plots=_plots(profile, found, sampled),
        drift_plot=report.data_uri(report.png(profile_plots.drift(drift.moved))) if drift and drift.moved else "",
    )


def _plots(profile: dict[str, Any], found: Scan, sampled: Sampled) -> list[tuple[str, str]]:
    """(caption, data URI) of each picture for which there is data."""
    figures = [("Lengths, up to the 99.5 % quantile", profile_plots.lengths(found, sampled))] if found.rows else []
    if profile["labels"]:
        figures.append(("Labels", profile_plots.bars(profile["labels"], "rows")))
    if profile["languages"]:
        figures.append(("Languages of the sample", profile_plots.bars(profile["languages"], "sampled rows")))
    if profile["months"]:
        figures.append(("Sources over time", profile_plots.months(profile["months"])))
    elif len(profile["sources"]) > 1:
        figures.append(("Sources", profile_plots.bars(profile["sources"], "rows")))
    return [(caption, report.data_uri(report.png(figure))) for caption, figure in figures]


def masked(texts: "pd.Series[str]") -> list[str]:
    """Cuts of some texts around a placeholder, some of each kind."""
    known = texts.fillna("")
    cuts = [
        _around(text, text.index(placeholder))
        for placeholder in PLACEHOLDERS.values()
        for text in known[known.str.contains(placeholder, regex=False)].head(EXAMPLES)
    ]
    return list(dict.fromkeys(cuts))


def filtered(rows: "pd.DataFrame | None") -> list[tuple[str, str]]:
    """(reason, text) of some rows that filters left out, some of each filter."""
    if rows is None or rows.empty:
        return []
    steps = rows["reason"].str.extract(r"^(language|length|exact|near)", expand=False)
    shown = rows.groupby(steps, sort=False).head(EXAMPLES)
    texts = shown["text"].fillna("")
    return [(reason, _around(text, 0)) for reason, text in zip(shown["reason"], texts, strict=True)]


def _around(text: str, place: int) -> str:
    start, end = max(0, place - AROUND), place + 2 * AROUND
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"
