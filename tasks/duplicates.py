"""Copies and near-copies among the rows of one table, and which row of them stays."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from tasks.similar import BANDS, BLOCK, CUT, LIKELY, SHORT, WIDTH, NearSettings, gram_size, minhashes, plain, similarity

if TYPE_CHECKING:
    import numpy as np

CROWD = 20  # rows that share a band up to which each is compared with each; of more, each with its neighbours


def exact(texts: Sequence[str]) -> dict[int, int]:
    """{position of a copy: position of the first text that is the same}, but for case, white space and width."""
    first: dict[str, int] = {}
    copies = {}
    for place, text in enumerate(texts):
        known = first.setdefault(plain(text), place)
        if known != place:
            copies[place] = known
    return copies


def near(texts: Sequence[str], settings: NearSettings) -> dict[int, int]:
    """{position of a near-copy: position of an earlier text that stays and that it is like} (tasks.similar).

    Texts are taken in their order: one stays unless it is like one that stays, so that of a chain of edits both ends
    may stay. Best without exact copies. Half a kilobyte and some 0.7 ms a text, and 16 bytes for each pair that shares
    a band of hashes; of more than 20 texts that share one, each is compared with its neighbours and the first alone.
    """
    import numpy as np

    compared = [plain(text)[:CUT] for text in texts]
    size = gram_size(compared, settings)
    places, hashes = [], np.zeros((sum(len(text) >= SHORT for text in compared), BANDS * WIDTH), np.uint32)
    for n, (place, minhash) in enumerate(minhashes(compared, size, settings.seed)):
        places.append(place)
        hashes[n] = minhash.hashvalues
    like = defaultdict(list)
    for earlier, later, estimate in _candidates(hashes):
        a, b = places[earlier], places[later]
        if similarity(compared[a], compared[b], size, settings, estimate) is not None:
            like[b].append(a)
    copies: dict[int, int] = {}
    for place in sorted(like):
        stays = [earlier for earlier in like[place] if earlier not in copies]
        if stays:
            copies[place] = min(stays)
    return copies


def _candidates(hashes: "np.ndarray") -> Iterator[tuple[int, int, float]]:
    """Pairs of rows (earlier, later, share of equal hashes) that agree in a band and may be like, each pair once."""
    import numpy as np

    pairs = [np.empty(0, np.int64)]
    for band in range(BANDS):
        columns = np.ascontiguousarray(hashes[:, band * WIDTH : (band + 1) * WIDTH])
        keys = columns.view(np.dtype((np.void, columns.itemsize * WIDTH))).ravel()
        _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        order, ends = np.argsort(inverse, kind="stable"), np.cumsum(counts)
        crowds = (order[ends[group] - counts[group] : ends[group]].tolist() for group in np.flatnonzero(counts > 1))
        pairs.append(np.array([a * len(hashes) + b for rows in crowds for a, b in _pairs(rows)], np.int64))
    unique = np.unique(np.concatenate(pairs))
    for first in range(0, len(unique), BLOCK):
        earlier, later = np.divmod(unique[first : first + BLOCK], max(1, len(hashes)))
        estimates = (hashes[earlier] == hashes[later]).mean(axis=1)
        for place in np.flatnonzero(estimates >= LIKELY):
            yield int(earlier[place]), int(later[place]), float(estimates[place])


def _pairs(rows: list[int]) -> Iterator[tuple[int, int]]:
    """Each with each; in a crowd each with the one before it, and with the first."""
    if len(rows) <= CROWD:
        yield from combinations(rows, 2)
        return
    for n in range(1, len(rows)):
        yield from {(rows[0], rows[n]), (rows[n - 1], rows[n])}
