"""Texts as token ids, and the batches they go through a model in."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

CHUNK = 8192  # texts tokenized at a time: bounds the memory of the tokenizer's own objects
MEGA = 50  # batches sorted by length together: enough that padding nearly vanishes, few enough that order stays random


@dataclass(frozen=True)
class Tokens:
    """Token ids of many texts, one after the other; text i is `ids[starts[i]:starts[i + 1]]`."""

    ids: np.ndarray  # int32
    starts: np.ndarray  # int64, one more than there are texts
    pad: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per text, special tokens included."""
        return np.diff(self.starts)

    def batch(self, rows: np.ndarray, device: "torch.device") -> dict[str, "torch.Tensor"]:
        """`input_ids` and `attention_mask` of some texts, padded on the right to the longest of them."""
        import torch

        lengths = self.lengths[rows]
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.full(mask.shape, self.pad, dtype=np.int64)
        ids[mask] = np.concatenate([self.ids[self.starts[row] : self.starts[row + 1]] for row in rows])
        inputs = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        return {name: torch.from_numpy(array).to(device, non_blocking=True) for name, array in inputs.items()}


def tokenize(tokenizer: Any, texts: list[str], max_length: int) -> Tokens:
    """Tokenize with a fast tokenizer of transformers, cut to `max_length` tokens."""
    ids, lengths = [], []
    for first in range(0, len(texts), CHUNK):
        chunk = tokenizer(
            texts[first : first + CHUNK], truncation=True, max_length=max_length, return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]  # fmt: skip
        lengths += [len(row) for row in chunk]
        ids.append(np.fromiter((token for row in chunk for token in row), dtype=np.int32))
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return Tokens(np.concatenate(ids), starts, tokenizer.pad_token_id)


def shuffled(lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Row numbers in random batches of like length, every row once.

    Rows are shuffled, sorted by length within mega-batches of 50 batches, and the batches shuffled again.
    """
    order = rng.permutation(len(lengths))
    batches = []
    for first in range(0, len(order), batch_size * MEGA):
        mega = order[first : first + batch_size * MEGA]
        mega = mega[np.argsort(lengths[mega], kind="stable")]
        batches += [mega[start : start + batch_size] for start in range(0, len(mega), batch_size)]
    return [batches[number] for number in rng.permutation(len(batches))]


def by_length(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Row numbers in batches of like length, the same each time."""
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
