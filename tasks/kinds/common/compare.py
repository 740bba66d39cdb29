"""What is particular to classifiers when two releases are compared."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks import paired
from tasks.kinds.common.scores import Floats, Indices

if TYPE_CHECKING:
    import pandas as pd

    from tasks.comparison import CompareSettings
    from tasks.inference import Model

SIDES = ("challenger", "champion")
COLUMNS = ["id", "source", "label", "challenger", "challenger_confidence", "champion", "champion_confidence"]
"""What rows.parquet holds of the table of answers; no text."""
MOST_EXAMPLES = 10
LONGEST = 400  # characters of an example


def answered(rows: "pd.DataFrame", challenger: "Model", champion: "Model") -> "pd.DataFrame":
    """The rows with each model's label by name, its confidence, and whether it is right.

    Each release's own text policy is applied, as where it serves.
    """
    texts = rows["text"].tolist()
    for side, model in zip(SIDES, (challenger, champion), strict=True):
        answers = model.predict(texts)
        rows = rows.assign(
            **{
                side: answers.labels,
                f"{side}_confidence": answers.confidence.astype(np.float64).round(6),
                f"{side}_right": answers.labels == rows["label"].to_numpy(),
            }
        )
    return rows


def slices(table: "pd.DataFrame") -> dict[str, "pd.Series[Any]"]:
    """Ways to cut the rows beside source and length."""
    return {"label": table["label"]}


def bootstrapped(table: "pd.DataFrame", metric: str, settings: "CompareSettings") -> tuple[float, float, float, float]:
    """A macro metric of challenger and champion, and the BCa interval of its difference over the paired rows."""
    labels, cells, counts = _cells(table)
    scores = [_scorer(metric.removesuffix("_macro"), labels, cells[:, 0], cells[:, n]) for n in (1, 2)]

    def difference(drawn: Indices) -> Floats:
        return scores[0](drawn) - scores[1](drawn)

    low, high = paired.bca(counts, difference, settings.confidence, settings.draws, settings.seed)
    ours, theirs = (float(score(counts[None])[0]) for score in scores)
    return ours, theirs, low, high


def _cells(table: "pd.DataFrame") -> tuple[int, Indices, Indices]:
    """Number of labels; the joint cells [cells, 3] of actual, challenger's and champion's label; rows in each."""
    names = table[["label", *SIDES]].to_numpy(dtype=object)
    known, places = np.unique(names.astype(str), return_inverse=True)
    cells, counts = np.unique(places.reshape(names.shape), axis=0, return_counts=True)
    return len(known), cells, counts


def _scorer(metric: str, labels: int, actual: Indices, predicted: Indices) -> Callable[[Indices], Floats]:
    """A function from rows per cell [draws, cells] to the macro metric [draws].

    The mean is over the labels that occur as actual or as predicted, as in tasks.kinds.common.scores.
    """
    each = np.eye(labels)
    of_actual, of_predicted = each[actual], each[predicted]
    of_hits = of_actual * of_predicted

    def score(drawn: Indices) -> Floats:
        hits, real, said = drawn @ of_hits, drawn @ of_actual, drawn @ of_predicted
        over = {"precision": said, "recall": real, "f1": (real + said) / 2}[metric]
        shares = np.divide(hits, over, out=np.zeros_like(hits), where=over > 0)
        means: Floats = shares.sum(axis=1) / np.maximum((real + said > 0).sum(axis=1), 1)
        return means

    return score


def examples(table: "pd.DataFrame") -> dict[str, list[dict[Any, Any]]]:
    """Up to ten rows that only the challenger gets right (`won`), and only the champion (`lost`).

    Those first where the models' confidences add up highest: both are sure, and of different labels.
    """
    sure = table.assign(
        sure=table["challenger_confidence"] + table["champion_confidence"], text=table["text"].map(_shortened)
    )
    ordered = sure.sort_values(["sure", "id"], ascending=[False, True], kind="stable")
    ours, theirs = ordered["challenger_right"], ordered["champion_right"]
    shown = ["text", *COLUMNS[2:]]
    return {
        name: ordered.loc[rows, shown].head(MOST_EXAMPLES).to_dict("records")
        for name, rows in (("won", ours & ~theirs), ("lost", theirs & ~ours))
    }


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
