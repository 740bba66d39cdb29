"""The flow `monitor`: one look at a line's live traffic, shown in Prefect."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.observe import monitor_line
from flows.release import failure
from tasks.core.errors import TidegateError
from tasks.drift.result import Observation


@flow(name="monitor", flow_run_name="monitor-{line}")
def monitor(line: str, window: str | None = None, rows: int | None = None) -> State[Any]:
    """Look at the last rows of a line, or at a window such as `1d`; without either, as params.yaml says.

    A confirmed drift is a completed run: the monitor did what it is for. A window that could not be looked at is a
    failed one.
    """
    try:
        seen = monitor_line(line, window, rows)
    except TidegateError as error:
        return failure(error)
    _show(seen)
    if seen.problem:
        return Failed(message=seen.problem)
    name = "Drift" if seen.confirmed else "Completed"
    return Completed(name=name, message=f"{seen.line} is {seen.health}: {seen.reason}")


def _show(seen: Observation) -> None:
    """The checks as a table, the verdict as text."""
    key = f"{seen.line}-monitor".replace("_", "-")
    if seen.checks:
        rows = [
            {"check": check.name, "severity": check.severity, "statistic": check.statistic,
             "value": round(check.value, 4), "reason": check.reason}
            for check in seen.checks
        ]  # fmt: skip
        create_table_artifact(rows, key=f"{key}-checks", description=f"{seen.rows:,} rows of {seen.line}")
    create_markdown_artifact(text(seen), key=key, description=f"{seen.line}: {seen.health}")


def text(seen: Observation) -> str:
    """An observation in Markdown, for people."""
    lines = [f"**{seen.line}** is **{seen.health}**: {seen.reason}", ""]
    lines.append(f"- window: {seen.rows:,} rows, {seen.labelled:,} with a label, {seen.since} to {seen.until}")
    lines.append(f"- release: {seen.release} ({seen.version})")
    named = (
        ("accuracy on the release's test rows", seen.accuracy_reference),
        ("accuracy where labels have come", seen.accuracy_known),
        ("accuracy, estimated without labels", seen.accuracy_estimated),
        ("accuracy lost", seen.cost),
    )
    lines += [
        f"- {name}: {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}, {figure.rows:,} rows)"
        for name, figure in named
        if figure is not None
    ]
    if seen.confirmed:
        lines.append(f"- `tidegate alerts {seen.line}` has the alert; the report is `{seen.report}`")
    return "\n".join(lines)
