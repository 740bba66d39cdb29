"""The pictures of a profile, drawn without matplotlib's global state."""

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.profile import Sampled
from tasks.profile_drift import FAR, Moved
from tasks.scan import Scan, quantiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, GREY, RED = "#1f5fa8", "#8a9099", "#c0271d"
COLOURS = (BLUE, "#d98c21", "#3d8f5f", "#8b5aa8", "#b5504a", GREY)
LONGEST = 28  # characters of a name beside a bar
BARS = 15


def lengths(found: Scan, sampled: Sampled) -> "Figure":
    """Histograms of characters and words over all rows and of the sample's tokens, each up to its 99.5 % quantile."""
    counted = {"characters": found.characters, "words": found.words}
    if sampled.tokens is not None and len(sampled.tokens):
        counted["tokens"] = np.bincount(sampled.tokens)
    figure = canvas(6.4, 1.9 * len(counted))
    for axes, (name, counts) in zip(figure.subplots(len(counted), squeeze=False)[:, 0], counted.items(), strict=True):
        end = max(10, *quantiles(counts, [0.995]))
        width = max(1, -(-end // 60))
        edges = np.arange(0, end + width + 1, width)
        axes.hist(np.arange(len(counts)), bins=edges, weights=counts, color=BLUE)
        axes.axvline(quantiles(counts, [0.5])[0], color=RED, linewidth=1, label="median")
        axes.set(xlabel=name, ylabel="rows", xlim=(0, edges[-1]))
        plain(axes)
    figure.axes[0].legend(frameon=False)
    return figure


def bars(counts: dict[str, int], what: str) -> "Figure":
    """Horizontal bars with the share of each value, the most frequent first."""
    shown = list(counts.items())[:BARS]
    total = sum(counts.values())
    figure = canvas(6.4, 0.9 + 0.3 * len(shown))
    axes = figure.subplots()
    drawn = axes.barh(range(len(shown)), [count for _, count in shown], color=BLUE)
    axes.bar_label(drawn, [f"{count:,} ({count / total:.1%})" for _, count in shown], padding=3, fontsize=9)
    axes.set_yticks(range(len(shown)), [short(name) for name, _ in shown], parse_math=False)
    axes.set(xlabel=what, ylim=(len(shown) - 0.4, -0.6), xlim=(0, 1.35 * max(count for _, count in shown)))
    plain(axes)
    return figure


def months(counted: list[list[Any]]) -> "Figure":
    """Rows by month, the sources one upon the other."""
    from matplotlib.ticker import MaxNLocator

    names = sorted({month for _, month, _ in counted})
    first, last = (int(name[:4]) * 12 + int(name[5:]) - 1 for name in (names[0], names[-1]))
    by_source: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(last - first + 1))
    for source, month, n in counted:
        by_source[source][int(month[:4]) * 12 + int(month[5:]) - 1 - first] += n
    ranked = sorted(by_source, key=lambda source: -by_source[source].sum())
    figure = canvas(6.4, 2.8)
    axes = figure.subplots()
    below = np.zeros(last - first + 1)
    places = first / 12 + np.arange(last - first + 1) / 12
    for n, source in enumerate(ranked[: len(COLOURS)]):
        rest = n == len(COLOURS) - 1 and len(ranked) > len(COLOURS)
        values = sum(by_source[name] for name in ranked[n:]) if rest else by_source[source]
        label = "others" if rest else short(source).replace("$", r"\$")
        axes.bar(places, values, 1 / 12, bottom=below, color=COLOURS[n], label=label)
        below += values
    axes.set(xlabel="year", ylabel="rows in a month")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper right", frameon=False, ncols=3)
    plain(axes)
    return figure


def drift(moved: list[Moved]) -> "Figure":
    """Distances from the earlier version, each beside what chance does."""
    figure = canvas(6.4, 1.1 + 0.28 * len(moved))
    axes = figure.subplots()
    colours = [{"same": GREY, "moved": COLOURS[1], "moved far": RED}[one.outcome] for one in moved]
    axes.barh(range(len(moved)), [one.distance for one in moved], color=colours, height=0.6)
    for place, one in enumerate(moved):
        axes.plot([one.chance, one.chance], [place - 0.4, place + 0.4], color="black", linewidth=1.2)
    axes.axvline(FAR, color=RED, linewidth=1, linestyle="--")
    axes.set_yticks(range(len(moved)), [short(one.name) for one in moved], parse_math=False)
    axes.set(xlabel="distance (0: the same, 1: nothing in common)", ylim=(len(moved) - 0.4, -0.6))
    axes.set_xlim(0, max(1.5 * FAR, *(1.1 * max(one.distance, one.chance) for one in moved)))
    plain(axes)
    return figure


def canvas(width: float, height: float) -> "Figure":
    """An empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def plain(axes: Any) -> None:
    """Without a frame, with a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color=GREY, alpha=0.2)


def short(name: str) -> str:
    """A name that fits beside a bar."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
