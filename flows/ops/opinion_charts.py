"""Charts of an opinion index as figures for Plotly: plain data, colours by the names of the style sheet."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from flows.ops.charts import Chart
from flows.web.words import Words
from tasks.opinion.said import DAY
from tasks.opinion.store import Cause

EPOCH = date(1970, 1, 1)
HEIGHTS = {"opinion": 300, "volume": 150}  # pixels


def all_of(index: Sequence[Mapping[str, Any]], causes: Sequence[Cause], words: Words) -> dict[str, Chart]:
    """The index with its interval and what was found, and how much was said, by days."""
    made = {"opinion": _index(index, causes, words), "volume": _volume(index, words)}
    for name, chart in made.items():
        chart["layout"] |= {"height": HEIGHTS[name], "xaxis": {"range": _span(index)}}
    return made


def _span(index: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same days under both charts, with a little room at both ends."""
    return [_iso(index[0]["day"] - 1), _iso(index[-1]["day"] + 1)] if index else []


def _index(index: Sequence[Mapping[str, Any]], causes: Sequence[Cause], words: Words) -> Chart:
    known = [row for row in index if row["value"] is not None]
    days = [_iso(row["day"]) for row in known]
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    told = [f"{row['value']:+.2f} ({row['low']:+.2f} … {row['high']:+.2f})" for row in known]
    traces = [
        {**edge, "x": days, "y": [row["low"] for row in known], "color": "--accent"},
        {**edge, "x": days, "y": [row["high"] for row in known], "color": "--accent", "fill": "tonexty", "pale": True},
        {
            "type": "scatter", "mode": "lines", "name": words("opinion.index"), "color": "--accent", "text": told,
            "x": days, "y": [row["value"] for row in known], "line": {"width": 2},
            "hovertemplate": "%{x|%Y-%m-%d}<br>%{text}<extra></extra>",
        },
        *_marks(known, causes, words),
    ]  # fmt: skip
    layout = {"yaxis": {"range": [-1.05, 1.05], "tickformat": "+.1f"}}
    return {"data": traces if known else [], "layout": layout}


def _marks(known: Sequence[Mapping[str, Any]], causes: Sequence[Cause], words: Words) -> list[Chart]:
    """A cross where a cause was found, on the line."""
    values = {row["day"]: row["value"] for row in known}
    found = [(cause, values[day]) for cause in causes if (day := cause.time // DAY) in values]
    if not found:
        return []
    return [
        {
            "type": "scatter", "mode": "markers", "name": words("opinion.alerts"),
            "x": [_iso(cause.time // DAY) for cause, _ in found], "y": [value for _, value in found],
            "text": [words.name("rule", cause.rule) for cause, _ in found],
            "marker": {"symbol": "x", "size": 11, "color": "--red"},
            "hovertemplate": "%{x|%Y-%m-%d}<br>%{text}<extra></extra>",
        }
    ]  # fmt: skip


def _volume(index: Sequence[Mapping[str, Any]], words: Words) -> Chart:
    bars = {
        "type": "bar", "name": words("opinion.headlines"), "color": "--muted",
        "x": [_iso(row["day"]) for row in index], "y": [row["headlines"] for row in index],
        "hovertemplate": "%{x|%Y-%m-%d}<br>%{y:,}<extra></extra>",
    }  # fmt: skip
    return {"data": [bars] if index else [], "layout": {"yaxis": {"rangemode": "tozero"}, "showlegend": False}}


def _iso(day: int) -> str:
    return (EPOCH + timedelta(days=day)).isoformat()
