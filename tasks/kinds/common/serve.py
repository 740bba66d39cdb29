"""A model's answers: one label per text, with the probabilities of all."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Answers:
    """What the model says of some texts, in their order."""

    labels: NDArray[np.object_]
    """[rows], the most probable label."""
    probabilities: NDArray[np.float32]
    """[rows, classes], calibrated, in the order of the signature's labels."""
    embeddings: NDArray[np.float32]
    """[rows, width], of length 1."""
    in_scope: NDArray[np.bool_] | None = field(default=None, kw_only=True)
    """[rows], whether a text has one of the labels at all; None where the model takes every text."""

    @property
    def confidence(self) -> NDArray[np.float32]:
        """[rows], the probability of the answered label."""
        highest: NDArray[np.float32] = self.probabilities.max(axis=1, initial=0.0)
        return highest


def cleaning(policy: Callable[[str], str] | None) -> Callable[[str], str] | None:
    """What is done to a text before it is read: what the text policy says."""
    return policy


def probe(tokens: int) -> str:
    """A text of so many tokens, with the two that mark start and end."""
    return "a " * (tokens - 2)
