"""Search in bases too large to compare a query with one and all: an index proposes entries, numpy measures them.

The index is faiss's: entries are sorted to the nearest of some thousand centres, and a query looks through the lists of
the nearest centres alone, where two dimensions of an entry are four bits (product quantisation, Jegou et al. 2011; as
tables in registers, Andre et al. 2017). What it proposes is compared with the query in full: cosines are those of exact
search.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import StageError
from tasks.core.files import atomic
from tasks.search import CELLS, Exact, Floats, Indices

FILE = "answers.index"
"""The index of a variant is `<variant>.answers.index` beside its base, where the base is large."""
LARGE = 100_000
"""Entries from which on an index is made: comparing a query with one and all takes more than 10 ms from there."""
ASKED = 100
"""Entries that an answer of a large base is made of. What lies behind them counts as not found."""
PROPOSED = 200
"""Entries that the index proposes at least, and two for each that is asked for: four bits order them but roughly."""
PROBES = 256
"""Lists that a query looks through; benchmarks/search.py has the recall at this and other numbers."""
NARROW = 128  # dimensions, up to which each has four bits: few bits order entries badly
TAUGHT = 64  # entries a list from which centres are learned: more make them no better
ROUNDS = 10  # of k-means
SEED = 0

Found = tuple[Indices, Floats]
"""Entries by their places and their cosines, [queries, k] each, the nearest first; -1 and -1 behind the last."""


def exact(vectors: Floats, queries: Floats, k: int) -> Found:
    """The k nearest of all `vectors` [entries, width]; of equals the first."""
    k = min(k, len(vectors))
    places, cosines = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    block = max(1, CELLS // max(1, len(vectors)))
    for start in range(0, len(queries), block):
        part = slice(start, start + block)
        measured = queries[part] @ vectors.T
        chosen = np.argpartition(-measured, k - 1, axis=1)[:, :k] if k else np.empty((len(measured), 0), np.int64)
        places[part], cosines[part] = _first(chosen, np.take_along_axis(measured, chosen, axis=1), k)
    return places, cosines


def spread(found: Found, owners: Indices, names: int) -> Floats:
    """[queries, names], the cosine of the nearest of the found entries of each label; -1 where none was found."""
    places, cosines = found
    similarities = np.full((len(places), names), -1, dtype=np.float32)
    rows, columns = np.nonzero(places >= 0)
    np.maximum.at(similarities, (rows, owners[places[rows, columns]]), cosines[rows, columns])
    return similarities


@dataclass(frozen=True)
class Large:
    """A base of which most is searched by an index, and what was added since one and all."""

    lists: Any
    """faiss's index of `vectors`."""
    vectors: Floats
    """[entries, width], those that the index was made of."""
    kept: NDArray[np.bool_]
    """[entries], False for what was withdrawn."""
    added: Floats
    """[further entries, width]; their places stand behind those of `vectors`."""
    owners: Indices
    """The label of each entry, of `vectors` and then of `added`, by its number; any number where it was withdrawn."""
    names: int

    def nearest(self, queries: Floats, k: int, probes: int = PROBES) -> Found:
        """About the k nearest entries that are not withdrawn; what is found has its true cosine."""
        proposed = self._proposed(queries, PROPOSED + 2 * k, probes)
        measured = np.full(proposed.shape, -np.inf, dtype=np.float32)
        for row, places in enumerate(proposed):
            told = places >= 0
            measured[row, told] = self.vectors[places[told]] @ queries[row]
        new, cosines = exact(self.added, queries, k)
        places = np.concatenate([proposed, new + len(self.vectors)], axis=1)
        first, found = _first(places, np.concatenate([measured, cosines], axis=1), k)
        return first, np.where(first < 0, np.float32(-1), found)

    def similarities(self, queries: Floats) -> Floats:
        """As Exact has it for the labels of the ASKED nearest entries; -1 for the rest, which are no nearer."""
        return spread(self.nearest(queries, ASKED), self.owners, self.names)

    def _proposed(self, queries: Floats, k: int, probes: int) -> Indices:
        import faiss

        faiss.omp_set_num_threads(1)  # a service answers several queries at a time; on macOS two OpenMPs would clash
        chosen = None if self.kept.all() else faiss.IDSelectorBitmap(np.packbits(self.kept, bitorder="little"))
        how = faiss.SearchParametersIVF(nprobe=min(probes, self.lists.nlist), sel=chosen)
        places: Indices = self.lists.search(np.ascontiguousarray(queries), min(k, len(self.vectors)), params=how)[1]
        return places


