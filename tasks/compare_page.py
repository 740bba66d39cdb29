"""The page of a comparison: outcome, differences with their intervals, and rows won and lost."""

from typing import TYPE_CHECKING, Any

from tasks import report
from tasks.comparison import METRICS, Comparison, Difference
from tasks.kinds import load

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BLUE, GREY, RED = "#1f5fa8", "#8a9099", "#c0271d"
MOST_SLICES = 40  # on the page; comparison.json holds all
LONGEST = 28  # characters of a name beside the plot
BADGES = {"better": "pass", "not worse": "pass", "undecided": "warn", "worse": "reject"}


def page(comparison: Comparison, table: "pd.DataFrame", kind: str) -> str:
    """compare.html. `table` is the kind's table of answers, with texts."""
    shown = sorted(comparison.slices, key=lambda part: -part.found.rows)[:MOST_SLICES]
    slices = [part for part in comparison.slices if part in shown]
    of = load(kind, "compare")
    return report.render(
        "compare.html.j2",
        title=f"{comparison.line}: challenger against champion",
        c=comparison,
        slices=slices,
        left_out=len(comparison.slices) - len(slices),
        names=METRICS,
        badges=BADGES,
        forest=report.data_uri(report.png(forest(comparison, slices))),
        right=getattr(of, "RIGHT", ""),
        **of.examples(table),
    )


def forest(comparison: Comparison, slices: list[Any]) -> "Figure":
    """Differences in points with their intervals: overall, old and new sources, slices; zero and the margin drawn."""
    from matplotlib.figure import Figure

    entries: list[tuple[str, Difference, str]] = [
        *((METRICS[found.metric], found, BLUE) for found in comparison.differences),
        *((f"{part.name} sources", part.found, BLUE) for part in comparison.sources),
        *((f"{part.by}: {part.name}", part.found, GREY) for part in slices),
    ]
    figure = Figure(figsize=(6.2, 1.1 + 0.3 * len(entries)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="black", linewidth=0.8)
    margin = comparison.settings.margin
    axes.axvline(-100 * margin, color=RED, linewidth=1, linestyle="--", label=f"margin: {100 * margin:g} points")
    for place, (_, found, colour) in enumerate(entries):
        axes.plot([100 * found.low, 100 * found.high], [place, place], color=colour, linewidth=2)
        axes.plot(100 * found.difference, place, "o", color=colour, markersize=5)
    names = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name, _, _ in entries]
    axes.set_yticks(range(len(entries)), names, parse_math=False)
    axes.set_ylim(len(entries) - 0.5, -0.5)
    axes.set_xlabel("points; to the right the challenger is better")
    axes.grid(axis="x", color=GREY, alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", frameon=False)
    return figure
