"""A classifier's answers out of what its ONNX graph returns."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.kinds.common.serve import Answers

if TYPE_CHECKING:
    from tasks.inference import Signature

OUTPUTS = ("probabilities", "embedding")
"""The outputs of the graph that an answer is made of."""

Outputs = Mapping[str, NDArray[Any]]


def answering(folder: Path, signature: "Signature", variant: str) -> Callable[[Outputs], Answers]:  # noqa: ARG001
    """What makes answers of the outputs of a variant: the graph says all there is to say."""
    return partial(answers, labels=signature.labels)


def answers(outputs: Outputs, labels: Sequence[str]) -> Answers:
    """The answers for a graph's outputs, [rows, ...] each."""
    probabilities = outputs["probabilities"]
    names = np.array(labels, dtype=object)
    return Answers(names[probabilities.argmax(axis=1)], probabilities, outputs["embedding"])
