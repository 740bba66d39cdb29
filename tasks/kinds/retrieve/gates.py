"""What a retrieval model's export is held to: its answers, and how near it finds them."""

from typing import TYPE_CHECKING

import numpy as np

from tasks import search
from tasks.kinds.common import gates
from tasks.kinds.common.gates import Found, Inputs, Measured, contract, measured

if TYPE_CHECKING:
    from tasks.examination import Examination
    from tasks.inference import Model
    from tasks.kinds.retrieve import serve
    from tasks.release_gate import ReleaseGateSettings, VariantLimits

__all__ = ["checks", "contract", "measured"]


def checks(model: "Model", truth: Measured, limits: "VariantLimits", settings: "ReleaseGateSettings") -> "Examination":
    """Every check of one variant, named `<variant>.<check>`, and the rows where its label is not torch's."""
    answers = model.predict(truth.texts, cleaned=True)
    further = [_similar(model.variant, answers, truth, limits)]
    return gates.checks(model, answers, truth, limits, settings, has_length_one, further)


def _similar(variant: str, answers: "serve.Found", truth: Measured, limits: "VariantLimits") -> Found:
    """95% point of how far the cosines of a text to the answers that were found are from torch's."""
    torch = np.array(truth.rows["logits"].tolist(), dtype=np.float64) / search.SCALE
    gap = np.where(answers.similarities > -1, np.abs(answers.similarities - torch), 0).max(axis=1)
    highest = limits.similarity_gap_p95_max
    check = gates.limit(f"{variant}.similarity_gap_p95", float(np.quantile(gap, 0.95)), None, highest, len(gap))
    return check, gap > (np.inf if highest is None else highest), gates.apart("similarities", gap, "torch's")


def has_length_one(model: "Model", inputs: Inputs) -> bool:
    """Whether the graph gives a batch an embedding of length 1 each."""
    answer = model.session.run(["embedding"], inputs)[0]
    return len(answer) == len(inputs["input_ids"]) and bool(np.allclose(np.linalg.norm(answer, axis=1), 1, atol=1e-3))
