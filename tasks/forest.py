"""A forest plot: scores with their intervals and floors, one below the other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.verdict import Check

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = {
    "pass": ("#17803d", "o"), "cannot tell": ("#9a6700", "D"), "warn": ("#9a6700", "v"), "reject": ("#c0271d", "X"),
}  # fmt: skip
"""Colour and marker of each outcome: neither alone has to be told."""
LONGEST = 46  # characters of a name


def forest(checks: Sequence[Check]) -> "Figure":
    """One line per check that has a value and an interval; a bar marks its floor."""
    from matplotlib.figure import Figure

    shown = [check for check in checks if check.value is not None and check.low is not None]
    figure = Figure(figsize=(7.2, 1.5 + 0.34 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for outcome, (colour, marker) in STYLES.items():
        places = [n for n, check in enumerate(shown) if check.outcome == outcome]
        if places:
            values = [float(shown[n].value or 0) for n in places]
            ends = [[value - (shown[n].low or 0) for n, value in zip(places, values, strict=True)],
                    [(shown[n].high or 0) - value for n, value in zip(places, values, strict=True)]]  # fmt: skip
            axes.errorbar(values, places, xerr=ends, fmt=marker, color=colour, capsize=3, markersize=7, label=outcome)
    axes.scatter(
        [float(check.min or 0) for check in shown], range(len(shown)), marker="|", s=220, c="black", label="floor"
    )
    axes.set_yticks(range(len(shown)), [_name(check) for check in shown], fontsize=9, parse_math=False)
    axes.set(ylim=(len(shown) - 0.4, -0.6), xlabel="score, with its two-sided 90% interval")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    axes.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside upper center", ncols=5, frameon=False, fontsize=9, markerscale=0.8)
    return figure


def _name(check: Check) -> str:
    name = check.name.removeprefix("slice ")
    name = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return f"{name}  ({check.rows:,})"
