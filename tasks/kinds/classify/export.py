"""A classifier to export: token ids in, logits and an embedding out; and behind it a calibration, probabilities out."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tasks import calibration, scope
from tasks.core.errors import StageError
from tasks.core.files import read_json, read_parquet
from tasks.core.line import Line
from tasks.kinds.classify.shared.model import loader
from tasks.kinds.common.export import core_model, given, to_wrap
from tasks.kinds.common.pooling import pooled

__all__ = ["CORE", "HEAD", "OUTPUTS", "calibration_of", "calibrator", "example", "given", "wrap"]

CORE = ("logits", "embedding")
HEAD = ("probabilities",)
OUTPUTS = HEAD + CORE


class Classifier(nn.Module):
    """`(input_ids, attention_mask)`, int64 [rows, length] each, to CORE, float32.

    logits [rows, classes], not calibrated; embedding [rows, width], the mean of the last hidden states of real tokens,
    of length 1.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Both outputs."""
        answer = self.model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True)
        return answer.logits, pooled(answer.hidden_states[-1], attention_mask)


class Scaled(nn.Module):
    """Temperature and vector scaling: `softmax(logits * weights + bias)`."""

    weights: Tensor
    bias: Tensor

    def __init__(self, weights: Any, bias: Any = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32))
        self.register_buffer("bias", torch.tensor(bias, dtype=torch.float32))

    def forward(self, logits: Tensor) -> Tensor:
        """Probabilities [rows, classes]."""
        return torch.softmax(logits * self.weights + self.bias, dim=-1)


class Isotonic(nn.Module):
    """Each class's softmax probability through its piecewise linear curve, then divided by the row's sum.

    A curve is its first value plus every step's rise times the share of the step that lies below the probability.
    """

    x: Tensor
    width: Tensor
    rise: Tensor
    first: Tensor

    def __init__(self, knots: list[dict[str, list[float]]]) -> None:
        super().__init__()
        steps = max(len(curve["x"]) - 1 for curve in knots)
        self.register_buffer("x", torch.tensor([_padded(curve["x"][:-1], steps, 2.0) for curve in knots]))
        self.register_buffer("width", torch.tensor([_padded(_steps(curve["x"]), steps, 1.0) for curve in knots]))
        self.register_buffer("rise", torch.tensor([_padded(_steps(curve["y"]), steps, 0.0) for curve in knots]))
        self.register_buffer("first", torch.tensor([curve["y"][0] for curve in knots]))

    def forward(self, logits: Tensor) -> Tensor:
        """Probabilities [rows, classes]."""
        plain = torch.softmax(logits, dim=-1).unsqueeze(-1)
        curves = self.first + (((plain - self.x) / self.width).clamp(0, 1) * self.rise).sum(dim=-1)
        return curves / curves.sum(dim=-1, keepdim=True)


def calibrator(fitted: Mapping[str, Any]) -> nn.Module:
    """The module that does what `tasks.calibration.apply` does. Raises StageError on an unknown method."""
    match fitted["method"]:
        case "temperature":
            return Scaled(1 / fitted["temperature"])
        case "vector":
            return Scaled(fitted["weights"], fitted["bias"])
        case "isotonic":
            return Isotonic(fitted["knots"])
        case method:
            raise StageError(
                f"Calibration method {method!r} cannot be exported; temperature, vector and isotonic can. "
                "Set evaluate.calibration to one of them."
            )


def example(facts: Mapping[str, Any]) -> dict[str, Tensor]:
    """What a calibrator is exported with: the logits of two rows."""
    return {"logits": torch.zeros((2, len(facts["labels"])))}


def calibration_of(variant: str, line: Line, core: Path, signature: Mapping[str, Any]) -> dict[str, Any]:
    """The calibration of a variant whose graph without one is the file `core`.

    That of evaluate for fp32; for others the same method, fitted on what the graph itself says of the validation rows.
    So is the threshold below which a text is out of scope, where the line has one: `scope`.
    """
    known: dict[str, Any] = read_json(line.file("evaluate", "calibration.json"))
    if variant == "fp32":
        return known
    rows = read_parquet(line.file("split", "validation.parquet"), ["text", "label"])
    model = core_model(variant, line, core, signature)
    logits = model.run(rows["text"].tolist(), CORE)["logits"]
    actual = rows["label"].map(model.signature.labels.index).to_numpy()
    fitted = calibration.fit(logits, actual, known["method"])[0]
    if "scope" in known:
        strange = read_parquet(line.file("split", scope.FILE), ["text", "side"])
        texts = strange["text"][strange["side"].isin(scope.FITTING)].tolist()
        fitted["scope"] = _bound(known["scope"], fitted, logits, model.run(texts, CORE)["logits"])
    return fitted


def _bound(known: Mapping[str, Any], fitted: Mapping[str, Any], validation: Any, strange: Any) -> dict[str, Any]:
    """The threshold on other logits, fitted to what `known` was fitted to."""
    name = known["score"]
    inside, outside = (scope.scores(name, z, calibration.apply(fitted, z)) for z in (validation, strange))
    return scope.fit(inside, outside, {key: known[key] for key in scope.ScopeSettings.model_fields})


def wrap(checkpoint: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The module to export for a checkpoint, and what its signature says of it: labels, max_length and pad_id."""
    model, facts = to_wrap(checkpoint, loader(checkpoint))
    return Classifier(model).eval(), facts


def _steps(values: list[float]) -> list[float]:
    return [b - a for a, b in pairwise(values)]


def _padded(values: list[float], length: int, filler: float) -> list[float]:
    return values + [filler] * (length - len(values))
