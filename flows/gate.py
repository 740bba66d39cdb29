"""`tidegate gate`: the verdicts of a line's two gates, as tables."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.dag import Dag, stage_name
from flows.settings import load
from tasks.core.errors import RejectedError, StageError
from tasks.core.line import Line
from tasks.verdict import Verdict, read

GATES = ("quality_gate", "release_gate")
STYLES = {"pass": "green", "reject": "bold red", "warn": "yellow", "cannot tell": "yellow"}
NUMBERS = ("value", "interval", "limit", "rows")


def show(name: str) -> int:
    """Print both verdicts and where their pages are; the exit code: 0, or 3 where a gate rejects.

    A gate that rejects ends the line, so that what stands behind it is not asked for. Raises StageError when a verdict
    is missing, or belongs to an earlier run.
    """
    line = Line(name, load([name])[name].kind)
    dag, console = Dag(), Console()
    for gate in GATES:
        path = line.file(gate, "verdict.json")
        _require_fresh(dag, line, gate, path)
        verdict = read(path)
        console.print(table(verdict))
        console.print(f"page: {path.with_name('gate.html')}  rows to look at: {path.with_name('rows.parquet')}\n")
        if verdict.verdict == "reject":
            return RejectedError.exit_code
    return 0


def _require_fresh(dag: Dag, line: Line, gate: str, path: Path) -> None:
    """Raise StageError unless the verdict is there and DVC would run neither the gate nor a stage before it."""
    if not path.exists():
        raise StageError(f"{path} is missing: {gate} has not run. `tidegate run {line.name} --until {gate}` makes it.")
    changed = [stage_name(stage) for stage in dag.stages(line.name, gate) if dag.changed(stage)]
    if changed:
        raise StageError(
            f"{path} belongs to an earlier run: {', '.join(changed)} changed since. `tidegate status {line.name}` says "
            f"why, `tidegate run {line.name} --until {gate}` makes it anew."
        )


def table(verdict: Verdict) -> Table:
    """The checks of a verdict, one row each. Names and notes come from data: nothing in them is taken for markup."""
    shown = Table(title=Text(f"{verdict.gate}: {verdict.verdict}", style=STYLES[verdict.verdict]), title_justify="left")
    head, rows = verdict.table()
    for name in head:
        shown.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold")
    for outcome, *cells in rows:
        shown.add_row(Text(outcome, style=STYLES[outcome]), *map(Text, cells))
    return shown
