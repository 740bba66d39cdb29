"""An observation in words: on the terminal and as Markdown."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flows import observations
from tasks.core.errors import RejectedError, TidegateError
from tasks.drift.result import Figure, Observation

if TYPE_CHECKING:
    from rich.table import Table


def say(seen: Observation) -> int:
    """Print an observation; the exit code: 3 for a confirmed drift, 1 where it could not look or keep all, else 0."""
    from rich.console import Console

    console = Console()
    if seen.checks:
        console.print(_table(seen))
    told = [f"{check.name}: {check.reason}" for check in seen.checks if check.drifted]
    told += [f"{one.name} was not checked: {one.reason}" for one in seen.skipped if seen.checks]
    told += [f"{name}: {_figure(figure)}" for name, figure in _figures(seen)]
    told.append(f"{seen.line} is {seen.health}: {seen.reason}")
    if seen.problem and seen.problem not in seen.reason:
        told.append(f"Problem: {seen.problem}")
    if seen.report:
        told.append(f"Report: {observations.path(seen.line, seen.id).with_name(seen.report)}")
    console.print("\n".join(told), markup=False, highlight=False, soft_wrap=True)
    if seen.confirmed:
        return RejectedError.exit_code
    return TidegateError.exit_code if seen.problem or seen.release is None else 0


def markdown(seen: Observation) -> str:
    """For people, without texts of users."""
    window = f"{seen.rows:,} rows, {seen.labelled:,} with a label, {seen.since or 'the last rows'} to {seen.until}"
    points = {"window": window, "release": f"{seen.release} ({seen.version})"}
    points |= {name: _figure(figure) for name, figure in _figures(seen)}
    if seen.confirmed:
        points["alert"] = f"`tidegate alerts {seen.line}`"
    lines = [f"**{seen.line}** is **{seen.health}**: {seen.reason}", ""]
    return "\n".join([*lines, *(f"- {name}: {text}" for name, text in points.items())])


def _table(seen: Observation) -> "Table":
    from rich.table import Table

    table = Table("check", "severity", "value", "limit", "p, corrected", "rows", title=seen.line, title_justify="left")
    for check in seen.checks:
        numbers = ["" if n is None else f"{n:.3g}" for n in (check.value, check.limit, check.p_adjusted)]
        rows = f"{check.rows_current:,}" + (" (a sample)" if check.sampled else "")
        table.add_row(check.name, check.severity, *numbers, rows)
    return table


def _figures(seen: Observation) -> Iterator[tuple[str, Figure]]:
    for name, figure in (
        ("accuracy on the release's test rows", seen.accuracy_reference),
        ("accuracy where labels have come", seen.accuracy_known),
        ("accuracy, estimated without labels", seen.accuracy_estimated),
        ("accuracy lost", seen.cost),
        ("click-through", seen.click_through),
    ):
        if figure is not None:
            yield name, figure


def _figure(figure: Figure) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}, {figure.rows:,} rows)"
