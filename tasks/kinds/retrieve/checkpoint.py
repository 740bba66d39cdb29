"""The trained encoder over texts, with the base in which it finds their answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks import search
from tasks.core.files import read_parquet
from tasks.kinds.common.checkpoint import TextModel
from tasks.kinds.common.pooling import pooled

if TYPE_CHECKING:
    import torch


class Checkpoint(TextModel):
    """An encoder; what it says of a label is how near the nearest entry of that label lies."""

    def __init__(self, folder: Path, base: Path, batch_size: int) -> None:
        """`base` is a table of the entries' text and label. Raises StageError when files do not make a model."""
        super().__init__(folder, "AutoModel")
        entries = read_parquet(base, ["text", "label"])
        vectors = self.outputs(entries["text"].tolist(), batch_size, "base")
        self.index = search.Exact(vectors, search.owned(entries["label"].tolist(), self.labels), len(self.labels))

    def logits(self, texts: Sequence[str], batch_size: int, what: str) -> NDArray[np.float32]:
        """[rows, labels], similarities times search.SCALE. Raises StageError when embeddings are not finite."""
        return np.float32(search.SCALE) * self.index.similarities(self.outputs(texts, batch_size, what))

    def forward(self, inputs: Any) -> "torch.Tensor":
        """Embeddings of a batch."""
        return pooled(self.model(**inputs).last_hidden_state, inputs["attention_mask"])
