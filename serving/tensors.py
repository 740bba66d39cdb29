"""The wire format of the Open Inference Protocol's REST `infer`: JSON, with tensors beside it as bytes where asked.

The JSON comes first and `Inference-Header-Content-Length` says where it ends; the tensors follow in the order in which
they are named. A BYTES tensor is its elements, each behind its length in four bytes, least significant first.
"""

import math
import struct
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from serving.problems import Refused, faults, invalid
from serving.strict import NotJson, loads

JSON_LENGTH = "Inference-Header-Content-Length"
INPUT = "text"
OUTPUTS = ("label", "probabilities", "in_scope")
"""The last one by releases alone that tell it."""
_LENGTH = struct.Struct("<I")

Name = Annotated[str, Field(max_length=100)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class TensorParameters(_Part):
    """How a tensor travels."""

    binary_data_size: int | None = Field(None, ge=0, description="Bytes behind the JSON that are this input.")
    binary_data: bool | None = Field(None, description="Whether this output is wanted behind the JSON.")


class InputTensor(_Part):
    """The texts: `text`, BYTES, [n] or [n, 1]."""

    name: Name
    datatype: Name
    shape: list[Annotated[int, Field(ge=0)]] = Field(min_length=1, max_length=2)
    data: list[Any] | None = None
    parameters: TensorParameters = TensorParameters()


class OutputTensor(_Part):
    """An output that is wanted: `label`, `probabilities` or `in_scope`."""

    name: Name
    parameters: TensorParameters = TensorParameters()


class InferParameters(_Part):
    """Of the request as a whole."""

    binary_data_output: bool = Field(False, description="Whether outputs are wanted behind the JSON.")
    timeout: int | None = Field(None, ge=1, description="Microseconds after which nobody wants the answer.")


class Infer(_Part):
    """A request for inference."""

    id: Annotated[str, Field(max_length=100)] | None = None
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[OutputTensor] | None = Field(None, max_length=len(OUTPUTS))
    parameters: InferParameters = InferParameters()


def schema() -> dict[str, Any]:
    """The JSON Schema of a request, complete in itself: OpenAPI finds no definitions inside one route."""
    whole = Infer.model_json_schema()
    found: dict[str, Any] = _inlined(whole, whole.pop("$defs"))
    return found


def _inlined(part: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_inlined(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _inlined(definitions[part["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(value, definitions) for name, value in part.items()}


def read(body: bytes, json_length: str | None) -> tuple[Infer, list[str]]:
    """A request and its texts. Raises Refused (422) on what is not as the protocol has it."""
    length = _json_length(json_length, len(body))
    try:
        asked = Infer.model_validate(loads(body[:length]))
    except NotJson as error:
        raise Refused(422, "invalid", f"The body is no valid JSON: {error}") from None
    except ValidationError as error:
        raise faults(error.errors(include_url=False, include_input=False)) from None
    for output in asked.outputs or ():
        if output.name not in OUTPUTS:
            raise invalid("outputs", f"there are {', '.join(OUTPUTS)}")
    return asked, _texts(asked.inputs[0], body[length:])


def _json_length(given: str | None, size: int) -> int:
    if given is None:
        return size
    if not (given.isascii() and given.isdecimal()) or int(given[:12]) > size:
        raise invalid(JSON_LENGTH, f"must be the length of the JSON, of {size:,} bytes in the body")
    return int(given)


def _texts(tensor: InputTensor, beside: bytes) -> list[str]:
    if tensor.name != INPUT or tensor.datatype != "BYTES":
        raise invalid("inputs.0", f"the input is {INPUT}, of datatype BYTES")
    size = tensor.parameters.binary_data_size
    if (size or 0) != len(beside):
        raise invalid("inputs.0", f"binary_data_size is {size or 0}; {len(beside):,} bytes follow the JSON")
    if (size is None) == (tensor.data is None):
        raise invalid("inputs.0", "needs either `data` or bytes behind the JSON")
    texts = _flat(tensor.data) if tensor.data is not None else _decoded(beside)
    if math.prod(tensor.shape) != len(texts) or tensor.shape[1:] not in ([], [1]):
        raise invalid("inputs.0.shape", f"must be [n] or [n, 1], and {len(texts):,} texts came")
    return texts


def _flat(data: Sequence[Any]) -> list[str]:
    """Texts, also where each stands in a list of its own as the shape [n, 1] has it."""
    texts = [item[0] if isinstance(item, list) and len(item) == 1 else item for item in data]
    wrong = next((n for n, text in enumerate(texts) if not isinstance(text, str)), None)
    if wrong is not None:
        raise invalid(f"inputs.0.data.{wrong}", "is no text")
    return texts


def _decoded(content: bytes) -> list[str]:
    texts: list[str] = []
    at = 0
    while at < len(content):
        if at + _LENGTH.size > len(content):
            raise invalid("inputs.0", f"the bytes of text {len(texts)} are cut off")
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(content, at)[0]
        if at > len(content):
            raise invalid("inputs.0", f"the bytes of text {len(texts)} are cut off")
        try:
            texts.append(content[start:at].decode("utf-8"))
        except UnicodeDecodeError:
            raise invalid("inputs.0", f"text {len(texts)} is not UTF-8") from None
    return texts


def write(
    asked: Infer,
    about: dict[str, Any],
    labels: Sequence[str],
    probabilities: NDArray[np.float32],
    in_scope: Sequence[bool] | None = None,
) -> tuple[bytes, int | None]:
    """The body of the answer, and the length of its JSON where tensors follow it. `about` opens the JSON.

    Raises Refused (422) where `in_scope` is wanted and is None: the release does not tell it.
    """
    known = OUTPUTS if in_scope is not None else OUTPUTS[:2]
    outputs, beside = [], []
    for output in asked.outputs or [OutputTensor(name=name) for name in known]:
        if output.name not in known:
            raise invalid("outputs", f"this release gives {', '.join(known)}")
        tensor, data, packed = _tensor(output.name, labels, probabilities, in_scope or ())
        if _binary(output, asked):
            beside.append(packed)
            tensor["parameters"] = {"binary_data_size": len(packed)}
        else:
            tensor["data"] = data
        outputs.append({"name": output.name, **tensor})
    content = to_json(about | ({"id": asked.id} if asked.id else {}) | {"outputs": outputs})
    return content + b"".join(beside), len(content) if beside else None


def _tensor(
    name: str, labels: Sequence[str], probabilities: NDArray[np.float32], in_scope: Sequence[bool]
) -> tuple[dict[str, Any], list[Any], bytes]:
    """Type and shape of an output, its elements, and these as bytes."""
    match name:
        case "label":
            return {"datatype": "BYTES", "shape": [len(labels)]}, list(labels), _encoded(labels)
        case "in_scope":
            return {"datatype": "BOOL", "shape": [len(in_scope)]}, list(in_scope), bytes(in_scope)
    told = {"datatype": "FP32", "shape": list(probabilities.shape)}
    return told, probabilities.astype(float).ravel().tolist(), probabilities.astype("<f4").tobytes()


def _binary(output: OutputTensor, asked: Infer) -> bool:
    own = output.parameters.binary_data
    return asked.parameters.binary_data_output if own is None else own


def _encoded(labels: Sequence[str]) -> bytes:
    return b"".join(_LENGTH.pack(len(label)) + label for label in (str(name).encode() for name in labels))
