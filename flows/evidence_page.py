"""What the Evidently report of an observation shows, from the verdict down to the evidence of each check."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tasks.drift.result import Check, Figure, Observation

if TYPE_CHECKING:
    from evidently.legacy.model.widget import BaseWidgetInfo

SIDES = (("reference", "#8a94a6"), ("current", "#c8553d"))
"""Evidence of both windows, and its colours."""
CURVE = 4  # edges from which on numbers are drawn as a curve
BARS = 40  # of categories at most: a line that recommends has one for each item
ROWS = 50  # of a table at most
TOLD = {"click_through": "what was taken, by its place in the list"}


def widgets(made: Observation) -> Iterator["BaseWidgetInfo"]:
    """The page from top to bottom; its size does not depend on the traffic."""
    from evidently.legacy.renderers.html_widgets import CounterData, counter, table_data, text_widget

    yield counter(counters=[CounterData(label, value) for label, value in _headline(made)])
    yield text_widget(title=f"{made.line} is {made.health}", text=_markdown(made.reason))
    head = ["check", "severity", "value", "limit", "p, corrected", "seen from", "rows", "what is seen"]
    yield table_data(title="Checks", column_names=head, data=[_row(check) for check in made.checks])
    if made.skipped:
        rows = [[_safe(one.name), _safe(one.reason)] for one in made.skipped]
        yield table_data(title="Not checked", column_names=["check", "why"], data=rows)
    for check in sorted(made.checks, key=lambda check: not check.drifted):
        yield from _evidence(check)
    yield table_data(title="What was looked at", column_names=["", ""], data=list(_facts(made)))
    yield text_widget(title="How to read this", text=READING)


READING = """
- **value** is the size of a difference, **limit** the smallest that matters; **p** is how often chance alone shows as
  much, corrected for the number of checks. A check drifts where the value is above its limit and chance does not
  explain it.
- **seen from** is the value that so many rows show in 8 of 10 windows: smaller drifts may be there and not be seen.
- *(a sample)* stands where a check looked at some of the rows; all others counted every one.
- *notice*: other texts, and no accuracy that matters is lost. *warning*: accuracy is lost. *severe*: so much that
  nobody waits for a second window.
