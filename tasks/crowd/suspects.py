"""Labels that are likely wrong, ranked for a second look.

Each row is judged by models that never saw it: k-fold logistic regression over frozen embeddings, whose folds keep
copies of a text together. What is held against its label is cleanlab's quality of a label given such probabilities
(Kuan & Mueller 2022, "Model-agnostic label quality scoring to detect real-world label errors"). An encoder that was
fine-tuned on these labels would have learned their errors by heart; hence a frozen one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import DataError
from tasks.label_noise import Floats, Indices, implausible

FOLDS = 5
STRENGTH = 10.0
"""Inverse of the penalty of the logistic regression, on embeddings of length 1."""
MIN_ROWS = 20


@dataclass(frozen=True)
class Suspects:
    """Rows whose label another one beats, worst first."""

    places: Indices
    suggested: Indices
    """Label indices."""
    quality: Floats
    """Of the given label, 0 to 1: its probability less that of the best other one, scaled."""
    probability: Floats
    """Of the suggested label."""
    implausible: NDArray[np.bool_]
    """Whether confident learning lists the row; the others are less sure."""


def cross_validated(
    vectors: NDArray[np.float32], labels: Indices, groups: Sequence[str], count: int, seed: int = 0
) -> Floats:
    """Probabilities [rows, labels] of models that did not see the row; `count` is how many labels there are.

    Rows of one group are of one fold. A label that stands in one fold alone has probability 0 there. Raises DataError
    where there are too few rows, groups or labels.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    kinds, parts = len(np.unique(labels)), len(set(groups))
    most = int(np.bincount(labels).max(initial=0))
    if len(labels) < MIN_ROWS or parts < FOLDS or kinds < 2 or most < FOLDS:
        raise DataError(
            f"{len(labels)} rows of {parts} texts and {kinds} labels, {most} rows at most of one, tell nothing of "
            f"wrong labels; {MIN_ROWS} rows of {FOLDS} texts and 2 labels are needed, {FOLDS} rows of one of them."
        )
    result = np.zeros((len(labels), count))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for seen, unseen in folds.split(vectors, labels, np.asarray(groups)):
        if len(known := np.unique(labels[seen])) < 2:
            result[unseen, known] = 1
            continue
        model = LogisticRegression(C=STRENGTH, max_iter=300).fit(vectors[seen], labels[seen])
        result[np.ix_(unseen, model.classes_)] = model.predict_proba(vectors[unseen])
    return result


def suspects(labels: Indices, probabilities: Floats) -> Suspects:
    """The rows where the models prefer another label, lowest quality of the given label first."""
    from cleanlab.rank import get_label_quality_scores

    quality = get_label_quality_scores(labels, probabilities, method="normalized_margin")
    suggested = probabilities.argmax(axis=1)
    places = np.flatnonzero(suggested != labels)
    places = places[np.argsort(quality[places], kind="stable")]
    listed = implausible(labels, probabilities) if len(np.unique(labels)) > 1 else np.zeros(len(labels), bool)
    best = probabilities[places, suggested[places]]
    return Suspects(places, suggested[places], quality[places], best, listed[places])
