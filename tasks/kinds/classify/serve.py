"""A classifier's answers out of what its ONNX graph returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

OUTPUTS = ("probabilities", "embedding")
"""The outputs of the graph that an answer is made of."""


@dataclass(frozen=True)
class Answers:
    """What the model says of some texts, in their order."""

    labels: NDArray[np.object_]
    """[rows], the most probable label."""
    probabilities: NDArray[np.float32]
    """[rows, classes], calibrated, in the order of the signature's labels."""
    embeddings: NDArray[np.float32]
    """[rows, width], of length 1."""

    @property
    def confidence(self) -> NDArray[np.float32]:
        """[rows], the probability of the answered label."""
        highest: NDArray[np.float32] = self.probabilities.max(axis=1, initial=0.0)
        return highest


def answers(outputs: Mapping[str, NDArray[Any]], labels: Sequence[str]) -> Answers:
    """The answers for a graph's outputs, [rows, ...] each."""
    probabilities = outputs["probabilities"]
    names = np.array(labels, dtype=object)
    return Answers(names[probabilities.argmax(axis=1)], probabilities, outputs["embedding"])
