"""Near-duplicate texts: candidates by MinHash LSH over character n-grams, confirmed by an exact similarity.

A copy edited in a tenth of its characters keeps an edit similarity of 0.9 but a Jaccard similarity of n-grams of some
0.55 only: each edit breaks n of them. So candidates are taken from a Jaccard of 0.3 up, and confirmed by either.
"""

import re
import statistics
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from tasks.core.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

SHORT = 10  # characters; in a shorter text one changed word leaves too little to tell a copy by
LONG = 300  # characters; unlike texts of this length share many 3-grams, as all of a language do
CUT = 10_000  # characters of a text that are compared: the edit distance costs time by the square of the length

BANDS, WIDTH = 42, 3
"""LSH of 126 hashes: of pairs with a Jaccard similarity J a share of 1 - (1 - J^3)^42 become candidates: 0.68 at 0.3,
0.98 at 0.45, 0.9996 at 0.55 (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4.2)."""

LIKELY = 0.25  # share of equal hashes, with a standard error of 0.04, below which a candidate is not compared
MARGIN = 0.2  # by so much the share may fall short of a Jaccard similarity that is worth counting
BLOCK = 25_000  # texts in the index at once, some 300 MB

_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")


class NearSettings(Settings):
    """What counts as a near-duplicate, and among how many rows they are looked for."""

    near_duplicates: float = Field(
        0.8, gt=0, lt=1, description="texts of this Jaccard similarity of character n-grams or more are near-duplicates"
    )
    edit_similarity: float = Field(
        0.85, gt=0.5, lt=1, description="and so are texts of this edit similarity (1 - Levenshtein / longer length)"
    )
    ngram: Annotated[int, Field(ge=2, le=10)] | Literal["auto"] = Field(
        "auto", description="characters per n-gram. auto: 3, in Chinese, Japanese and Korean 2; 1 more for long texts"
    )
    max_rows: int = Field(
        20_000, ge=1, description="near-duplicates are looked for among this many rows, drawn at random"
    )
    seed: int = Field(0, ge=0, description="seed of that draw and of the MinHash")


class Pair(NamedTuple):
    """Two near-duplicates by their positions, and how like they are (0 to 1, the higher of the two similarities)."""

    left: int
    right: int
    similarity: float


def plain(text: str) -> str:
    """The text as it is compared: NFKC, without case and runs of white space. Equal ones are exact copies."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def drawn(frame: "pd.DataFrame", settings: NearSettings) -> "pd.DataFrame":
    """The rows among which is looked: all, or `max_rows` of them at random, in their order."""
    import numpy as np

    if len(frame) <= settings.max_rows:
        return frame
    rows = np.random.default_rng(settings.seed).choice(len(frame), settings.max_rows, replace=False)
    return frame.iloc[np.sort(rows)]


def gram_size(texts: Sequence[str], settings: NearSettings) -> int:
    """Characters per n-gram for these texts, as set or by script and median length."""
    if settings.ngram != "auto":
        return settings.ngram
    if not texts:
        return 3
    wide = sum(len(_CJK.findall(text)) for text in texts) > sum(map(len, texts)) / 2
    return (2 if wide else 3) + (statistics.median(map(len, texts)) >= LONG)


def near_pairs(left: Sequence[str], right: Sequence[str], settings: NearSettings) -> list[Pair]:
    """Pairs of a text of `left` and one of `right` that are near-duplicates, in order.

    Texts as `plain` makes them, best without repetition: each repetition is a pair of its own. Those of fewer than
    SHORT characters have no near-duplicates. Time and memory grow with the sum of the lengths, and with the pairs.
    """
    if len(left) > len(right):
        return sorted(Pair(a, b, found) for b, a, found in near_pairs(right, left, settings))
    size = gram_size([*left, *right], settings)
    return sorted(
        Pair(first + place, n, found)
        for first in range(0, len(left), BLOCK)
        for place, n, found in _search(left[first : first + BLOCK], right, size, settings)
    )


def similarity(one: str, other: str, size: int, settings: NearSettings, estimate: float = 1.0) -> float | None:
    """How like two texts are, None where neither similarity reaches its threshold.

    `estimate` is what their MinHashes say of the Jaccard similarity: it saves counting grams in vain.
    """
    from rapidfuzz.distance import Levenshtein

    by_edits = Levenshtein.normalized_similarity(one, other, score_cutoff=settings.edit_similarity)
    if by_edits < settings.edit_similarity and estimate < settings.near_duplicates - MARGIN:
        return None
    a, b = _grams(one, size), _grams(other, size)
    by_grams = len(a & b) / len(a | b)
    near = by_edits >= settings.edit_similarity or by_grams >= settings.near_duplicates
    return max(by_edits, by_grams) if near else None


def _search(few: Sequence[str], many: Sequence[str], size: int, settings: NearSettings) -> Iterator[Pair]:
    """Pairs of the two, `few` held in the index."""
    import numpy as np
    from datasketch import MinHashLSH

    index = MinHashLSH(num_perm=BANDS * WIDTH, params=(BANDS, WIDTH))
    hashes = np.zeros((len(few), BANDS * WIDTH), dtype=np.uint32)
    for place, minhash in minhashes(few, size, settings.seed):
        index.insert(place, minhash, check_duplication=False)
        hashes[place] = minhash.hashvalues
    for n, minhash in minhashes(many, size, settings.seed):
        places = np.array(index.query(minhash), dtype=np.int64)
        estimates = (hashes[places] == minhash.hashvalues).mean(axis=1)
        for at in np.flatnonzero(estimates >= LIKELY):
            place = int(places[at])
            found = similarity(few[place][:CUT], many[n][:CUT], size, settings, float(estimates[at]))
            if found is not None:
                yield Pair(place, n, found)


def minhashes(texts: Sequence[str], size: int, seed: int) -> Iterator[tuple[int, Any]]:
    """Position and MinHash (BANDS * WIDTH hashes) of each text that is not too short."""
    from datasketch import MinHash

    places = [place for place, text in enumerate(texts) if len(text) >= SHORT]
    grams = ([gram.encode("utf-8", "surrogatepass") for gram in _grams(texts[place][:CUT], size)] for place in places)
    hashes = MinHash.generator(grams, num_perm=BANDS * WIDTH, seed=seed + 1, hashfunc=zlib.crc32)
    return zip(places, hashes, strict=True)


def _grams(text: str, size: int) -> set[str]:
    """Character n-grams of a text; the whole text where it is shorter."""
    return {text[n : n + size] for n in range(max(1, len(text) - size + 1))}
