"""Figures of an evaluation, drawn without matplotlib's global state."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tasks.calibration import Judgement
    from tasks.kinds.common.scores import Floats, Indices

BLUE, GREY = "#1f5fa8", "#8a9099"
READABLE = 20  # classes up to which each cell carries its count


def _figure(width: float, height: float, layout: Literal["constrained", "compressed"] = "constrained") -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def confusion(counts: "Indices", labels: list[str]) -> "Figure":
    """Confusion matrix: colour is the share of the actual label's rows, numbers are rows."""
    size = min(14.0, 4.2 + 0.35 * max(0, len(labels) - 2))
    longest = min(24, max(map(len, labels))) / 14  # inches, about, that names take on either side
    figure = _figure(size + longest, size - 0.4 + longest * (len(labels) > 4), layout="compressed")
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the actual label's rows", shrink=0.8, fraction=0.04)
    _name_ticks(axes, labels)
    axes.set(xlabel="predicted", ylabel="actual", title=f"Confusion on {counts.sum():,} test rows")
    if len(labels) <= READABLE:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if share[row, column] > 0.55 else "black"
            text = f"{count:,}\n{share[row, column]:.1%}" if len(labels) <= 8 else f"{count:,}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=11 if len(labels) <= 4 else 8)
    return figure


def _name_ticks(axes: Any, labels: list[str]) -> None:
    """Label names on both axes, taken literally: a `$` in a label is no formula."""
    names = [label if len(label) <= 24 else f"{label[:23]}…" for label in labels]
    size = 10 if len(labels) <= READABLE else 7 if len(labels) <= 80 else 4
    slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(labels) > 4 else {}
    ticks = range(len(labels))
    axes.set_xticks(ticks, names, fontsize=size, parse_math=False, **slanted)
    axes.set_yticks(ticks, names, fontsize=size, parse_math=False)


def reliability(judged: "Judgement", confidence: "Floats") -> "Figure":
    """Accuracy against confidence in equal-mass bins, beside the band of a perfectly calibrated model.

    Below it a histogram of the rows' `confidence`, in bins of equal width.
    """
    figure = _figure(5.6, 5.6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    left = max(0.0, float(confidence.min()) - 0.02)
    top.plot([left, 1], [left, 1], color=GREY, linewidth=1, linestyle="--", label="perfect calibration")
    top.errorbar(
        judged.confidence, (judged.low + judged.high) / 2, yerr=(judged.high - judged.low) / 2,
        fmt="none", ecolor=GREY, alpha=0.35, elinewidth=7, label="95% band of a perfect model",
    )  # fmt: skip
    top.plot(judged.confidence, judged.accuracy, "o-", color=BLUE, markersize=5, linewidth=1.2, label="this model")
    top.set(xlim=(left, 1.02), ylabel="accuracy", title=_verdict(judged))
    top.set_ylim(bottom=min(left, float(np.min([judged.accuracy.min(), judged.low.min()])) - 0.03), top=1.03)
    top.legend(frameon=False, loc="upper left")
    bottom.hist(confidence, bins=np.linspace(left, 1, 41), color=BLUE)
    bottom.set(xlabel="confidence", ylabel="rows")
    for axes in (top, bottom):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=GREY, alpha=0.2)
    return figure


def _verdict(judged: "Judgement") -> str:
    side = "inside" if judged.inside_band else "outside"
    return f"Debiased ECE {judged.ece_debiased:.4f}, {side} the band (up to {judged.band_high:.4f})"
