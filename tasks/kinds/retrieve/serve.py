"""The answers of a base to what the ONNX graph makes of texts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks import calibration, search
from tasks.core.errors import StageError
from tasks.kinds.common.serve import Answers

if TYPE_CHECKING:
    from tasks.inference import Signature

OUTPUTS = ("embedding",)
"""The outputs of the graph that an answer is made of."""


@dataclass(frozen=True)
class Found(Answers):
    """Labels of the nearest entries, and how near those are."""

    similarities: NDArray[np.float32]
    """[rows, classes], the cosine of the nearest entry of each label."""


@dataclass(frozen=True)
class Answering:
    """A base that is searched, and the temperature that makes probabilities of its similarities."""

    index: search.Exact
    labels: NDArray[np.object_]
    calibrated: Mapping[str, Any]

    def __call__(self, outputs: Mapping[str, NDArray[Any]]) -> Found:
        """The answers for a graph's outputs, [rows, ...] each."""
        similarities = self.index.similarities(outputs["embedding"])
        probabilities = calibration.apply(self.calibrated, search.SCALE * similarities).astype(np.float32)
        return Found(self.labels[probabilities.argmax(axis=1)], probabilities, outputs["embedding"], similarities)


def answering(folder: Path, signature: "Signature", variant: str) -> Callable[[Mapping[str, NDArray[Any]]], Found]:
    """What makes answers of the outputs of a variant: reads `<variant>.answers.parquet` of the folder.

    Raises StageError when it is missing or does not go with the signature.
    """
    if variant not in signature.calibration:
        raise StageError(f"signature.json in {folder} has no calibration of {variant}. Export and release again.")
    index = search.read(folder / f"{variant}.{search.FILE}", signature.labels)
    return Answering(index, np.array(signature.labels, dtype=object), signature.calibration[variant])
