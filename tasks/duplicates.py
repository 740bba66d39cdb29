"""Copies and near-copies among the rows of one table, and which row of them stays."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tasks.similar import BANDS, CUT, LIKELY, SHORT, WIDTH, NearSettings, gram_size, minhashes, plain, similarity

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
    may stay. Best without exact copies. 500 bytes and some 0.5 ms a text. More than 20 texts that share a band of
    hashes are compared with their neighbours and the first of them alone.
    """
    import numpy as np

    compared = [plain(text)[:CUT] for text in texts]
    size = gram_size(compared, settings)
    places, hashes = [], np.zeros((sum(len(text) >= SHORT for text in compared), BANDS * WIDTH), np.uint32)
    for n, (place, minhash) in enumerate(minhashes(compared, size, settings.seed)):
        places.append(place)
        hashes[n] = minhash.hashvalues
    like = defaultdict(list)
    for earlier, later in _candidates(hashes):
        estimate = float((hashes[earlier] == hashes[later]).mean())
        a, b = places[earlier], places[later]
        if estimate >= LIKELY and similarity(compared[a], compared[b], size, settings, estimate) is not None:
            like[b].append(a)
    copies: dict[int, int] = {}
    for place in sorted(like):
        stays = [earlier for earlier in like[place] if earlier not in copies]
        if stays:
            copies[place] = min(stays)
    return copies


def _candidates(hashes: "np.ndarray") -> Iterator[tuple[int, int]]:
    """Pairs of rows (earlier, later) that agree in one of the bands, each pair once."""
    import numpy as np

    seen: set[int] = set()
    for band in range(BANDS):
        columns = np.ascontiguousarray(hashes[:, band * WIDTH : (band + 1) * WIDTH])
        keys = columns.view(np.dtype((np.void, columns.itemsize * WIDTH))).ravel()
        _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        order = np.argsort(inverse, kind="stable")
        ends = np.cumsum(counts)
        for group in np.flatnonzero(counts > 1):
            rows = order[ends[group] - counts[group] : ends[group]].tolist()
            for pair in _pairs(rows):
                name = pair[0] * len(hashes) + pair[1]
                if name not in seen:
                    seen.add(name)
                    yield pair


def _pairs(rows: list[int]) -> Iterator[tuple[int, int]]:
    if len(rows) <= CROWD:
        yield from ((a, b) for n, a in enumerate(rows) for b in rows[n + 1 :])
        return
    for n in range(1, len(rows)):
        yield from {(rows[0], rows[n]), (rows[n - 1], rows[n])}
