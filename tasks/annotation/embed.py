"""Texts as vectors of a base model, for where there is no champion yet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import SourceError
from tasks.core.progress import progress
from tasks.inference import batches

TOKENS = 4_096  # in a batch, padding included


def embed(texts: Sequence[str], folder: Path, max_length: int = 128) -> NDArray[np.float32]:
    """Vectors [texts, width] of length 1: the mean of the last hidden states of a text's tokens.

    `folder` is a base model as tasks.encoders.locate gives it; texts are cut at `max_length` tokens. Raises SourceError
    where it cannot be loaded.
    """
    import torch

    model, tokenizer = _load(folder)
    ids = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"] if len(texts) else []
    result = np.empty((len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode(), progress("embed", len(texts)) as bar:
        for rows in batches([len(each) for each in ids], TOKENS):
            encoded = tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt").to(model.device)
            mask = encoded["attention_mask"][:, :, None]
            states = (model(**encoded).last_hidden_state * mask).sum(1) / mask.sum(1)
            result[rows] = torch.nn.functional.normalize(states).cpu().numpy()
            bar.update(len(rows))
    return result


def _load(folder: Path) -> tuple[Any, Any]:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(
            f"The base model in {folder} cannot be loaded ({reason}). Look at train.base_model."
        ) from None
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer
