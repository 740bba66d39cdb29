"""Which of many labelled rows are taken: none twice, no label without measure, newer ones sooner, always the same."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Candidates:
    """Rows that may be taken, as columns."""

    ids: NDArray[np.int64]
    content: Sequence[bytes]
    """Names the text."""
    label: NDArray[Any]
    labelled: NDArray[np.int64]
    """When the label came; of rows of one text the latest counts."""
    log_weight: NDArray[np.float64]
    """Natural logarithm of the weight in the draw."""


def drawn(of: Candidates, most: int, largest_share: float) -> NDArray[np.int64]:
    """Places of the rows to take, ascending: at most `most`, of which no label has more than `largest_share`.

    A weighted draw without replacement (Efraimidis and Spirakis, 2006) whose chance comes from the text itself: rows
    that were drawn are drawn again while no newer ones outweigh them. With weights that halve with age, how two rows
    stand to each other never changes. Where all rows have one label, which alone would teach to say it, none is taken.
    """
    places = _once(of)
    chance = np.array([_chance(of.content[place]) for place in places], np.float64)
    order = places[np.argsort(np.log(-np.log(chance)) - of.log_weight[places], kind="stable")][:most]
    if largest_share < 1 and len(order):
        label, rows = Counter(of.label[order]).most_common(1)[0]
        allowed = int(largest_share / (1 - largest_share) * (len(order) - rows) + 1e-9)
        its = of.label[order] == label
        order = order[~its | (np.cumsum(its) <= allowed)]
    return np.sort(order)


def _once(of: Candidates) -> NDArray[np.int64]:
    """Of the rows of each text the one whose label came last."""
    latest: dict[bytes, int] = {}
    for place in np.lexsort((of.ids, of.labelled)).tolist():
        latest[of.content[place]] = place
    return np.array(sorted(latest.values()), np.int64)


def _chance(content: bytes) -> float:
    """A number between 0 and 1, without its ends, that belongs to the text."""
    number = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
    return (number + 0.5) / 2**64
