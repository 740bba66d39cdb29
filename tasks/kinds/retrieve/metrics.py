"""Evaluation of a retrieval model: held-out texts look for their answer among the training texts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks import search
from tasks.core.line import Line
from tasks.kinds.common import metrics, scores
from tasks.kinds.common.scores import Indices
from tasks.kinds.retrieve.checkpoint import Checkpoint

if TYPE_CHECKING:
    from tasks.evaluate import EvaluateSettings

RECALLS = (1, 5, 10)


def evaluate(line: Line, settings: "EvaluateSettings", out: Path) -> None:
    """Read split/{train,validation,test}.parquet, behaviour.yaml and train's checkpoint; write what evaluate owes.

    The calibration is a temperature: answers come and go, and parameters for each label would go with them.
    """
    method = "temperature" if settings.calibration == "auto" else settings.calibration
    model = Checkpoint(line.folder / "train", line.file("split", "train.parquet"), settings.batch_size)
    metrics.evaluate(line, settings.model_copy(update={"calibration": method}), out, model, found)


def found(actual: Indices, logits: NDArray[np.float32]) -> dict[str, Any]:
    """`recall_at_<k>` and `mrr_at_10` with 95% intervals, over labels: texts of one label count as one answer.

    recall_at_1 is the accuracy.
    """
    places = search.ranks(logits, actual)
    mean, low, high = scores.mean_interval(search.reciprocal(places))
    figures: dict[str, Any] = {"mrr_at_10": mean, "mrr_at_10_low": low, "mrr_at_10_high": high}
    for k in RECALLS:
        hits = int((places <= k).sum())
        low, high = scores.wilson(hits, len(places))
        figures |= {f"recall_at_{k}": hits / len(places), f"recall_at_{k}_low": low, f"recall_at_{k}_high": high}
    return figures
