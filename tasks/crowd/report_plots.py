"""The pictures of a label report."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.crowd.annotators import Quality
from tasks.crowd.votes import Indices
from tasks.profile_plots import BLUE, COLOURS, RED, canvas, plain, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEEKS = 16
PEOPLE = 30
CELLS = 12
"""Labels of a confusion that are drawn; more than these are hard to read."""


def quality(people: Sequence[Quality], names: Mapping[str, str]) -> "Figure":
    """Share of a person's answers that are the aggregated label, with intervals; red where the manner is suspicious."""
    shown = [one for one in people if one.right is not None][:PEOPLE]
    drawn = canvas(6.4, 0.9 + 0.3 * len(shown))
    axes = drawn.subplots()
    for place, one in enumerate(shown):
        colour = RED if one.manner in ("at random", "against the others") else BLUE
        axes.plot(np.array([one.low, one.high], float), [place, place], color=colour, linewidth=2)
        axes.plot(np.array([one.right], float), [place], "o", color=colour)
    axes.set_yticks(range(len(shown)), [short(names.get(one.person, one.person)) for one in shown], parse_math=False)
    axes.set(xlabel="answers that are the aggregated label, 95 %", xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6))
    plain(axes)
    return drawn


def confusion(counts: Indices, labels: Sequence[str]) -> "Figure":
    """All people's answers by aggregated label (rows add up to 1); the most frequent labels where there are many."""
    kept = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[:CELLS])
    part = counts[np.ix_(kept, kept)]
    share = part / np.maximum(part.sum(axis=1, keepdims=True), 1)
    size = max(3.2, 1.4 + 0.55 * len(kept))
    drawn = canvas(size + 0.6, size)
    axes = drawn.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*share.shape):
        dark = share[row, column] > 0.5
        axes.text(column, row, f"{part[row, column]:,}", ha="center", va="center", color="white" if dark else "black",
                  fontsize=8)  # fmt: skip
    names = [short(labels[n]) for n in kept]
    axes.set_xticks(range(len(kept)), names, rotation=60, ha="right", parse_math=False)
    axes.set_yticks(range(len(kept)), names, parse_math=False)
    axes.set(xlabel="answer", ylabel="aggregated label")
    return drawn


def seconds(times: Mapping[str, Sequence[float]], names: Mapping[str, str]) -> "Figure":
    """How long each person looks at a text: boxes of quartiles, whiskers from 5 % to 95 %."""
    people = sorted(times)[:PEOPLE]
    drawn = canvas(6.4, 0.9 + 0.35 * len(people))
    axes = drawn.subplots()
    axes.boxplot([times[who] for who in people], orientation="horizontal", whis=(5, 95), showfliers=False)
    axes.set_yticks(range(1, len(people) + 1), [short(names.get(who, who)) for who in people], parse_math=False)
    axes.set(xlabel="seconds a text", xscale="log", ylim=(len(people) + 0.6, 0.4))
    plain(axes)
    return drawn


def workload(weeks: Sequence[str], counts: Mapping[str, Sequence[int]], names: Mapping[str, str]) -> "Figure":
    """Answers a week, people one upon the other; those beyond the colours are `others`."""
    drawn = canvas(6.4, 2.8)
    axes = drawn.subplots()
    ranked = sorted(counts, key=lambda who: (-sum(counts[who]), who))
    first = max(0, len(weeks) - WEEKS)
    below = np.zeros(len(weeks) - first)
    for n, who in enumerate(ranked[: len(COLOURS)]):
        rest = n == len(COLOURS) - 1 and len(ranked) > len(COLOURS)
        values = np.sum([counts[one] for one in (ranked[n:] if rest else [who])], axis=0)[first:]
        label = "others" if rest else short(names.get(who, who)).replace("$", r"\$")
        axes.bar(range(len(below)), values, bottom=below, color=COLOURS[n], label=label)
        below += values
    axes.set_xticks(range(len(below)), [week[5:] for week in weeks[first:]], rotation=60)
    axes.set(xlabel="week from Monday", ylabel="answers")
    drawn.legend(loc="outside upper right", frameon=False, ncols=3)
    plain(axes)
    return drawn
