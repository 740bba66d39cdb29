"""The answers of a base to what the ONNX graph makes of texts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks import calibration, nearest, search
from tasks.core.errors import StageError
from tasks.kinds.common.serve import KEPT, Answers, cleaning, kept, probe

if TYPE_CHECKING:
    from tasks.answer_base import Changes, Embed
    from tasks.inference import Signature

__all__ = ["KEPT", "OUTPUTS", "answering", "cleaning", "kept", "probe"]

OUTPUTS = ("embedding",)
"""The outputs of the graph that an answer is made of."""


@dataclass(frozen=True)
class Found(Answers):
    """Labels of the nearest entries, and how near those are."""

    similarities: NDArray[np.float32]
    """[rows, classes], the cosine of the nearest entry of each label; of a large base for those that were found."""


@dataclass(frozen=True)
class Answering:
    """A base that is searched, and the temperature that makes probabilities of its similarities."""

    released: search.Base
    """As the release brought it; `index` has the changes since."""
    known: list[str]
    """The labels of the release."""
    calibrated: Mapping[str, Any]
    names: list[str]
    """The labels of the release, and behind them those that came since."""
    index: search.Exact | nearest.Large
    lists: Any | None = None
    """The index of the released base, where that is large."""

    def __call__(self, outputs: Mapping[str, NDArray[Any]]) -> Found:
        """The answers for a graph's outputs, [rows, ...] each."""
        similarities = self.index.similarities(outputs["embedding"])
        probabilities = calibration.apply(self.calibrated, search.SCALE * similarities).astype(np.float32)
        names = np.array(self.names, dtype=object)
        return Found(names[probabilities.argmax(axis=1)], probabilities, outputs["embedding"], similarities)

    def changed(self, changes: "Changes", embed: "Embed") -> "Answering":
        """The same on the release's base with these changes. Raises StageError where no answer would be left."""
        places, added = changes.standing(self.released.ids, self.released.labels)
        if not places and not added:
            raise StageError(f"Change {changes.version} of the base leaves no answer. Add one, by `tidegate answers`.")
        vectors = self.released.vectors
        new = embed([entry.text for entry in added]) if added else vectors[:0]
        labels = [*(self.released.labels[place] for place in places), *(entry.label for entry in added)]
        names = list(dict.fromkeys([*self.known, *labels]))
        index = nearest.over(self.lists, vectors, places, new, search.owned(labels, names), len(names))
        return replace(self, names=names, index=index)


def answering(folder: Path, signature: "Signature", variant: str) -> Answering:
    """What makes answers of the outputs of a variant.

    Reads `<variant>.answers.npz` of the folder, and `<variant>.answers.index` where the base has one.

    Raises StageError when it is missing or does not go with the signature.
    """
    if variant not in signature.calibration:
        raise StageError(f"signature.json in {folder} has no calibration of {variant}. Export and release again.")
    base = search.read(folder / f"{variant}.{search.FILE}")
    labels = signature.labels
    path = folder / f"{variant}.{nearest.FILE}"
    lists = nearest.open_lists(path, base.vectors) if path.exists() else None
    every = range(len(base.ids))
    index = nearest.over(lists, base.vectors, every, base.vectors[:0], search.owned(base.labels, labels), len(labels))
    return Answering(base, labels, signature.calibration[variant], labels, index, lists)
