"""What a classifier's export is held to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks import scope
from tasks.core.files import read_json, read_parquet
from tasks.core.line import Line
from tasks.kinds.common import gates
from tasks.kinds.common.gates import Found, Inputs, Measured, contract

if TYPE_CHECKING:
    from tasks.examination import Examination
    from tasks.inference import Model, Signature
    from tasks.kinds.common.serve import Answers
    from tasks.release_gate import ReleaseGateSettings, VariantLimits

__all__ = ["checks", "contract", "measured"]


@dataclass(frozen=True)
class Bounded(Measured):
    """The test rows, and what torch makes of those out of scope."""

    strange: list[str]
    """Texts out of scope that judge."""
    scope: Mapping[str, Any]
    """Of metrics.json; empty where the line takes every text."""


def measured(line: Line, signature: "Signature") -> Bounded:
    """Read split/{test,out_of_scope}.parquet, evaluate/predictions.parquet and metrics.json.

    Raises DataError where they do not go together.
    """
    rows = gates.measured(line, signature).rows
    told = read_json(line.file("evaluate", "metrics.json")).get("scope", {}) if signature.scope else {}
    strange = read_parquet(line.file("split", scope.FILE), ["text", "side"]) if told else None
    texts = [] if strange is None else strange["text"][strange["side"] == scope.JUDGING].tolist()
    return Bounded(rows, texts, told)


def checks(model: "Model", truth: Bounded, limits: "VariantLimits", settings: "ReleaseGateSettings") -> "Examination":
    """Every check of one variant, named `<variant>.<check>`, and the rows where its label is not torch's."""
    answers = model.predict(truth.texts, cleaned=True)
    further = list(_scoped(model, answers, truth, limits.scope_drop_max))
    return gates.checks(model, answers, truth, limits, settings, sums_to_one, further)


def _scoped(model: "Model", answers: "Answers", truth: Bounded, most: float) -> Iterator[Found]:
    """How much less than torch a variant refuses of what is out of scope, and takes rightly of what is in it."""
    if answers.in_scope is None:
        return
    right = answers.in_scope & (answers.labels == truth.rows["label"].to_numpy())
    drop = truth.scope["accuracy"] - float(right.mean())
    yield gates.limit(f"{model.variant}.scope_accuracy_drop", drop, None, most, len(right)), ~right, "wrong or refused"
    if truth.strange:
        refused = ~model.predict(truth.strange, cleaned=True).in_scope
        drop = truth.scope["recall"] - float(refused.mean())
        check = gates.limit(f"{model.variant}.scope_recall_drop", drop, None, most, len(refused))
        yield check, np.zeros(len(right), dtype=bool), ""


def sums_to_one(model: "Model", inputs: Inputs) -> bool:
    """Whether the graph gives a batch probabilities."""
    answer = model.session.run(["probabilities"], inputs)[0]
    expected = (len(inputs["input_ids"]), len(model.signature.labels))
    return answer.shape == expected and bool(np.allclose(answer.sum(axis=1), 1, atol=1e-3))
