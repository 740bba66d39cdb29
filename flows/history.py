"""The observations as runs of an Evidently workspace: `evidently ui --workspace .tidegate/monitor/workspace`."""

import logging
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from flows import observations
from tasks.drift.result import Observation
from tasks.drift.settings import Name

if TYPE_CHECKING:
    from evidently.sdk.models import DashboardModel

log = logging.getLogger("tidegate")

WORKSPACE = observations.FOLDER / "workspace"
RUNS = 1000  # of a line that are kept, the newest
KNOWN, ESTIMATED = "accuracy, known", "accuracy, estimated"
"""Names of figures that the panels draw."""


def severity_of(check: str) -> str:
    """The name of the figure that is a check's severity: 0 none, 1 notice, 2 warning, 3 severe."""
    return f"{check}: severity"


def add(made: Observation, snapshot: Any) -> None:
    """Add a run, and drop the oldest ones. A workspace that cannot be written stops nothing: the record is elsewhere.

    Evidently's Workspace would read every run first, and a run cut short would keep its page from starting: so its
    files are written elsewhere and moved.
    """
    half = WORKSPACE.with_name(f".{made.line}.workspace")
    shutil.rmtree(half, ignore_errors=True)
    try:
        _write(half, made.line, snapshot)
    except OSError as error:
        log.warning("The run was not added to %s: %s", WORKSPACE, error)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _write(half: Path, line: str, snapshot: Any) -> None:
    from evidently.legacy.core import new_id
    from evidently.ui.storage.local.base import LocalState

    project = uuid.uuid5(uuid.NAMESPACE_URL, f"tidegate.line.{line}")
    new, old = LocalState(str(half)), LocalState(str(WORKSPACE))
    if not _readable(old, project):
        new.write_project(_project(project, line))
        new.write_dashboard(project, _dashboard())
    new.write_snapshot(project, new_id(), snapshot.to_snapshot_model())
    for file in sorted(path for path in half.rglob("*") if path.is_file()):
        target = WORKSPACE / file.relative_to(half)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
    for run in sorted(old.list_snapshots(project), key=str)[:-RUNS]:  # ids begin with their time
        old.delete_snapshot(project, run)


def _readable(state: Any, project: uuid.UUID) -> bool:
    try:
        return bool(state.read_project(project) and state.read_dashboard(project).panels)
    except (OSError, ValueError):
        return False


def _project(project: uuid.UUID, line: str) -> Any:
    from evidently.sdk.models import ProjectModel

    return ProjectModel(id=project, name=line, description="Written by `tidegate monitor`, read by nobody else.")


def _dashboard() -> "DashboardModel":
    """Accuracy, severities and rows over time."""
    from evidently.sdk.models import DashboardModel, DashboardTabModel, PanelMetric
    from evidently.sdk.panels import line_plot_panel

    severities = {name: severity_of(name) for name in (*get_args(Name), "estimate")}
    panels = []
    for title, told, figures in (
        ("Accuracy", "of the window", {"where labels have come": KNOWN, "estimated": ESTIMATED}),
        ("Severity", "0 none, 1 notice, 2 warning, 3 severe", severities),
        ("Rows", "in the window", {"rows": "rows", "with a label": "labelled"}),
    ):
        values = [
            PanelMetric(legend=legend, metric="MeanValue", metric_labels={"column": column})
            for legend, column in figures.items()
        ]
        panels.append(line_plot_panel(title, values, told))
    tab = DashboardTabModel(id=uuid.uuid4(), title="Line", panels=[panel.id for panel in panels])
    return DashboardModel(tabs=[tab], panels=panels)
