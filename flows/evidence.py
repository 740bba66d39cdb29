"""The Evidently report of an observation: as HTML for people, and as a run in a workspace for `evidently ui`.

Evidently computes nothing here. It is given the figures that the observation already has, and so can never contradict
the page; metrics and tests are its own, so that its UI reads them.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from flows import observations
from tasks.core.files import atomic
from tasks.core.quiet import silence
from tasks.drift.result import Check, Figure, Observation

if TYPE_CHECKING:
    from evidently.legacy.model.widget import BaseWidgetInfo
    from evidently.ui.workspace import Workspace

log = logging.getLogger("tidegate")

WORKSPACE = observations.FOLDER / "workspace"
RANK = {"none": 0, "notice": 1, "warning": 2, "severe": 3}
FROM_WARNING = 1  # the highest rank that passes
BARS = 60  # of a histogram at most
ROWS = 50  # of a table at most


def write_report(made: Observation) -> str:
    """Write `<id>.html` beside the observation's record and add a run to the workspace; the file's name.

    The page stands alone and opens without a network; its size does not depend on the traffic. Raises OSError.
    """
    silence()
    snapshot = _snapshot(made)
    target = observations.path(made.line, made.id).with_suffix(".html")
    with atomic(target) as temporary:
        snapshot.save_html(str(temporary))
    _add_run(made, snapshot)
    return target.name


def _snapshot(made: Observation) -> Any:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.core.container import MetricContainer
    from evidently.metrics import MeanValue
    from evidently.tests import lte

    figures = dict(_figures(made))
    severities = {f"{check.name}: severity": float(RANK[check.severity]) for check in made.checks}
    drawn = list(_widgets(made))

    class Observed(MetricContainer):  # type: ignore[misc]
        """The observation's figures, drawn as the observation has them."""

        def generate_metrics(self, context: Any) -> list[Any]:  # noqa: ARG002
            """A metric for each figure; a test for each check's severity."""
            tested = [MeanValue(column=name, tests=[lte(FROM_WARNING)]) for name in severities]
            return [*tested, *(MeanValue(column=name, tests=[]) for name in figures)]

        def render(self, context: Any, child_widgets: Any = None) -> list[Any]:  # noqa: ARG002
            """What is shown."""
            return drawn

    row = pd.DataFrame([{**figures, **severities}])
    data = Dataset.from_pandas(row, data_definition=DataDefinition(numerical_columns=list(row.columns)))
    report = Report([Observed()], tags=[made.health, made.severity], metadata={"line": made.line, "id": made.id})
    return report.run(data, None, name=f"{made.line} {made.id}", timestamp=datetime.fromisoformat(made.time))


def _figures(made: Observation) -> Iterator[tuple[str, float]]:
    """What `evidently ui` can draw over time."""
    yield "rows", float(made.rows)
    yield "labelled", float(made.labelled)
    for name, figure in (("known", made.accuracy_known), ("estimated", made.accuracy_estimated)):
        if figure is not None:
            yield f"accuracy, {name}", figure.value
    if made.cost is not None:
        yield "accuracy lost", made.cost.value
    for check in made.checks:
        yield f"{check.name}: {check.statistic}", check.value


def _widgets(made: Observation) -> Iterator["BaseWidgetInfo"]:
    from evidently.legacy.renderers.html_widgets import table_data, text_widget

    yield text_widget(title=f"{made.line}: {made.health}", text=_markdown(made.reason))
    yield table_data(title="What was looked at", column_names=["", ""], data=list(_facts(made)))
    head = ["check", "severity", "statistic", "value", "limit", "p, corrected", "detectable", "rows", "reason"]
    yield table_data(title="Checks", column_names=head, data=[_row(check) for check in made.checks])
    if made.skipped:
        rows = [[_safe(one.name), _safe(one.reason)] for one in made.skipped]
        yield table_data(title="Not checked", column_names=["check", "why"], data=rows)
    for check in made.checks:
        for name, content in check.evidence.items():
            yield from _evidence(f"{check.name}: {name.replace('_', ' ')}", content)


