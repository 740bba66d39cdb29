"""A window of rows as columns: the reference that a release brings, and the current one of the prediction log."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """Rows of one line, in any order; every column has one entry a row."""

    text: Sequence[str | None]
    """Masked; None where the prediction log keeps no texts."""
    label: Sequence[str]
    """What the model said."""
    probabilities: NDArray[np.float32]
    """[rows, classes], calibrated, in the order of the release's labels."""
    projection: NDArray[np.float32]
    """[rows, width]: embeddings by serving.log.projection; width 0 where there are none."""
    characters: NDArray[np.int32]
    words: NDArray[np.int32]
    non_letters: NDArray[np.float32]
    script: Sequence[str]
    script_share: NDArray[np.float32]
    true_label: Sequence[str | None]
    """The label by people; None where none has come."""

    @classmethod
    def joined(cls, parts: "Sequence[Window]") -> "Window":
        """The rows of several windows, one after the other; there must be one at least."""

        def together(columns: list[Any]) -> Any:
            return _stacked(columns) if isinstance(columns[0], np.ndarray) else list(chain(*columns))

        return cls(**{field.name: together([getattr(part, field.name) for part in parts]) for field in fields(cls)})

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: NDArray[np.integer] | Sequence[int]) -> "Window":
        """The rows at these places, in their order."""
        places = np.asarray(rows, np.int64)

        def taken(column: Any) -> Any:
            return column[places] if isinstance(column, np.ndarray) else [column[place] for place in places]

        return Window(**{field.name: taken(getattr(self, field.name)) for field in fields(self)})


def _stacked(parts: "list[NDArray[Any]]") -> "NDArray[Any]":
    """One below the other, NaN behind rows that are shorter: answers may have been added between two windows."""
    widest = max(part.shape[1] for part in parts) if parts[0].ndim == 2 else 0
    if all(part.ndim == 1 or part.shape[1] == widest for part in parts):
        return np.concatenate(parts)
    return np.concatenate(
        [np.pad(part, ((0, 0), (0, widest - part.shape[1])), constant_values=np.nan) for part in parts]
    )
