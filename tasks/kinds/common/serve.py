"""A model's answers: one label per text, with the probabilities of all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tasks.inference import Model


KEPT: int | None = None
"""Labels of an answer that are kept; None: all."""


@dataclass(frozen=True)
class Answers:
    """What the model says of some texts, in their order."""

    labels: NDArray[np.object_]
    """[rows], the most probable label."""
    probabilities: NDArray[np.float32]
    """[rows, classes], calibrated, in the order of the signature's labels, or of what is `listed`."""
    embeddings: NDArray[np.float32]
    """[rows, width], of length 1."""
    in_scope: NDArray[np.bool_] | None = field(default=None, kw_only=True)
    """[rows], whether a text has one of the labels at all; None where the model takes every text."""
    listed: NDArray[np.int64] | None = field(default=None, kw_only=True)
    """[rows, places], the labels that `probabilities` are of, by number, -1 for none; None where they are of all."""

    @property
    def confidence(self) -> NDArray[np.float32]:
        """[rows], the probability of the answered label."""
        highest: NDArray[np.float32] = self.probabilities.max(axis=1, initial=0.0)
        return highest


def kept(model: "Model", texts: Sequence[str]) -> Answers:
    """What a release keeps of a model's answers to cleaned texts, and what is written of them: all there is."""
    found: Answers = model.predict(texts, cleaned=True)
    return found


def named(listed: NDArray[np.int64], labels: Sequence[str]) -> list[list[str]]:
    """Lists [rows, places] of labels by number, -1 for none, by their names."""
    return [[labels[at] for at in row if at >= 0] for row in listed.tolist()]


def cleaning(policy: Callable[[str], str] | None) -> Callable[[str], str] | None:
    """What is done to a text before it is read: what the text policy says."""
    return policy


def probe(tokens: int) -> str:
    """A text of so many tokens, with the two that mark start and end."""
    return "a " * (tokens - 2)
