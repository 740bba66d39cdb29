"""Stage export: the checkpoint as ONNX variants, each with a calibration of its own."""

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from tasks import verdict
from tasks.core.files import atomic, write_json
from tasks.core.line import Line
from tasks.core.settings import Settings
from tasks.core.stage import run_stage
from tasks.kinds import load

if TYPE_CHECKING:
    import onnx
    import torch

    Tensors = Mapping[str, torch.Tensor]

log = logging.getLogger("tidegate")

SCHEMA = 1


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
    """Write variants/<variant>.onnx, signature.json, and calibration.json with the calibration of each variant.

    A kind may put more files of a variant beside its graph; their names begin with the variant's. The calibration is
    part of the graph where the kind has a head for it, and else of the signature.

    fp32 answers as the torch model does and takes over its calibration. Quantising changes the logits, so int8 has
    another, fitted on its own answers to split/validation.parquet; and likewise a threshold of `scope`, which stands in
    the signature. Raises RejectedError when the quality gate rejects.
    """
    verdict.require(line.file("quality_gate", "verdict.json"))
    kind = load(line.kind, "export")
    module, facts = kind.wrap(line.folder / "train")
    model = to_onnx(module, given := kind.given(facts), kind.CORE, settings.opset, long=True)
    signature = {
        "schema_version": SCHEMA, "kind": line.kind, "inputs": list(given), "outputs": list(kind.OUTPUTS),
        "opset": settings.opset, "variants": {}, **facts,
    }  # fmt: skip
    calibrations = {}
    (out / "variants").mkdir()
    for variant in settings.variants:
        path = out / "variants" / f"{variant}.onnx"
        with atomic(path) as temporary:
            _WRITERS[variant](model, temporary)
            calibrations[variant] = kind.calibration_of(variant, line, temporary, signature)
            if head := kind.calibrator(calibrations[variant]):
                calibrator = to_onnx(head, kind.example(facts), kind.HEAD, settings.opset)
                _write(attach(temporary, calibrator), temporary)
        signature["variants"][variant] = {"file": path.name, "size": path.stat().st_size}
        log.info("%s: %.1f MB, %s", variant, path.stat().st_size / 1e6, calibrations[variant]["method"])
    if not kind.HEAD:
        signature["calibration"] = calibrations
    if bounds := {variant: fitted["scope"] for variant, fitted in calibrations.items() if "scope" in fitted}:
        signature["scope"] = bounds
    write_json(out / "signature.json", signature)
    write_json(out / "calibration.json", calibrations)


def to_onnx(
    module: "torch.nn.Module", example: "Tensors", outputs: Sequence[str], opset: int, long: bool = False
) -> "onnx.ModelProto":
    """Export a module of the named inputs; nothing in it tells where it was made.

    Free are the rows, and where they are `long` the length.
    """
    import torch

    free = ({0: "rows", 1: "length"} if long else {0: "rows"} for _ in example)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx._internal.exporter").setLevel(logging.ERROR)  # it misses torchvision, we do not
        program = torch.onnx.export(
            module, tuple(example.values()), dynamo=True, dynamic_shapes=tuple(free), external_data=False,
            verbose=False, input_names=list(example), output_names=list(outputs), opset_version=opset,
        )  # fmt: skip
    assert program is not None  # noqa: S101 - only without dynamo
    return _stripped(program.model)


def attach(core: Path, head: "onnx.ModelProto") -> "onnx.ModelProto":
    """The graph in the file `core` with `head` behind it: outputs are the head's, then the core's own.

    The head's inputs are outputs of the core, by name.
    """
    import onnx
    from onnx.compose import add_prefix

    whole, head = onnx.load(core), add_prefix(head, "head.", rename_inputs=False, rename_outputs=False)
    whole.graph.node.extend(head.graph.node)
    whole.graph.initializer.extend(head.graph.initializer)
    outputs = [*head.graph.output, *whole.graph.output]
    del whole.graph.output[:]
    whole.graph.output.extend(outputs)
    return whole


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


def _write(model: "onnx.ModelProto", path: Path) -> None:
    path.write_bytes(model.SerializeToString(deterministic=True))


def _write_int8(model: "onnx.ModelProto", path: Path) -> None:
    """Dynamic quantisation, per channel; signed weights are what VNNI multiplies with unsigned activations."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    add_pre_process_metadata(model)  # or it asks on the root logger for a preparation that does not suit these graphs
    quantize_dynamic(model, os.fspath(path), per_channel=True, weight_type=QuantType.QInt8)


_WRITERS = {"fp32": _write, "int8": _write_int8}


if __name__ == "__main__":
    run_stage(export)
