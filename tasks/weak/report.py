"""What is told of labelling functions: coverage, overlap, conflicts, and accuracy where people labelled too."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.weak.decide import Codes, LabelModel
from tasks.weak.functions import ABSTAINS

HEADINGS = ("function", "labels", "coverage", "overlaps", "conflicts", "right where known", "taken for")


def of_functions(
    names: Sequence[str], labels: Sequence[str], votes: Codes, known: Codes, model: LabelModel
) -> dict[str, dict[str, Any]]:
    """What is told of each function, by name.

    `labels` it gave; the shares of all rows on which it votes (`coverage`), another votes too (`overlaps`), another
    disagrees (`conflicts`); `known`, its accuracy on rows that people labelled, with rows and 95 % Wilson interval, or
    null without such rows; `accuracy`, what the label model takes it for.
    """
    voted = votes != ABSTAINS
    together = voted.sum(axis=1)
    told = {}
    for place, name in enumerate(names):
        own = voted[:, place]
        other = voted & (votes != votes[:, [place]])
        people = own & (known != ABSTAINS)
        told[name] = {
            "labels": [labels[code] for code in np.unique(votes[own, place])],
            "coverage": _share(own),
            "overlaps": _share(own & (together > 1)),
            "conflicts": _share(own & other.any(axis=1)),
            "known": _accuracy(votes[people, place] == known[people]),
            "accuracy": float(model.accuracy[place]),
        }
    return told


def of_model(decided: Codes, known: Codes) -> dict[str, Any] | None:
    """Accuracy of what the functions decide together where people labelled too; null without such rows."""
    both = (decided != ABSTAINS) & (known != ABSTAINS)
    return _accuracy(decided[both] == known[both])


def table(told: dict[str, dict[str, Any]]) -> str:
    """The functions as a table for the log."""
    rows = [HEADINGS, *(_cells(name, one) for name, one in told.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)  # fmt: skip


def _cells(name: str, one: dict[str, Any]) -> tuple[str, ...]:
    shares = (f"{one[key]:.1%}" for key in ("coverage", "overlaps", "conflicts"))
    known = one["known"]
    said = f"{known['accuracy']:.1%} ({known['low']:.1%} to {known['high']:.1%}) of {known['rows']}" if known else "-"
    return name, ", ".join(one["labels"]) or "none", *shares, said, f"{one['accuracy']:.2f}"


def _share(rows: NDArray[np.bool_]) -> float:
    return float(rows.mean()) if len(rows) else 0.0


def _accuracy(right: NDArray[np.bool_]) -> dict[str, Any] | None:
    if not len(right):
        return None
    from scipy.stats import binomtest

    ends = binomtest(int(right.sum()), len(right)).proportion_ci(0.95, method="wilson")
    return {"rows": len(right), "accuracy": float(right.mean()), "low": float(ends.low), "high": float(ends.high)}
