"""The page's charts as figures for Plotly: plain data. A colour is the name of a variable of the style sheet."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from flows.registry import Assigned
from flows.web.words import Words, figure, percent
from tasks.drift.result import Check, Figure, Observation, Severity

Chart = dict[str, Any]

SYMBOLS: dict[Severity, str] = {"none": "circle", "notice": "circle-open", "warning": "triangle-up", "severe": "x"}
INK: dict[Severity, str] = {"none": "--faint", "notice": "--accent", "warning": "--amber", "severe": "--red"}
SIZES: dict[Severity, int] = {"none": 5, "notice": 8, "warning": 11, "severe": 11}
TIME = "%Y-%m-%d %H:%M"
ROOM = 0.02
"""Above and below the accuracies, so that no dot touches the frame."""
MOST_BARS = 24
"""Intervals that are drawn as bars; more of them nobody reads."""
LOWEST_SPAN = 0.2
"""Of the axis: a change of a point is not to look like a fall."""


def all_of(found: Sequence[Observation], champions: Sequence[Assigned], words: Words) -> dict[str, Chart]:
    """Every chart of a line, by name."""
    made = {
        "accuracy": accuracy(found, champions, words),
        "drift": drift(found, words),
        "traffic": traffic(found, words),
        "latency": latency(found, words),
    }
    for chart in made.values():
        chart["layout"]["xaxis"] = {"range": _span(found)}
    return made


def accuracy(found: Sequence[Observation], champions: Sequence[Assigned], words: Words) -> Chart:
    """Known and estimated accuracy with their intervals, what the tests promised, and who became champion when."""
    known = _figures(found, lambda one: one.accuracy_known)
    bars = len(known) <= MOST_BARS
    estimated = _figures(found, lambda one: one.accuracy_estimated)
    promised = _figures(found, lambda one: one.accuracy_reference)
    traces = [
        *_band(estimated, "--estimated"),
        *([] if bars else _band(known, "--accent")),
        _line(promised, words("chart.promised"), "--muted", dash="dot", mode="lines"),
        _line(estimated, words("chart.estimated"), "--estimated", dash="dash", symbol="diamond-open"),
        {**_line(known, words("chart.known"), "--accent"), **(_bars(known) if bars else {})},
    ]
    values = [value for series in (known, estimated, promised) for _, each in series for value in (each.low, each.high)]
    layout = {"yaxis": {"tickformat": ".0%", "range": _range(values)}, **_champions(found, champions)}
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def drift(found: Sequence[Observation], words: Words) -> Chart:
    """A row per check, a mark per look: its form and colour say how bad it was."""
    names = list(dict.fromkeys(check.name for one in found for check in one.checks))
    traces = []
    for severity in SYMBOLS:
        marks = [(one, check) for one in found for check in one.checks if check.severity == severity]
        if marks:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": words.name("severity", severity),
                    "x": [one.time for one, _ in marks],
                    "y": [words.name("check", check.name) for _, check in marks],
                    "text": [_value(check, words) for _, check in marks],
                    "hovertemplate": f"%{{y}}<br>%{{x|{TIME}}}<br>%{{text}}<extra></extra>",
                    "marker": {"symbol": SYMBOLS[severity], "color": INK[severity], "size": SIZES[severity]},
                }
            )
    rows = [words.name("check", name) for name in reversed(names)]
    axis = {"type": "category", "categoryorder": "array", "categoryarray": rows, "range": [-0.6, len(rows) - 0.4]}
    return {"data": traces, "layout": {"height": 110 + 26 * max(1, len(names)), "yaxis": axis}}


def traffic(found: Sequence[Observation], words: Words) -> Chart:
    """Requests an hour."""
    known = [(one.time, one.requests_per_hour) for one in found if one.requests_per_hour is not None]
    bars = {
        "type": "scatter", "mode": "lines", "fill": "tozeroy", "name": words("chart.requests"), "line": {"width": 1.5},
        "x": [time for time, _ in known], "y": [value for _, value in known], "color": "--accent",
        "hovertemplate": f"%{{x|{TIME}}}<br>%{{y:,.0f}}<extra></extra>",
    }  # fmt: skip
    return {"data": [bars] if known else [], "layout": {"yaxis": {"rangemode": "tozero"}, "showlegend": False}}


def latency(found: Sequence[Observation], words: Words) -> Chart:
    """Milliseconds of half and of 19 in 20 requests."""
    halves = [(one.time, one.latency_ms_p50) for one in found if one.latency_ms_p50 is not None]
    most = [(one.time, one.latency_ms_p95) for one in found if one.latency_ms_p95 is not None]
    traces = [
        _times(halves, words("chart.p50"), "--muted", 1.2),
        _times(most, words("chart.p95"), "--accent", 2),
    ]
    layout = {"yaxis": {"rangemode": "tozero", "ticksuffix": " ms"}}
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def _times(series: Sequence[tuple[str, float]], name: str, ink: str, width: float) -> Chart:
    return {
        "type": "scatter", "mode": "lines", "name": name, "color": ink, "line": {"width": width},
        "x": [time for time, _ in series], "y": [ms for _, ms in series],
        "hovertemplate": f"%{{x|{TIME}}}<br>%{{y:.1f}} ms<extra></extra>",
    }  # fmt: skip


def _figures(found: Sequence[Observation], which: Callable[[Observation], Figure | None]) -> list[tuple[str, Figure]]:
    return [(one.time, figure) for one in found if (figure := which(one)) is not None]


def _line(
    series: Sequence[tuple[str, Figure]],
    name: str,
    ink: str,
    dash: str = "solid",
    symbol: str = "circle",
    mode: str = "lines+markers",
) -> Chart:
    told = [
        f"{percent(each.value)} ({percent(each.low)}–{percent(each.high)}, n = {each.rows:,})" for _, each in series
    ]
    return {
        "type": "scatter", "mode": mode, "name": name, "color": ink, "text": told,
        "x": [time for time, _ in series], "y": [each.value for _, each in series],
        "line": {"dash": dash, "width": 2}, "marker": {"symbol": symbol, "size": 6},
        "hovertemplate": f"{name}<br>%{{x|{TIME}}}<br>%{{text}}<extra></extra>",
    }  # fmt: skip


def _bars(series: Sequence[tuple[str, Figure]]) -> Chart:
    """The intervals as bars: where labels come seldom, nothing is known between them."""
    up, down = [each.high - each.value for _, each in series], [each.value - each.low for _, each in series]
    return {
        "error_y": {
            "type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": "--accent",
            "thickness": 1.2, "width": 3,
        }
    }  # fmt: skip


def _band(series: Sequence[tuple[str, Figure]], ink: str) -> list[Chart]:
    """The interval as a surface."""
    times = [time for time, _ in series]
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    return [
        {**edge, "x": times, "y": [each.low for _, each in series], "color": ink},
        {**edge, "x": times, "y": [each.high for _, each in series], "color": ink, "fill": "tonexty", "pale": True},
    ]


def _champions(found: Sequence[Observation], champions: Sequence[Assigned]) -> Chart:
    """A thin line where the champion changed."""
    if not found:
        return {}
    first, last = found[0].time, found[-1].time
    inside = [one for one in champions if first < one.time.isoformat() <= last]
    line = {"color": "--muted", "width": 1, "dash": "dash"}
    times = [one.time.isoformat() for one in inside]
    marks = [{"type": "line", "yref": "paper", "x0": t, "x1": t, "y0": 0, "y1": 1, "line": line} for t in times]
    names = [
        {"x": t, "y": 1, "yref": "paper", "yanchor": "top", "xanchor": "left", "text": one.version, "showarrow": False}
        for t, one in zip(times, inside, strict=True)
    ]
    return {"shapes": marks, "annotations": names}


def _span(found: Sequence[Observation]) -> list[str]:
    """The same stretch of time under every chart, with a little room at both ends."""
    if not found:
        return []
    first, last = (datetime.fromisoformat(one.time) for one in (found[0], found[-1]))
    room = max((last - first) / 50, timedelta(minutes=1))
    return [(first - room).isoformat(), (last + room).isoformat()]


def _range(values: Sequence[float]) -> list[float]:
    low, high = min(values, default=0.8) - ROOM, max(values, default=1.0) + ROOM
    return [max(0.0, min(low, high - LOWEST_SPAN)), min(1.0, high)]


def _value(check: Check, words: Words) -> str:
    limit = "" if check.limit is None else f" / {words('chart.limit')} {figure(check.limit)}"
    return f"{words.name('severity', check.severity)}: {figure(check.value)}{limit}"
