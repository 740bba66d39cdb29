"""An encoder to export: token ids in, an embedding out; and beside it the base of its answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from tasks import calibration, nearest, search
from tasks.core.errors import StageError
from tasks.core.files import read_json, read_parquet
from tasks.core.line import Line
from tasks.kinds.common.export import core_model, given, to_wrap
from tasks.kinds.common.pooling import pooled

__all__ = ["CORE", "HEAD", "OUTPUTS", "calibration_of", "calibrator", "example", "given", "wrap"]

CORE = ("embedding",)
HEAD: tuple[str, ...] = ()
OUTPUTS = CORE


class Encoder(nn.Module):
    """`(input_ids, attention_mask)`, int64 [rows, length] each, to CORE, float32 [rows, width] of length 1."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The embedding: the mean of the last hidden states of real tokens."""
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return pooled(hidden, attention_mask)


def calibrator(fitted: Mapping[str, Any]) -> None:
    """None: probabilities are made behind the search. Raises StageError on a calibration with parameters per label."""
    if fitted["method"] != "temperature":
        raise StageError(
            f"Calibration method {fitted['method']!r} has parameters for each label, but answers come and go. "
            "Set evaluate.calibration to temperature or auto."
        )


def calibration_of(variant: str, line: Line, core: Path, signature: Mapping[str, Any]) -> dict[str, Any]:
    """The calibration of a variant whose graph is the file `core`; writes `<variant>.answers.npz` beside it.

    The base is split/train.parquet, embedded by the graph itself, ordered by id; a large one gets an index, the file
    `<variant>.answers.index`. The calibration is that of evaluate for fp32; for others, and where answers are made of
    the nearest entries alone, a temperature fitted on how near the validation rows lie to the base.
    """
    model = core_model(variant, line, core, signature)
    labels = model.signature.labels
    entries = read_parquet(line.file("split", "train.parquet"), search.COLUMNS).sort_values("id")
    ids, texts, owners = (entries[name].tolist() for name in search.COLUMNS)
    vectors = model.run(texts, CORE)["embedding"]
    large = len(ids) >= nearest.LARGE
    search.write(core.with_name(f"{variant}.{search.FILE}"), search.Base(ids, texts, owners, vectors))
    if large:
        nearest.write(core.with_name(f"{variant}.{nearest.FILE}"), vectors)
    known: dict[str, Any] = read_json(line.file("evaluate", "calibration.json"))
    if variant == "fp32" and not large:
        return known
    rows = read_parquet(line.file("split", "validation.parquet"), ["text", "label"])
    asked, numbers = model.run(rows["text"].tolist(), CORE)["embedding"], search.owned(owners, labels)
    if large:
        similarities = nearest.spread(nearest.exact(vectors, asked, nearest.ASKED), numbers, len(labels))
    else:
        similarities = search.Exact(vectors, numbers, len(labels)).similarities(asked)
    actual = rows["label"].map(labels.index).to_numpy(dtype=np.int64)
    return calibration.fit(search.SCALE * similarities, actual, known["method"])[0]


def example(facts: Mapping[str, Any]) -> dict[str, Tensor]:  # noqa: ARG001
    """Nothing: there is no head to export."""
    return {}


def wrap(checkpoint: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The module to export for a checkpoint, and what its signature says of it: labels, max_length and pad_id."""
    model, facts = to_wrap(checkpoint, "AutoModel")
    return Encoder(model).eval(), facts
