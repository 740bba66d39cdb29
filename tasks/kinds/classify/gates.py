"""What a classifier's export is held to."""

from typing import TYPE_CHECKING

import numpy as np

from tasks.kinds.common import gates
from tasks.kinds.common.gates import Inputs, Measured, contract, measured

if TYPE_CHECKING:
    from tasks.examination import Examination
    from tasks.inference import Model
    from tasks.release_gate import ReleaseGateSettings, VariantLimits

__all__ = ["checks", "contract", "measured"]


def checks(model: "Model", truth: Measured, limits: "VariantLimits", settings: "ReleaseGateSettings") -> "Examination":
    """Every check of one variant, named `<variant>.<check>`, and the rows where its label is not torch's."""
    answers = model.predict(truth.texts, cleaned=True)
    return gates.checks(model, answers, truth, limits, settings, sums_to_one)


def sums_to_one(model: "Model", inputs: Inputs) -> bool:
    """Whether the graph gives a batch probabilities."""
    answer = model.session.run(["probabilities"], inputs)[0]
    expected = (len(inputs["input_ids"]), len(model.signature.labels))
    return answer.shape == expected and bool(np.allclose(answer.sum(axis=1), 1, atol=1e-3))
