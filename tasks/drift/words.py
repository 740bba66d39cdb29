"""Texts as features of any language, and what to show of them: terms of many texts, beginnings of a few."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.masks import BY_SHAPE

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CUT = 500
"""Characters of a text that are looked at: about as many as a model reads of it."""
TERMS = 50_000
"""The most common ones, at most."""
SHOWN = 10
FEW = 5
"""A term of fewer texts is not shown: it may tell of a person, and chance explains it."""
EXAMPLES, EXAMPLE = 5, 80
"""How many beginnings of texts are shown, and how many characters of each."""

_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts that set no words apart (Thai, Lao, Burmese, Khmer, kana, Han): each character is a term, and so are two."""
_TOKEN = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+")


def tokens(text: str) -> list[str]:
    """The words of a text, or its characters where the script sets no words apart; no case, no punctuation."""
    return _TOKEN.findall(unicodedata.normalize("NFKC", text[:CUT]).casefold())


def features(texts: Sequence[str]) -> "tuple[csr_matrix, NDArray[Any]] | None":
    """[texts, terms] by tf-idf of single terms and pairs, and the terms; None where no term stands in two texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer=_terms, min_df=2, max_features=TERMS, sublinear_tf=True, dtype=np.float32)
    try:
        found = vectorizer.fit_transform(texts)
    except ValueError:  # sklearn's word for an empty vocabulary
        return None
    return found.tocsr(), vectorizer.get_feature_names_out()


def _terms(text: str) -> list[str]:
    words = tokens(text)
    return [*words, *map(" ".join, pairwise(words))]


def distinguishing(found: "csr_matrix", terms: NDArray[Any], current: NDArray[np.bool_]) -> dict[str, list[Any]]:
    """Terms whose share of texts moved most, in standard errors: `more` and `less` common now.

    Each as {term, reference, current}, with its share of the texts of either window.
    """
    has = found.astype(bool)
    counts = [np.asarray(has[side].sum(axis=0)).ravel() for side in (~current, current)]
    rows = [int((~current).sum()), int(current.sum())]
    before, now = counts[0] / rows[0], counts[1] / rows[1]
    pooled = (counts[0] + counts[1]) / sum(rows)
    error = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / rows[0] + 1 / rows[1]))
    moved = np.where(np.maximum(*counts) >= FEW, (now - before) / error, 0.0)

    def shown(places: NDArray[np.int64], sign: int) -> list[dict[str, Any]]:
        return [
            {"term": str(terms[n]), "reference": round(float(before[n]), 4), "current": round(float(now[n]), 4)}
            for n in places[:SHOWN]
            if sign * moved[n] > 3  # of some thousand terms a few do so by chance
        ]

    order = np.argsort(moved, kind="stable")
    return {"more": shown(order[::-1], 1), "less": shown(order, -1)}


def examples(texts: Sequence[str], ranks: NDArray[np.float64]) -> list[str]:
    """The beginnings of the texts of the highest ranks, no two alike, with what looks like personal data masked."""
    found: dict[str, None] = {}
    for row in np.argsort(-ranks, kind="stable").tolist():
        found.setdefault(_shown(texts[row]))
        if len(found) == EXAMPLES:
            break
    return list(found)


def _shown(text: str) -> str:
    for mask in BY_SHAPE.values():
        text = mask(text)
    text = " ".join(text[: 4 * EXAMPLE].split())
    return text if len(text) <= EXAMPLE else text[: EXAMPLE - 1] + "\u2026"