- Curves show the share of rows up to a value; the wider the gap between the two, the larger the drift.
"""


def _headline(made: Observation) -> Iterator[tuple[str, str]]:
    yield "health", made.health
    yield "rows", f"{made.rows:,}"
    for label, figure in (
        ("accuracy of the release", made.accuracy_reference),
        ("accuracy by labels", made.accuracy_known),
        ("accuracy, estimated", made.accuracy_estimated),
    ):
        yield label, "unknown" if figure is None else f"{figure.value:.1%}"
    yield "accuracy lost", "unknown" if made.cost is None else f"{100 * made.cost.value:.1f} points"


def _facts(made: Observation) -> Iterator[list[str]]:
    yield ["release", f"{made.release} ({made.version})"]
    yield ["window", f"{made.since or 'the last rows'} to {made.until}"]
    yield ["rows", f"{made.rows:,}, of which {made.labelled:,} have a label; the reference has {made.rows_reference:,}"]
    yield ["accuracy on the release's test rows", _figure(made.accuracy_reference)]
    yield ["accuracy where labels have come", _figure(made.accuracy_known)]
    yield ["accuracy, estimated without labels", _figure(made.accuracy_estimated)]
    yield ["accuracy lost", _figure(made.cost)]
    if made.click_through is not None:
        yield ["click-through", _figure(made.click_through)]
    if made.latency_ms_p50 is not None:
        yield ["latency", f"{made.latency_ms_p50} ms p50, {made.latency_ms_p95} ms p95"]


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return "unknown"
    return f"{figure.value:.3f} (90 % interval {figure.low:.3f} to {figure.high:.3f}, {figure.rows:,} rows)"


def _row(check: Check) -> list[str]:
    rows = f"{check.rows_current:,} against {check.rows_reference:,}" + (" (a sample)" if check.sampled else "")
    value = f"{_number(check.value)}, {check.statistic}"
    numbers = [_number(n) for n in (check.limit, check.p_adjusted, check.detectable)]
    return [check.name, check.severity, _safe(value), *numbers, rows, _safe(check.reason)]


def _evidence(check: Check) -> Iterator["BaseWidgetInfo"]:
    """Curves or bars of both windows, terms, examples; figures that stand in the table already are left out."""
    shown = check.evidence
    if all(isinstance(shown.get(side), list) for side, _ in SIDES):
        yield _plot(check, shown)
    if isinstance(terms := shown.get("terms"), dict):
        records = [
            {"term": record["term"], "now": f"{part} often", **record} for part in terms for record in terms[part]
        ]
        yield from _table(f"{check.name}: terms that tell the windows apart", records)
    if isinstance(shown.get("examples"), list):
        records = [{"text": text} for text in shown["examples"]]
        yield from _table(f"{check.name}: examples of what is unlike the reference", records)


def _plot(check: Check, content: dict[str, Any]) -> "BaseWidgetInfo":
    """Of numbers curves of the share of rows up to each edge, of categories bars."""
    import plotly.graph_objects as go
    from evidently.legacy.renderers.html_widgets import WidgetSize, plotly_figure

    axis = {"tickformat": ".0%", "rangemode": "tozero"}
    layout = {"template": "none", "margin": {"t": 20}, "legend": {"orientation": "h", "y": 1.1}, "yaxis": axis}
    curved = len(content.get("edges", ())) >= CURVE
    if not curved:
        layout["xaxis"] = {"type": "category"}  # or names that are numbers would be taken for such
        content = _most(content)
    traces = [(_curve if curved else _bars)(name, colour, content) for name, colour in SIDES]
    told = TOLD.get(check.name) or ("share of rows up to a value" if curved else "share of rows")
    return plotly_figure(title=f"{check.name}: {told}", figure=go.Figure(traces, layout), size=WidgetSize.HALF)


def _most(content: dict[str, Any]) -> dict[str, Any]:
    """Of very many categories those with most rows on either side, in their order, and the others together."""
    names = content.get("categories", ())
    if len(names) <= BARS:
        return content
    sides = {name: _shares(content[name]) for name, _ in SIDES}
    order = sorted(range(len(names)), key=lambda n: -max(shares[n] for shares in sides.values()))
    kept = sorted(order[: BARS - 1])
    shown = {name: [shares[n] for n in kept] for name, shares in sides.items()}
    rest = {name: [*shown[name], max(0.0, sum(shares) - sum(shown[name]))] for name, shares in sides.items()}
    return {"categories": [*(names[n] for n in kept), f"{len(names) - len(kept):,} others"], **rest}


def _curve(name: str, colour: str, content: dict[str, Any]) -> Any:
    """Bin n ends at edge n; what is behind the last edge, or is no number, raises the curve no more."""
    import plotly.graph_objects as go

    edges = content["edges"]
    shares = list(accumulate(_shares(content[name])))[: len(edges)]
    return go.Scatter(name=name, x=edges, y=shares, line={"color": colour}, mode="lines")


def _bars(name: str, colour: str, content: dict[str, Any]) -> Any:
    import plotly.graph_objects as go

    edges = content.get("edges", [])
    ends = [f"up to {edge:.3g}" for edge in edges] + [f"above {edge:.3g}" for edge in edges[-1:]] + ["unknown"]
    names = ends if "edges" in content else content["categories"]
    return go.Bar(name=name, marker_color=colour, x=[escape(str(one)) for one in names], y=_shares(content[name]))


def _table(title: str, records: Sequence[dict[str, Any]]) -> Iterator["BaseWidgetInfo"]:
    from evidently.legacy.renderers.html_widgets import table_data

    if records:
        names = list(records[0])
        rows = [[_cell(record.get(name)) for name in names] for record in records[:ROWS]]
        yield table_data(title=title, column_names=names, data=rows)


def _shares(counts: Sequence[float]) -> list[float]:
    total = float(sum(counts))
    return [count / total if total else 0.0 for count in counts]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _cell(value: Any) -> str:
    return f"{value:.1%}" if isinstance(value, float) else _safe(str(value))


def _safe(text: str) -> str:
    """For a table, which shows text as it is: nothing that could end the script element around the page's data."""
    return text.replace("</", "<\u200b/").replace("<!", "<\u200b!")


def _markdown(text: str) -> str:
    """For what is read as Markdown: text that stays text."""
    return "".join(f"\\{char}" if char in r"\`*_[]()#" else char for char in escape(text, quote=False))
