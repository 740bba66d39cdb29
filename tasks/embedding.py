"""The embedding in training: only the rows that the data can touch, and its output in the precision of the rest."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle


class OccurringRows(nn.Embedding):
    """The rows of an embedding for the tokens that occur; token ids stay what they were.

    A row of a token that never occurs gets no gradient, and AdamW without decay leaves it as it is: training the
    others alone is the same computation. Of MiniLM's 30,522 rows some 12,000 occur in 7,400 sentences, of the 250,002
    of a multilingual model far fewer.
    """

    place: torch.Tensor  # [vocabulary] row of each token among those kept
    kept: torch.Tensor  # [rows] token of each kept row

    def __init__(self, full: nn.Embedding, tokens: np.ndarray) -> None:
        """`tokens`: the ids that occur, sorted."""
        kept = torch.from_numpy(tokens).long()
        place = torch.zeros(full.num_embeddings, dtype=torch.long)
        place[kept] = torch.arange(len(kept))
        padding = None if full.padding_idx is None else int(place[full.padding_idx])
        super().__init__(len(kept), full.embedding_dim, padding, _weight=full.weight.detach()[kept].clone())
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("kept", kept, persistent=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Embeddings of token ids."""
        return super().forward(self.place[input])


def shrink(model: Any, ids: np.ndarray, pad: int) -> nn.Embedding | None:
    """Put `OccurringRows` into a transformers model and return the full embedding, for `restore`.

    None, and nothing changes, when the model's input embedding is not a plain one.
    """
    full = model.get_input_embeddings()
    if type(full) is not nn.Embedding or not full.weight.requires_grad:
        return None
    model.set_input_embeddings(OccurringRows(full, np.union1d(ids, [pad])))
    return full


def restore(model: Any, full: nn.Embedding | None) -> None:
    """Write the trained rows into the full embedding and put it back."""
    if full is None:
        return
    small = model.get_input_embeddings()
    with torch.no_grad():
        full.weight[small.kept.to(full.weight.device)] = small.weight.to(full.weight.device)
    model.set_input_embeddings(full)


def compute_in_bf16(model: Any) -> RemovableHandle | None:
    """Let what follows the embeddings run in bf16 altogether where a model has them in a module of their own.

    Under autocast on a CPU, norms and sums keep the type of their input: with embeddings in fp32 every linear layer
    would convert its input anew. Returns what takes it back.
    """
    embeddings = getattr(model.base_model, "embeddings", None)
    return embeddings.register_forward_hook(_to_bf16) if isinstance(embeddings, nn.Module) else None


def _to_bf16(module: nn.Module, inputs: Any, output: Any) -> Any:  # noqa: ARG001
    return output.to(torch.bfloat16) if isinstance(output, torch.Tensor) else output
