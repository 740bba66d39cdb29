"""A checkpoint to export, and its graph as it answers before it is whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.line import Line
from tasks.inference import Model, Signature, open_session, read_tokenizer
from tasks.kinds.common.checkpoint import labels, load

if TYPE_CHECKING:
    import torch


def to_wrap(checkpoint: Path, auto: Any) -> tuple[Any, dict[str, Any]]:
    """The model of a checkpoint, and what its signature says of it: labels, max_length and pad_id.

    Attention is exported in its plain form: onnxruntime quantises and runs it faster than the fused operator.
    """
    tokenizer, model = load(checkpoint, auto, attn_implementation="eager")
    facts = {
        "labels": labels(model),
        "max_length": min(tokenizer.model_max_length, model.config.max_position_embeddings),
        "pad_id": tokenizer.pad_token_id or 0,
    }
    return model, facts


def given(_facts: Mapping[str, Any]) -> "dict[str, torch.Tensor]":
    """Token ids to export a graph with: two rows of different length, for a batch of one would be taken for fixed."""
    import torch

    return {
        "input_ids": torch.ones((2, 8), dtype=torch.int64),
        "attention_mask": torch.tensor([[1] * 8, [1] * 5 + [0] * 3]),
    }


def core_model(variant: str, line: Line, core: Path, signature: Mapping[str, Any]) -> Model:
    """The graph in the file `core`, for its outputs alone."""
    told = Signature.model_validate(signature)
    tokenizer = read_tokenizer(line.file("train", "tokenizer.json"), told.max_length)
    return Model(told, variant, open_session(core), tokenizer)
