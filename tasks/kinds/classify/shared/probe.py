"""The linear probe of a frozen encoder: the head that a training may start from."""

import warnings

import numpy as np
from numpy.typing import NDArray

MOST = 20_000
"""Training rows that a probe is fitted on at most: 30 MB of embeddings, and a linear layer gains little from more."""

STRENGTH = 30.0  # inverse of the L2 penalty; on banking77, ten of each intent, 10 to 100 do alike
ITERATIONS = 1000

Floats = NDArray[np.float32]


def drawn(targets: NDArray[np.int64], seed: int, most: int = MOST) -> NDArray[np.int64]:
    """Sorted numbers of the rows to fit on: all, or `most` drawn at random, one of each label among them."""
    order = np.random.default_rng(seed).permutation(len(targets))
    first = np.unique(targets[order], return_index=True)[1]
    chosen = np.concatenate([order[first], np.delete(order, first)])
    found: NDArray[np.int64] = np.sort(chosen[: max(most, len(first))])
    return found


def logistic(embeddings: Floats, targets: NDArray[np.int64], weights: str = "none") -> tuple[Floats, Floats]:
    """Weight [classes, width] and bias [classes] of a multinomial logistic regression with an L2 penalty, by lbfgs.

    `targets` [rows] holds every class; `weights`: `balanced` where rare classes count as much as others. Of two classes
    each gets half of sklearn's one logit: the probabilities are the same. On one thread, so that the number of cores
    changes no bit: 20,000 rows of 77 classes take 20 s.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    model = LogisticRegression(
        C=STRENGTH, max_iter=ITERATIONS, class_weight="balanced" if weights == "balanced" else None
    )
    with warnings.catch_warnings(), threadpool_limits(1, "blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)  # training goes on from there
        model.fit(embeddings, targets)
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight.astype(np.float32), bias.astype(np.float32)
