"""In which order texts are best labelled: first those that stand for many others of which the champion is unsure."""

import heapq
import math

import numpy as np
from numpy.typing import NDArray

from tasks.annotation.events import Why

Vectors = NDArray[np.float32]

CANDIDATES = 10_000
"""Texts that are chosen from; of more as many, the least sure ones or, without a champion, some drawn by lot."""
GROUND = 2_000
"""Texts that the chosen ones are to stand for, drawn by lot from the candidates: 80 MB of similarities."""


def order(
    vectors: Vectors,
    rows: int,
    margin: NDArray[np.float32] | None = None,
    random_share: float = 0.2,
    seed: int = 0,
    known: Vectors | None = None,
) -> list[tuple[int, Why]]:
    """Places of at most `rows` texts and why each, in the order in which they should be labelled.

    `vectors` [texts, width] have length 1; `margin` [texts] is the probability between the champion's first two labels,
    None without a champion; `known` are vectors of texts that have a label or wait for one. A share is drawn at random
    from all texts and spread evenly over the order: on these alone quality can be estimated. The others maximise

        sum over texts i of w_i * max over chosen texts j of max(0, v_i . v_j),  w_i = 1 - margin_i, or 1

    (facility location; weighted by uncertainty as in Wei, Iyer, Bilmes, 2015). The greedy order is within 1 - 1/e of
    the best choice at every length (Nemhauser, Wolsey, Fisher, 1978), so that labelling may stop anywhere.
    """
    rng = np.random.default_rng(seed)
    rows = min(rows, len(vectors))
    drawn = rng.permutation(len(vectors))[: math.ceil(rows * random_share)]
    left = np.setdiff1d(np.arange(len(vectors)), drawn)
    many = rows - len(drawn)
    chosen: list[int] = []
    if many:
        candidates = _candidates(left, margin, max(1_000, 10 * many), rng)
        ground = np.sort(rng.permutation(candidates)[:GROUND])
        weight = np.ones(len(ground), np.float32) if margin is None else 1 - margin[ground]
        covered = _covered(vectors[ground], known)
        chosen = candidates[_representative(vectors[candidates], vectors[ground], weight, covered, many)].tolist()
    return _mixed(chosen, drawn.tolist(), "typical" if margin is None else "uncertain", random_share)


def margins(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """[texts], the probability between the first two labels of each row of [texts, labels]."""
    ordered = np.sort(probabilities, axis=1)
    found: NDArray[np.float32] = ordered[:, -1] - ordered[:, -2]
    return found


def unit(vectors: NDArray[np.float32]) -> Vectors:
    """The vectors at length 1; those of length 0 stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def _candidates(
    left: NDArray[np.int64], margin: NDArray[np.float32] | None, least_sure: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    if margin is None:
        return np.sort(rng.permutation(left)[:CANDIDATES])
    return left[np.argsort(margin[left], kind="stable")[: min(CANDIDATES, least_sure)]]


def _covered(ground: Vectors, known: Vectors | None) -> NDArray[np.float32]:
    """How well each text is stood for already."""
    found = np.zeros(len(ground), np.float32)
    for start in range(0, 0 if known is None else len(known), GROUND):
        np.maximum(found, (ground @ known[start : start + GROUND].T).max(axis=1), out=found)  # type: ignore[index]
    return found


def _representative(
    candidates: Vectors, ground: Vectors, weight: NDArray[np.float32], covered: NDArray[np.float32], many: int
) -> list[int]:
    """The greedy choice, lazily: a gain only ever falls, so that one that is still the highest need not be recomputed
    for the others (Minoux, 1978)."""
    likeness = candidates @ ground.T
    gain = np.maximum(likeness - covered, 0) @ weight
    waiting = [(-float(value), place, 0) for place, value in enumerate(gain)]
    heapq.heapify(waiting)
    chosen: list[int] = []
    while waiting and len(chosen) < many:
        _, place, when = heapq.heappop(waiting)
        if when == len(chosen):
            chosen.append(place)
            np.maximum(covered, likeness[place], out=covered)
        else:
            value = float(np.maximum(likeness[place] - covered, 0) @ weight)
            heapq.heappush(waiting, (-value, place, len(chosen)))
    return chosen


def _mixed(chosen: list[int], drawn: list[int], why: Why, share: float) -> list[tuple[int, Why]]:
    """Both in their own order, so that every beginning has the share that was drawn."""
    mixed: list[tuple[int, Why]] = []
    lots, others = iter(drawn), iter(chosen)
    for place in range(len(chosen) + len(drawn)):
        by_lot = math.ceil((place + 1) * share) > math.ceil(place * share)
        first, second = ((lots, "random"), (others, why)) if by_lot else ((others, why), (lots, "random"))
        found = next(first[0], None)
        mixed.append((found, first[1]) if found is not None else (next(second[0]), second[1]))  # type: ignore[arg-type]
    return mixed
