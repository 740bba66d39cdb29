"""A text's embedding out of the hidden states of its tokens."""

from torch import Tensor, nn


def pooled(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """[rows, width] of length 1: the mean of the hidden states [rows, length, width] of real tokens."""
    real = attention_mask.unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
    return nn.functional.normalize(mean, dim=-1)
