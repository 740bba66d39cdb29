"""The trained classifier over texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.kinds.common.checkpoint import TextModel

if TYPE_CHECKING:
    import torch


class Checkpoint(TextModel):
    """A sequence classifier."""

    def __init__(self, folder: Path) -> None:
        """Raises StageError when the files do not make a model."""
        from tasks.kinds.classify.shared.model import loader

        super().__init__(folder, loader(folder))

    def logits(self, texts: Sequence[str], batch_size: int, what: str) -> NDArray[np.float32]:
        """[rows, classes] in the order of `texts`. Raises StageError when some are not finite."""
        return self.outputs(texts, batch_size, what)

    def forward(self, inputs: Any) -> "torch.Tensor":
        """Logits of a batch."""
        logits: torch.Tensor = self.model(**inputs).logits
        return logits
