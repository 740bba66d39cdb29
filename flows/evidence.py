"""The Evidently report of an observation: as HTML for people, and as a run in a workspace for `evidently ui`.

Evidently computes nothing here. It is given the figures that the observation already has, and so can never contradict
the page; metrics and tests are its own, so that its UI reads them.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from flows import history, observations
from flows.history import ESTIMATED, KNOWN, severity_of
from flows.lock import hold
from tasks.core.files import atomic
from tasks.core.quiet import silence
from tasks.drift.result import RANK, Check, Observation

FROM_WARNING = 1  # the highest rank that passes
PAGES = 100  # that a line keeps: one is 4 MB, and any can be drawn anew from its record
DRAWING = 120.0  # seconds; a page takes 10, most of them to import Evidently


def write_report(made: Observation) -> str:
    """Write `<id>.html` beside the observation's record and add a run to the workspace; the file's name.

    The page stands alone and opens without a network; its size does not depend on the traffic. Raises OSError.
    """
    silence()
    snapshot = _snapshot(made)
    target = _draw(made, snapshot)
    for old in sorted(target.parent.glob("*.html"))[:-PAGES]:
        old.unlink(missing_ok=True)
    history.add(made, snapshot)
    return target.name


def page(line: str, observation: str) -> Path | None:
    """The report of an observation, drawn anew where it was cleared away; None where there is none.

    It is drawn in a process of its own: Evidently's 200 MB would stay with a page that asks for it.
    """
    made = observations.read(line, observation)
    if made is None or made.report is None:
        return None
    target = observations.path(line, observation).with_suffix(".html")
    if not target.exists():
        command = [sys.executable, "-m", "flows.evidence", line, observation]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, timeout=DRAWING, check=False)
    return target if target.exists() else None


def forget_examples(line: str) -> int:
    """Take the examples of live texts out of a line's observations, pages and runs; how many observations had some.

    Raises BusyError during a look at the line.
    """
    found = 0
    with hold(f"{line}.monitor", f"A look at {line} is going on."):
        for made in observations.history(line):
            if any("examples" in check.evidence for check in made.checks):
                found += 1
                observations.keep(made.model_copy(update={"checks": [_without_examples(one) for one in made.checks]}))
                observations.path(line, made.id).with_suffix(".html").unlink(missing_ok=True)
        if found:
            history.clear(line)
    return found


def _without_examples(check: Check) -> Check:
    return check.model_copy(update={"evidence": {k: v for k, v in check.evidence.items() if k != "examples"}})


def _draw(made: Observation, snapshot: Any) -> Path:
    target = observations.path(made.line, made.id).with_suffix(".html")
    with atomic(target) as temporary:
        snapshot.save_html(str(temporary))
    return target


def _snapshot(made: Observation) -> Any:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.core.container import MetricContainer
    from evidently.metrics import MeanValue
    from evidently.tests import lte

    from flows.evidence_page import widgets

    figures = dict(_figures(made))
    severities = {severity_of(check.name): float(RANK[check.severity]) for check in made.checks}
    drawn = list(widgets(made))

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
    snapshot = report.run(data, None, name=f"{made.line} {made.id}", timestamp=datetime.fromisoformat(made.time))
    for result in snapshot.metric_results.values():
        result.widget = []  # a plot of one number each, that nothing shows
    return snapshot


def _figures(made: Observation) -> Iterator[tuple[str, float]]:
    """What `evidently ui` can draw over time."""
    yield "rows", float(made.rows)
    yield "labelled", float(made.labelled)
    for name, figure in ((KNOWN, made.accuracy_known), (ESTIMATED, made.accuracy_estimated)):
        if figure is not None:
            yield name, figure.value
    if made.cost is not None:
        yield "accuracy lost", made.cost.value
    if made.click_through is not None:
        yield "click-through", made.click_through.value
    for check in made.checks:
        yield f"{check.name}: {check.statistic}", check.value


def main() -> None:
    """Draw the page of an observation: `python -m flows.evidence LINE ID`."""
    silence()
    line, observation = sys.argv[1:]
    made = observations.read(line, observation)
    if made is not None:
        _draw(made, _snapshot(made))


if __name__ == "__main__":
    main()
