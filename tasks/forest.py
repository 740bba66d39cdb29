"""A forest plot: scores with their intervals and floors, one below the other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.verdict import Check

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = {"pass": ("#17803d", "o"), "cannot tell": ("#9a6700", "D"), "reject": ("#c0271d", "X")}
"""Colour and marker of each outcome: neither alone has to be told."""
LONGEST = 72  # characters of a name


def forest(checks: Sequence[Check]) -> "Figure":
    """One line per check with an interval, its name above it; a bar marks its floor. Narrow, as on a phone."""
    from matplotlib.figure import Figure

    shown = [check for check in checks if check.low is not None]
    figure = Figure(figsize=(5.6, 1.2 + 0.42 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for outcome, (colour, marker) in STYLES.items():
        places = [n for n, check in enumerate(shown) if check.outcome == outcome]
        low, value, high = (
            np.array([getattr(shown[n], end) for n in places], dtype=np.float64) for end in ("low", "value", "high")
        )
        if places:
            ends = [value - low, high - value]
            axes.errorbar(value, places, xerr=ends, fmt=marker, color=colour, capsize=3, markersize=7, label=outcome)
    floors = [float(check.min or 0) for check in shown]
    axes.scatter(floors, range(len(shown)), marker="|", s=160, c="black", label="floor")
    for n, check in enumerate(shown):
        axes.text(0, n - 0.24, _name(check), transform=axes.get_yaxis_transform(), fontsize=8, parse_math=False)
    axes.set(ylim=(len(shown) - 0.5, -0.9), yticks=[], xlabel="score, with its two-sided 90% interval")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=8, markerscale=0.8)
    return figure


def _name(check: Check) -> str:
    name = check.name.removeprefix("slice ")
    name = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return f"{name}, {check.rows:,} rows"
