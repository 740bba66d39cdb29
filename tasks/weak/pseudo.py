"""Pseudo-labels: which of a model's own answers are sure enough to learn from, and as many of every label."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def row_id(text: str) -> str:
    """A row's id from its cleaned text, so that a later round gives the same text the same id."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def chosen(
    ids: Sequence[str],
    codes: NDArray[np.int64],
    confidence: NDArray[np.float32],
    classes: int,
    least: float,
    rows: int | None = None,
) -> NDArray[np.int64]:
    """Places of the rows to learn from, by id.

    Of the rows with a confidence of `least` or more each label gets the same quota: `rows` over the labels, or without
    `rows` as many as the scarcest label has that has any. A label with fewer gives all, and no other fills up. Which of
    a label's rows are taken says the order of their ids: ids are hashes, so this is chance, and not the surest first,
    which would be the easiest.
    """  # fmt: skip
    sure = np.flatnonzero(confidence >= least)
    counts = np.bincount(codes[sure], minlength=classes)
    quota = rows // classes if rows is not None else int(counts[counts > 0].min(initial=len(ids)))
    names = np.array(ids, dtype=object)
    order = sure[np.argsort(names[sure], kind="stable")]
    kept = [order[codes[order] == code][:quota] for code in range(classes)]
    places: NDArray[np.int64] = np.concatenate(kept)
    return places[np.argsort(names[places], kind="stable")]
