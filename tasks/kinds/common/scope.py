"""Evaluation of what a model says of texts that have none of its labels."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks import calibration, scope
from tasks.core.files import read_parquet
from tasks.core.line import Line
from tasks.kinds.common import scores
from tasks.kinds.common.scores import Indices

if TYPE_CHECKING:
    from tasks.scope import ScopeSettings

Logits = NDArray[np.float32]
Mask = NDArray[np.bool_]


def examine(
    line: Line,
    settings: "ScopeSettings",
    ask: Callable[[Sequence[str]], Logits],
    fitted: Mapping[str, Any],
    validation: Logits,
    test: Logits,
    actual: Indices,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The threshold fitted on `validation` and rows out of scope, and `scope` of metrics.json.

    `ask` gives the logits of texts, `fitted` is the model's calibration, `actual` the labels of the test rows. Reads
    split/out_of_scope.parquet. Raises DataError where its rows are too few.
    """
    rows = read_parquet(line.file("split", scope.FILE), ["text", "side"])
    judging = (rows["side"] == scope.JUDGING).to_numpy(dtype=bool)
    fitting = rows["side"].isin(scope.FITTING).to_numpy(dtype=bool)
    strange = ask(rows["text"].tolist()) if len(rows) else np.empty((0, test.shape[1]), dtype=np.float32)

    def scored(logits: Logits) -> scope.Floats:
        return scope.scores(settings.score, logits, calibration.apply(fitted, logits))

    bound = scope.fit(scored(validation), scored(strange[fitting]), settings.model_dump())
    right = calibration.apply(fitted, test).argmax(axis=1) == actual
    told = figures(scored(test), right, scored(strange[judging]), bound["threshold"])
    return bound, {**bound, "fit_rows": bound["rows"], **told}


def figures(known: scope.Floats, right: Mask, strange: scope.Floats, threshold: float) -> dict[str, Any]:
    """What a threshold does to test rows, each share with its 95% Wilson interval.

    `known` and `strange` are the scores of rows in scope and out of it, `right` says which of the former get their
    label. `accuracy`: in-scope rows that are taken and get their label; `recall`: out-of-scope rows that are refused;
    `precision`: refused rows that are out of scope, in the mix of these rows. `roc_auc` needs no threshold. What no row
    can tell is left out.
    """
    from sklearn.metrics import roc_auc_score

    refused, caught = known < threshold, strange < threshold
    told: dict[str, Any] = {"rows": len(known), "out_of_scope_rows": len(strange)}
    told |= _share("accuracy", int((right & ~refused).sum()), len(known))
    told |= _share("false_reject", int(refused.sum()), len(known))
    told |= _share("recall", int(caught.sum()), len(strange))
    if len(strange):
        told |= _share("precision", int(caught.sum()), int(caught.sum() + refused.sum()))
        inside = np.repeat([1, 0], [len(known), len(strange)])
        told["roc_auc"] = float(roc_auc_score(inside, np.concatenate([known, strange])))
    return told


def _share(name: str, hits: int, rows: int) -> dict[str, Any]:
    if not rows:
        return {}
    low, high = scores.wilson(hits, rows)
    return {name: hits / rows, f"{name}_low": low, f"{name}_high": high}