def over(
    lists: Any | None, vectors: Floats, kept: Sequence[int], added: Floats, owners: Indices, names: int
) -> Exact | Large:
    """What searches the entries of `vectors` at the places `kept`, and `added` ones; `owners` in that order.

    Without `lists`, the index of `vectors`, search is exact.
    """
    if lists is None:
        return Exact(np.concatenate([vectors[list(kept)], added]), owners, names)
    mask = np.zeros(len(vectors), dtype=np.bool_)
    mask[list(kept)] = True
    numbers = np.zeros(len(vectors) + len(added), dtype=np.int64)
    numbers[: len(vectors)][mask], numbers[len(vectors) :] = owners[: len(kept)], owners[len(kept) :]
    return Large(lists, vectors, mask, added, numbers, names)


def build(vectors: Floats) -> Any:
    """faiss's index of `vectors` [entries, width]; the same for the same vectors, threads and machine."""
    import faiss

    if sys.platform == "darwin":
        faiss.omp_set_num_threads(1)
    count, width = vectors.shape
    lists = 2 ** round(np.log2(2 * np.sqrt(count)))
    parts = width if width <= NARROW or width % 2 else width // 2
    index = faiss.index_factory(width, f"IVF{lists},PQ{parts}x4fs", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.seed, index.cp.max_points_per_centroid = ROUNDS, SEED, TAUGHT
    sample = np.random.default_rng(SEED).permutation(count)[: TAUGHT * lists]
    index.train(np.ascontiguousarray(vectors[np.sort(sample)], dtype=np.float32))
    index.add(np.ascontiguousarray(vectors, dtype=np.float32))
    return index


def write(path: Path, vectors: Floats) -> None:
    """Write the index of `vectors` [entries, width], made in a process of its own.

    Torch and faiss bring an OpenMP each, which on macOS cannot live in one process. Raises StageError.
    """
    with atomic(path) as temporary, tempfile.TemporaryDirectory() as folder:
        given = Path(folder, "vectors.npy")
        np.save(given, vectors, allow_pickle=False)
        made = subprocess.run(
            [sys.executable, "-m", "tasks.nearest", given, temporary], capture_output=True, text=True, check=False
        )
        if made.returncode:
            reason = (made.stderr.strip().splitlines() or [f"exit status {made.returncode}"])[-1]
            raise StageError(f"No index {path.name} could be made: {reason}")


def open_lists(path: Path, vectors: Floats) -> Any:
    """The index of `vectors` as it was written. Raises StageError when it is broken or of other vectors."""
    import faiss

    try:
        lists = faiss.read_index(str(path))
    except Exception as error:  # faiss's own errors are plain RuntimeErrors, or of memory
        raise StageError(f"{path} is broken ({str(error).splitlines()[0][:200]}). Export and release again.") from None
    if not isinstance(lists, faiss.IndexIVF) or (lists.ntotal, lists.d) != vectors.shape:
        raise StageError(f"{path} is no index of the base beside it. Export and release again.")
    return lists


def _first(places: Indices, cosines: Floats, k: int) -> Found:
    order = np.lexsort((places, -cosines), axis=1)[:, :k]
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(cosines, order, axis=1)


def _main() -> None:
    import faiss

    vectors, path = sys.argv[1:]
    faiss.write_index(build(np.load(vectors, allow_pickle=False)), path)


if __name__ == "__main__":
    _main()
