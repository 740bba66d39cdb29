"""Where the towers start: which items go with which, in closed form, as vectors of items."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MOST = 8000  # items of which the matrix of all pairs is made: half a gigabyte, and a minute; the others start by text


def linear(users: Any, items: Any, shape: tuple[int, int], weight: float, width: int) -> tuple[Floats, Floats, Any]:
    """Vectors `inward` and `outward` [items, width] whose products come near to EASE, and which items have any.

    `users` and `items` [events] are numbers, each pair once: who liked what. EASE (Steck 2019, equation 8) is the
    linear model of an item by the others, with an L2 penalty of `weight`; its matrix is cut to the greatest `width`
    singular values (Halko et al. 2011). Of more than MOST liked items those that most users like take part.
    """
    from scipy.sparse import csr_matrix
    from sklearn.utils.extmath import randomized_svd

    likes = csr_matrix((np.ones(len(users)), (users, items)), shape=shape)
    counts = np.asarray(likes.sum(axis=0)).ravel()
    known = np.sort(np.argsort(-counts, kind="stable")[: min(MOST, int((counts > 0).sum()))])
    gram = (likes[:, known].T @ likes[:, known]).toarray()
    gram[np.diag_indices(len(known))] += weight
    inverse = np.linalg.inv(gram)
    matrix = -inverse / np.diag(inverse)
    np.fill_diagonal(matrix, 0)
    rank = min(width, len(known))
    left, values, right = randomized_svd(matrix, rank, random_state=0)
    roots = np.sqrt(values)
    found = np.zeros((2, shape[1], width), dtype=np.float32)
    found[0, known, :rank], found[1, known, :rank] = left * roots, right.T * roots
    mask = np.zeros(shape[1], dtype=np.bool_)
    mask[known] = True
    return found[0], found[1], mask


def by_text(texts: Floats, vectors: Floats, known: NDArray[np.bool_], weight: float) -> Floats:
    """[text width + 1, width], what makes vectors out of texts' embeddings with a 1 behind: ridge regression."""
    given = with_one(texts[known]).astype(np.float64)
    gram = given.T @ given
    gram[np.diag_indices(len(gram))] += weight
    return np.linalg.solve(gram, given.T @ vectors[known]).astype(np.float32)


def with_one(texts: Floats) -> Floats:
    """Embeddings [items, width] with a column of ones behind."""
    return np.concatenate([texts, np.ones((len(texts), 1), np.float32)], axis=1)
