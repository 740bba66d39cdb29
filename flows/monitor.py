"""The flow `monitor`: one look at a line's live traffic, shown in Prefect."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.observe import monitor_line
from flows.release import failure
from flows.telling import markdown
from tasks.core.errors import BusyError, TidegateError
from tasks.drift.result import Observation


@flow(name="monitor", flow_run_name="monitor-{line}")
def monitor(line: str, window: str | None = None, rows: int | None = None) -> State[Any]:
    """Look at the last rows of a line, or at a window such as `1d`; without either, as params.yaml says.

    A confirmed drift is a completed run: the monitor did what it is for, and so is a look that another one made
    needless. A window that could not be looked at is a failed one.
    """
    try:
        seen = monitor_line(line, window, rows)
    except BusyError as error:
        return Completed(name="Skipped", message=str(error))
    except (TidegateError, OSError) as error:
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
    create_markdown_artifact(markdown(seen), key=key, description=f"{seen.line}: {seen.health}")
