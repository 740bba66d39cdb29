"""A trained checkpoint over texts: fp32, the same for the same texts."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import StageError
from tasks.core.progress import progress

if TYPE_CHECKING:
    import torch


class TextModel(ABC):
    """A model and its tokenizer as train wrote them: config, safetensors, tokenizer."""

    def __init__(self, folder: Path, auto: Any) -> None:
        """Load from a local folder and nowhere else, by a class of transformers, `auto`, or by one that is like those.

        Raises StageError when the files do not make a model.
        """
        import torch
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self.tokenizer, self.model = load(folder, auto)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model.eval().to(self.device)
        self.max_length = min(self.tokenizer.model_max_length, self.model.config.max_position_embeddings)

    @property
    def labels(self) -> list[str]:
        """Label names by class index."""
        return labels(self.model)

    @abstractmethod
    def forward(self, inputs: Any) -> "torch.Tensor":
        """What the model says of a batch of tokenized texts, [rows, width]."""

    def outputs(self, texts: Sequence[str], batch_size: int, what: str) -> NDArray[np.float32]:
        """[rows, width] in the order of `texts`; batches hold texts of like length, so that little is padding.

        Raises StageError when some are not finite.
        """
        import torch

        order = np.argsort([len(text) for text in texts], kind="stable")[::-1]
        parts = []
        with torch.inference_mode(), progress(what, len(texts)) as bar:
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                parts.append(self._batch([texts[row] for row in rows]).cpu().numpy())
                bar.update(len(rows))
        result = np.empty((len(texts), parts[0].shape[1]), dtype=np.float32)
        result[order] = np.concatenate(parts)
        broken = int((~np.isfinite(result)).any(axis=1).sum())
        if broken:
            raise StageError(
                f"The checkpoint's answers are not finite for {broken} of {len(texts)} rows of {what}: "
                "training diverged. Lower train.learning_rate and run again."
            )
        return result

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text as the model reads it: with special tokens, cut at `max_length`, not padded."""
        found: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=self.max_length)["input_ids"]
        return found

    def _batch(self, texts: list[str]) -> "torch.Tensor":
        encoded = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_length, return_tensors="pt"
        ).to(self.device)
        return self.forward(encoded)


def load(folder: Path, auto: Any, **more: Any) -> tuple[Any, Any]:
    """Tokenizer and fp32 model of a checkpoint. Raises StageError when the files do not make a model."""
    import torch
    import transformers
    from safetensors import SafetensorError

    try:
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        kind = getattr(transformers, auto) if isinstance(auto, str) else auto
        model: Any = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, **more
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise StageError(f"{folder} holds no readable checkpoint ({reason}). Run the train stage again.") from None
    return tokenizer, model


def labels(model: Any) -> list[str]:
    """Label names by class index, as the configuration of a model has them."""
    names = model.config.id2label
    return [str(names[n]) for n in sorted(names)]
