"""Stage export: the checkpoint as ONNX variants that answer with calibrated probabilities, logits and an embedding."""

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from tasks import verdict
from tasks.core.files import atomic, read_json, write_json
from tasks.core.line import Line
from tasks.core.settings import Settings
from tasks.core.stage import run_stage
from tasks.kinds import load

if TYPE_CHECKING:
    import onnx
    import torch

log = logging.getLogger("tidegate")

SCHEMA = 1
INPUTS = ("input_ids", "attention_mask")


class ExportSettings(Settings, block="export"):
    """What the ONNX variants are made like."""

    opset: int = Field(20, ge=18, le=25, description="ONNX operator set; 20 is the first with its own Gelu.")
    variants: tuple[Literal["fp32", "int8"], ...] = Field(
        ("fp32", "int8"), description="fp32 is what int8 is made from and measured against; it is always made."
    )

    @field_validator("variants")
    @classmethod
    def _fp32_first(cls, variants: tuple[str, ...]) -> tuple[str, ...]:
        if "fp32" not in variants or len(set(variants)) != len(variants):
            raise ValueError("variants must be [fp32] or [fp32, int8]: int8 is made from fp32")
        return tuple(sorted(variants))


def export(line: Line, settings: ExportSettings, out: Path) -> None:
    """Write variants/<variant>.onnx and signature.json. Raises RejectedError when the quality gate rejects."""
    verdict.require(line.file("quality_gate", "verdict.json"))
    kind = load(line.kind, "export")
    module, facts = kind.wrap(line.folder / "train", read_json(line.file("evaluate", "calibration.json")))
    model = to_onnx(module, kind.OUTPUTS, settings.opset)
    (out / "variants").mkdir()
    for variant in settings.variants:
        path = out / "variants" / f"{variant}.onnx"
        with atomic(path) as temporary:
            _WRITERS[variant](model, temporary)
        log.info("%s: %.1f MB", variant, path.stat().st_size / 1e6)
    sizes = {
        name: {"file": f"{name}.onnx", "size": (out / "variants" / f"{name}.onnx").stat().st_size}
        for name in settings.variants
    }
    signature = {
        "schema_version": SCHEMA, "kind": line.kind, "inputs": list(INPUTS), "outputs": list(kind.OUTPUTS),
        "opset": settings.opset, "variants": sizes, **facts,
    }  # fmt: skip
    write_json(out / "signature.json", signature)


def to_onnx(module: "torch.nn.Module", outputs: Sequence[str], opset: int) -> "onnx.ModelProto":
    """Export a module of (input_ids, attention_mask), rows and length free; nothing in it tells where it was made."""
    import torch

    # two rows of different length: a batch of one would be taken for a constant
    ids = torch.ones((2, 8), dtype=torch.int64)
    mask = torch.tensor([[1] * 8, [1] * 5 + [0] * 3])
    axes = {0: "rows", 1: "length"}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx._internal.exporter").setLevel(logging.ERROR)  # it misses torchvision, we do not
        program = torch.onnx.export(
            module, (ids, mask), dynamo=True, dynamic_shapes=(axes, axes), external_data=False, verbose=False,
            input_names=list(INPUTS), output_names=list(outputs), opset_version=opset,
        )  # fmt: skip
    assert program is not None  # noqa: S101 - only without dynamo
    return _stripped(program.model)


def _stripped(model: Any) -> "onnx.ModelProto":
    """The model without source paths, stack traces and shape guesses, and no inner value named like an output."""
    from onnxscript import ir

    outputs = {id(value): value.name for value in model.graph.outputs}
    for node in model.graph.all_nodes():
        node.doc_string = None
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
            if id(value) not in outputs and value.name in outputs.values():
                value.name = f"inner_{value.name}"
    for part in (model, model.graph, *model.graph.inputs, *model.graph.initializers.values()):
        part.metadata_props.clear()
        part.doc_string = None
    proto: onnx.ModelProto = ir.to_proto(model)
    del proto.graph.value_info[:]  # quantisation fails on them
    return proto


def _write_fp32(model: "onnx.ModelProto", path: Path) -> None:
    path.write_bytes(model.SerializeToString(deterministic=True))


def _write_int8(model: "onnx.ModelProto", path: Path) -> None:
    """Dynamic quantisation, per channel; signed weights are what VNNI multiplies with unsigned activations."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    add_pre_process_metadata(model)  # or it asks on the root logger for a preparation that does not suit these graphs
    quantize_dynamic(model, os.fspath(path), per_channel=True, weight_type=QuantType.QInt8)


_WRITERS = {"fp32": _write_fp32, "int8": _write_int8}


if __name__ == "__main__":
    run_stage(export)
