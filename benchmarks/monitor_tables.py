"""The tables of benchmarks/monitor.py."""

from collections.abc import Mapping, Sequence
from typing import Any

import draws
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

RIVALS = {
    "evidently text": ("evidently", "text"), "evidently data": ("evidently", "data"),
    "nannyml columns": ("nannyml", "columns"), "nannyml PCA": ("nannyml", "reconstruction"),
    "nannyml CBPE": ("nannyml", "cbpe"),
}  # fmt: skip
SEVERITIES = ("none", "notice", "warning", "severe")


def share(hits: "pd.Series[bool]") -> str:
    """`12 of 400, 3.0 % (1.6 to 5.2)`: with the 95 % interval of Clopper and Pearson."""
    count, rows = int(hits.sum()), len(hits)
    if not rows:
        return "-"
    interval = binomtest(count, rows).proportion_ci(0.95, method="exact")
    return f"{count} of {rows:,}, {count / rows:.1%} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def beside(found: Mapping[Any, list[dict[str, Any]]], rival: Mapping[Any, Sequence[dict[str, bool]]]) -> None:
    """Put what NannyML says of windows beside what is known of them."""
    for unit, answers in rival.items():
        for look, answer in zip(found[unit], answers, strict=True):
            look["rivals"]["nannyml"] = answer


def show(found: pd.DataFrame) -> None:
    """Print the tables of all parts that there are looks of."""
    found["cries"] = found["severity"] != "none"
    found["priced"] = [told.get("severity") for told in found["told"]]
    found["priced alert"] = [bool(told.get("alert")) for told in found["told"]]
    quiet = found[found["scenario"] == "none"]
    drift = found[found["scenario"].isin(draws.mixtures())]
    shifts = found[found["scenario"].isin(draws.shifts())]
    if len(quiet):
        table("No drift: windows that look like drift, alerts", _quiet(quiet))
        table("No drift: which checks", _checks(quiet))
    if len(drift):
        table("Drift: windows in which it is found, and windows until the alert", _drift(drift))
        table(f"Drift at {_middle(drift)} rows: which checks", _checks(drift[drift["size"] == _middle(drift)]))
    if len(shifts) or len(drift):
        both = pd.concat([quiet, shifts, drift])
        table(f"Severity at {_middle(both)} rows, in % of windows", _severities(both[both["size"] == _middle(both)]))
    if len(seen := found[found["rivals"].map(len) > 0]):
        table("The same windows by others: share that alarms", _rivals(seen))
    table("CPU seconds of a look, one thread", _seconds(found))


def _middle(found: pd.DataFrame) -> int:
    """The size that most kinds of window have."""
    return int(found.groupby("size")["scenario"].nunique().sort_index(ascending=False).idxmax())


def _quiet(found: pd.DataFrame) -> list[dict[str, str]]:
    groups = [*found.groupby(["line", "size"]), (("all", ""), found)]
    return [
        {"line": str(line), "rows": str(size), "draws": str(group["draw"].nunique()), "found": share(group["cries"]),
         "found, a warning or more": share(group["severity"].isin(SEVERITIES[2:])),
         "alert": share(group["alert"]), "alert, cost estimated": share(group["priced alert"])}
        for (line, size), group in groups
    ]  # fmt: skip


def _drift(found: pd.DataFrame) -> list[dict[str, str]]:
    rows = []
    for scenario in draws.mixtures():
        for size, group in found[found["scenario"] == scenario].groupby("size"):
            rows.append({
                "drift": scenario, "rows": str(size), "accuracy lost": f"{100 * group['lost'].mean():.1f}",
                "found": share(group["cries"]), "a warning": f"{group['severity'].isin(SEVERITIES[2:]).mean():.0%}",
                "windows until the alert": _until(group, "alert"), "cost estimated": _until(group, "priced alert"),
            })  # fmt: skip
    return rows


def _until(group: pd.DataFrame, alert: str) -> str:
    """Of the sequences: how many come to an alert, and in which window half of them have it."""
    first = group[group[alert]].groupby("draw")["place"].min() + 1
    sequences = group["draw"].nunique()
    longest = int(group["place"].max()) + 1
    half = f"{first.reindex(group['draw'].unique()).fillna(1e9).median():.0f}" if 2 * len(first) > sequences else "-"
    return f"{half}; {len(first)} of {sequences} within {longest}"


def _checks(found: pd.DataFrame) -> list[dict[str, str]]:
    """Share of windows in which each check drifts, and its uncorrected p at or below 0.05."""
    names = sorted({name for p in found["p"] for name in p})
    groups = [("all", found)] if found["scenario"].nunique() == 1 else list(found.groupby("scenario", sort=False))
    return [
        {"windows": str(scenario), **{name: _check(group, name) for name in names}} for scenario, group in groups
    ]  # fmt: skip


def _check(group: pd.DataFrame, name: str) -> str:
    drifted = group["drifted"].map(lambda names: name in names).mean()
    low = group["p"].map(lambda p: p.get(name, 1.0) <= 0.05).mean()
    return f"{drifted:.1%} / {low:.1%}"


def _severities(found: pd.DataFrame) -> list[dict[str, str]]:
    rows = []
    for scenario, group in found.groupby("scenario", sort=False):
        costs = group["told"].map(lambda told: told.get("cost", float("nan")))
        row = {
            "traffic": str(scenario),
            "windows": str(len(group)),
            "accuracy lost": f"{100 * group['lost'].mean():.1f}",
        }
        row["estimated"] = f"{100 * costs.mean():.1f}"
        for severity in SEVERITIES:
            row[severity] = f"{100 * (group['severity'] == severity).mean():.0f}"
        for severity in SEVERITIES:
            row[f"{severity}, cost estimated"] = f"{100 * (group['priced'] == severity).mean():.0f}"
        rows.append(row)
    return rows


def _rivals(found: pd.DataFrame) -> list[dict[str, str]]:
    rows = []
    for scenario, group in found.groupby("scenario", sort=False):
        row = {"traffic": str(scenario), "windows": str(len(group)), "tidegate": f"{group['cries'].mean():.0%}"}
        for name, (rival, what) in RIVALS.items():
            told = [one[rival][what] for one in group["rivals"] if rival in one]
            row[name] = f"{sum(told) / len(told):.0%}" if told else "-"
        scores = [one["evidently"]["score"] for one in group["rivals"] if "evidently" in one]
        rows.append(row | {"evidently's text score": f"{min(scores):.2f} to {max(scores):.2f}" if scores else "-"})
    return rows


def _seconds(found: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {"line": str(line), "rows": str(size), "mean": f"{group['seconds'].mean():.2f}",
         "most": f"{group['seconds'].max():.2f}"}
        for (line, size), group in found.groupby(["line", "size"])
    ]  # fmt: skip


def table(title: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows of named cells."""
    shown = Table(title=title, title_justify="left")
    for name in rows[0]:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*row.values())
    Console(width=200).print(shown)
