"""A classifier's answers out of what its ONNX graph returns."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks import scope
from tasks.kinds.common.serve import KEPT, Answers, cleaning, kept, probe

if TYPE_CHECKING:
    from tasks.inference import Signature

__all__ = ["KEPT", "OUTPUTS", "answering", "cleaning", "kept", "probe"]

OUTPUTS = ("probabilities", "embedding", "logits")
"""The outputs of the graph that an answer is made of."""

Outputs = Mapping[str, NDArray[Any]]


def answering(folder: Path, signature: "Signature", variant: str) -> Callable[[Outputs], Answers]:  # noqa: ARG001
    """What makes answers of the outputs of a variant: the graph says all there is to say, but for a threshold."""
    return partial(answers, labels=signature.labels, bound=signature.scope.get(variant))


def answers(outputs: Outputs, labels: Sequence[str], bound: Mapping[str, Any] | None = None) -> Answers:
    """The answers for a graph's outputs, [rows, ...] each. `bound` (tasks.scope) is what a text in scope must reach."""
    probabilities = outputs["probabilities"]
    names = np.array(labels, dtype=object)
    inside = None if bound is None else scope.known(bound, outputs["logits"], probabilities)
    return Answers(names[probabilities.argmax(axis=1)], probabilities, outputs["embedding"], in_scope=inside)