def _facts(made: Observation) -> Iterator[list[str]]:
    yield ["release", f"{made.release} ({made.version})"]
    yield ["window", f"{made.since or 'the last rows'} to {made.until}"]
    yield ["rows", f"{made.rows:,}, of which {made.labelled:,} have a label; the reference has {made.rows_reference:,}"]
    yield ["accuracy on the release's test rows", _figure(made.accuracy_reference)]
    yield ["accuracy where labels have come", _figure(made.accuracy_known)]
    yield ["accuracy, estimated without labels", _figure(made.accuracy_estimated)]
    yield ["accuracy lost", _figure(made.cost)]
    if made.latency_ms_p50 is not None:
        yield ["latency", f"{made.latency_ms_p50} ms p50, {made.latency_ms_p95} ms p95"]


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return "unknown"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}, {figure.rows:,} rows)"


def _row(check: Check) -> list[str]:
    rows = f"{check.rows_reference:,} / {check.rows_current:,}" + (" (a sample)" if check.sampled else "")
    numbers = [_number(n) for n in (check.value, check.limit, check.p_adjusted, check.detectable)]
    return [check.name, check.severity, _safe(check.statistic), *numbers, rows, _safe(check.reason)]


def _evidence(title: str, content: Any) -> Iterator["BaseWidgetInfo"]:
    """A pair of histograms, a table of records, or a sentence."""
    from evidently.legacy.renderers.html_widgets import plotly_figure, table_data, text_widget

    if isinstance(content, dict) and {"reference", "current"} <= content.keys():
        yield plotly_figure(title=title, figure=_bars(content))
    elif isinstance(content, list) and content and all(isinstance(record, dict) for record in content):
        names = list(content[0])
        rows = [[_cell(record.get(name)) for name in names] for record in content[:ROWS]]
        yield table_data(title=title, column_names=[name.replace("_", " ") for name in names], data=rows)
    elif content not in (None, [], {}, ""):
        yield text_widget(title=title, text=_markdown(str(content)))


def _bars(content: dict[str, Any]) -> Any:
    """Shares of both windows side by side; `edges` or `categories` name the bars."""
    import plotly.graph_objects as go

    names = _names(content, len(content["reference"]))
    bars = [
        go.Bar(name=side, x=names, y=_shares(content[side])[:BARS], marker_color=colour)
        for side, colour in (("reference", "#8a94a6"), ("current", "#c8553d"))
    ]
    return go.Figure(bars, layout={"barmode": "group", "yaxis": {"title": "share of rows", "tickformat": ".0%"}})


def _names(content: dict[str, Any], count: int) -> list[str]:
    if "edges" in content:
        edges = [f"{edge:g}" for edge in content["edges"]]
        inner = [f"{low} – {high}" for low, high in pairwise(edges)]
        return (inner if len(inner) == count else edges)[:BARS]
    return [_markdown(str(name)) for name in content.get("categories", range(count))][:BARS]


def _shares(counts: Sequence[float]) -> list[float]:
    total = float(sum(counts))
    return [count / total if total else 0.0 for count in counts]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _cell(value: Any) -> str:
    return _number(value) if isinstance(value, float) else _safe(str(value))


def _safe(text: str) -> str:
    """For a table, which shows text as it is: nothing that could end the script element around the page's data."""
    return text.replace("</", "<\u200b/").replace("<!", "<\u200b!")


def _markdown(text: str) -> str:
    """For what is read as Markdown or HTML: text that stays text."""
    from html import escape

    return "".join(f"\\{char}" if char in r"\`*_[]()#" else char for char in escape(text))


def _add_run(made: Observation, snapshot: Any) -> None:
    """History for `evidently ui --workspace .tidegate/monitor/workspace`; a broken workspace stops nothing."""
    from evidently.ui.workspace import Workspace

    try:
        workspace = Workspace.create(str(WORKSPACE))
        workspace.add_run(_project(workspace, made.line), snapshot, include_data=False)
    except Exception as error:  # whatever a file of another version or half a file makes Evidently raise
        log.warning("The run was not added to %s: %s. Move it away to begin anew.", WORKSPACE, type(error).__name__)


def _project(workspace: "Workspace", line: str) -> Any:
    known = [project for project in workspace.list_projects() if project.name == line]
    return (known[0] if known else workspace.create_project(line)).id
