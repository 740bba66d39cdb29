"""What the prediction log is told: a request's answers, and the labels that come later."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Role = Literal["champion", "canary", "shadow"]
"""Whose answer it is. A shadow's is logged and never returned."""


@dataclass(frozen=True)
class Answered:
    """The answers to one request, in the order of its texts."""

    request_id: str
    time: datetime
    """When the request came, UTC."""
    line: str
    release: str
    variant: str
    role: Role
    source: str
    """Who asked: the name that the API key stands for, `anonymous` without keys."""
    texts: Sequence[str]
    """As the text policy of the release left them: masked."""
    labels: Sequence[str]
    probabilities: NDArray[np.float32]
    """[texts, classes], calibrated, in the order of the release's labels, or of what is `listed`."""
    embeddings: NDArray[np.float32]
    """[texts, width]"""
    latency_ms: float
    """From the arrival of the request to its answer, queue included."""
    in_scope: Sequence[bool | None] | None = None
    """[texts], whether a text has one of the labels at all; None where the release takes every text."""
    listed: Sequence[Sequence[str]] | None = None
    """[texts], the labels that were given as a list, the best first; None where the best alone was."""


@dataclass(frozen=True)
class Feedback:
    """The true label of one text of an earlier request."""

    request_id: str
    position: int
    """Of the text in its request, from 0."""
    line: str
    label: str
    time: datetime
    source: str


class Recorder(Protocol):
    """Where answers and feedback go. Both calls return soon, from any thread, and never raise for want of room.

    What cannot be kept is dropped and counted.
    """

    def answered(self, answers: Answered) -> None:
        """Keep the answers to one request."""

    def feedback(self, given: Feedback) -> None:
        """Keep the true label of a text, whether or not its answer has been drained into the database."""
