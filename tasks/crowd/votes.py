"""Votes as arrays: who gave which label to which item, one vote of a person on an item."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import DataError

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

SHOWN = 20  # unknown labels that a message names


@dataclass(frozen=True)
class Votes:
    """One entry per vote, ordered by item and then by person; the numbers are places in the three lists."""

    items: list[str]
    people: list[str]
    labels: list[str]
    item: Indices
    person: Indices
    label: Indices
    replaced: int = 0
    """Votes that did not count: the same person said another thing of the same item later."""

    @classmethod
    def of(cls, said: Iterable[tuple[str, str, str]], items: Sequence[str], labels: Sequence[str]) -> "Votes":
        """From (item, who, label) in the order in which it was said; of one person on one item the last counts.

        `items` may hold some that nobody voted on. Raises DataError for a label that `labels` does not hold.
        """
        last: dict[tuple[str, str], str] = {}
        given = 0
        for row, who, name in said:
            last[row, who] = name
            given += 1
        _known(last.values(), labels)
        people = sorted({who for _, who in last})
        places = [{name: n for n, name in enumerate(names)} for names in (items, people, labels)]
        rows = [(places[0][row], places[1][who], places[2][name]) for (row, who), name in last.items()]
        table = np.array(sorted(rows), np.int64).reshape(-1, 3)
        item, person, label = table.T
        return cls(list(items), people, list(labels), item, person, label, given - len(rows))

    @cached_property
    def counts(self) -> Indices:
        """[items, labels], how many people gave a label to an item."""
        counts = np.zeros((len(self.items), len(self.labels)), np.int64)
        np.add.at(counts, (self.item, self.label), 1)
        return counts

    def __len__(self) -> int:
        return len(self.item)


def _known(given: Iterable[str], labels: Sequence[str]) -> None:
    unknown: dict[str, int] = {}
    for label in given:
        if label not in labels:
            unknown[label] = unknown.get(label, 0) + 1
    if unknown:
        found = ", ".join(f"{name[:40]!r} ({votes})" for name, votes in sorted(unknown.items())[:SHOWN])
        raise DataError(
            f"{sum(unknown.values())} votes are for a label outside the set: {found}"
            f"{', ...' if len(unknown) > SHOWN else ''}. Allowed are {', '.join(labels)}. Add them to label.labels, or "
            "map them by label.rename."
        )
