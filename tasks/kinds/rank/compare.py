"""How two ranking models are compared: by the lists that they make for the same users."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks import paired
from tasks.kinds.common.compare import LONGEST, MOST_EXAMPLES, SIDES
from tasks.kinds.rank.serve import portions
from tasks.kinds.rank.shared import rankings
from tasks.kinds.rank.shared.rankings import Floats

if TYPE_CHECKING:
    import pandas as pd

    from tasks.comparison import CompareSettings
    from tasks.inference import Model

SAME_LABELS = False
"""Items come and go: one that a release does not know it cannot list, and its list is worth the less."""
RIGHT = "A list of ten is right that has an item which the user liked later; label is the first of these items."
"""What right means to this kind, for readers of the page."""
FIGURES = {"ndcg_at_10": "ndcg", "recall_at_10": "recall", "hit_at_10": "right"}
COLUMNS = ["id", "source", "label", *(f"{side}{more}" for side in SIDES for more in ("", "_confidence", "_ndcg"))]
"""What rows.parquet holds of the table of answers; no history."""


def answered(rows: "pd.DataFrame", challenger: "Model", champion: "Model") -> "pd.DataFrame":
    """The rows with each model's first item, its confidence, and what its list of ten is worth: ndcg, recall, right.

    A list is right that has an item which the user liked later.
    """
    for side, model in zip(SIDES, (challenger, champion), strict=True):
        rows = rows.assign(**{f"{side}{name}": values for name, values in _asked(rows, model).items()})
    return rows


def _asked(rows: "pd.DataFrame", model: "Model") -> dict[str, Any]:
    numbers = {item: number for number, item in enumerate(model.signature.labels)}
    targets = [np.array([numbers.get(item, -1) for item in row], dtype=np.int64) for row in rows["targets"]]
    lists, sure = [], []
    cleaned = [model.clean(text) if model.clean else text for text in rows["text"]]
    for _, answers in portions(model, cleaned):
        lists.append(rankings.top(answers.probabilities))
        sure.append(answers.confidence)
    listed, names = np.concatenate(lists), np.array(model.signature.labels, dtype=object)
    return {
        "": names[listed[:, 0]],
        "_confidence": np.concatenate(sure).astype(np.float64).round(6),
        "_ndcg": rankings.ndcg(listed, targets),
        "_recall": rankings.recall(listed, targets),
        "_right": rankings.hits(listed, targets).any(axis=1),
    }


def slices(_table: "pd.DataFrame") -> dict[str, "pd.Series[Any]"]:
    """None beside source and the length of the history."""
    return {}


def bootstrapped(table: "pd.DataFrame", metric: str, settings: "CompareSettings") -> tuple[float, float, float, float]:
    """A metric of challenger and champion, and the BCa interval of its difference over the same users."""
    ours, theirs = (table[f"{side}_{FIGURES[metric]}"].to_numpy(dtype=np.float64) for side in SIDES)
    gaps, counts = np.unique(ours - theirs, return_counts=True)

    def difference(drawn: Any) -> Floats:
        found: Floats = drawn @ gaps / np.asarray(drawn).sum(axis=1)
        return found

    low, high = paired.bca(counts, difference, settings.confidence, settings.draws, settings.seed)
    return float(ours.mean()), float(theirs.mean()), low, high


def examples(table: "pd.DataFrame") -> dict[str, list[dict[Any, Any]]]:
    """Up to ten users whose list only the challenger gets right (`won`), and only the champion (`lost`).

    Those first where both models are surest, as of other kinds.
    """
    shown = ["text", "label", *(f"{side}{more}" for side in SIDES for more in ("", "_confidence"))]
    told = table.assign(text=[text if len(text) <= LONGEST else f"…{text[1 - LONGEST :]}" for text in table["text"]])
    sure = told["challenger_confidence"] + told["champion_confidence"]
    ordered = told.assign(sure=sure).sort_values(["sure", "id"], ascending=[False, True], kind="stable")
    ours, theirs = ordered["challenger_right"], ordered["champion_right"]
    return {
        name: ordered.loc[chosen, shown].head(MOST_EXAMPLES).to_dict("records")
        for name, chosen in (("won", ours & ~theirs), ("lost", theirs & ~ours))
    }
