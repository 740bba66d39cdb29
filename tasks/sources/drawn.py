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


def drawn(of: Candidates, most: int, balance: float | None) -> NDArray[np.int64]:
    """Places of the rows to take, ascending: at most `most`, of a label at most `balance` times the rarest's.

    A weighted draw without replacement (Efraimidis and Spirakis, 2006) whose chance comes from the text itself: rows
    that were drawn are drawn again while no newer ones outweigh them. With weights that halve with age, how two rows
    stand to each other never changes.
    """
    places = _once(of)
    chance = np.array([_chance(of.content[place]) for place in places], np.float64)
    order = places[np.argsort(np.log(-np.log(chance)) - of.log_weight[places], kind="stable")]
    if balance is not None and len(order):
        rarest = min(Counter(of.label[order]).values())
        order = order[_nth(of.label[order]) < max(1, int(balance * rarest))]
    return np.sort(order[:most])


def _once(of: Candidates) -> NDArray[np.int64]:
    """Of the rows of each text the one whose label came last."""
    latest: dict[bytes, int] = {}
    for place in np.lexsort((of.ids, of.labelled)).tolist():
        latest[of.content[place]] = place
    return np.array(sorted(latest.values()), np.int64)


def _nth(labels: NDArray[Any]) -> NDArray[np.int64]:
    """How many rows of the same label stand before each."""
    met: Counter[Any] = Counter()
    result = []
    for label in labels:
        result.append(met[label])
        met[label] += 1
    return np.array(result, np.int64)


def _chance(content: bytes) -> float:
    """A number between 0 and 1, without its ends, that belongs to the text."""
    number = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
    return (number + 0.5) / 2**64
