"""The Open Inference Protocol v2, so that its clients (tritonclient, KServe) find a line as a model."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from pydantic_core import to_json

from serving import tensors
from serving.errors import NotReady
from serving.hub import Reply, ServedLine
from serving.problems import Refused
from serving.service import Service
from serving.visit import request_id, visit

NAME = "tidegate"
EXTENSIONS = ["binary_tensor_data"]


class V2Problem(BaseModel):
    """Why a request was not answered as asked."""

    error: str


STATUSES = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503, 504)
REFUSALS: dict[int | str, dict[str, Any]] = {status: {"model": V2Problem} for status in STATUSES}
VERSION = {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}
INFER_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": tensors.schema()},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def routes(service: Service) -> APIRouter:
    """The routes below /v2."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"], responses=REFUSALS)

    @router.get("", summary="The server")
    async def server() -> Response:
        from importlib.metadata import version

        return _json({"name": NAME, "version": version(NAME), "extensions": EXTENSIONS})

    @router.get("/health/live", summary="Whether the process answers")
    async def live() -> Response:
        return _json({"live": True})

    @router.get("/health/ready", summary="Whether every line has its release loaded and warm")
    async def ready() -> Response:
        return _ready(service.hub.ready())

    for at in ("", "/versions/{version}"):
        _model_routes(router, service, f"/models/{{line}}{at}")
    return router


def _model_routes(router: APIRouter, service: Service, path: str) -> None:
    """The three routes of a model, whose path may name a version."""

    extra: dict[str, Any] = {"parameters": [VERSION]} if "{version}" in path else {}

    @router.get(path, summary="A line as a model", openapi_extra=extra)
    async def model(request: Request, line: str) -> Response:
        served = service.line(request, line)
        _the_version(request, served)
        return _json(_metadata(served))

    @router.get(f"{path}/ready", summary="Whether a line answers", openapi_extra=extra)
    async def model_ready(request: Request, line: str) -> Response:
        served = service.line(request, line)
        if served.champion is not None:
            _the_version(request, served)
        return _ready(served.champion is not None, line)

    @router.post(f"{path}/infer", summary="Label texts", openapi_extra=extra | INFER_BODY)
    async def infer(request: Request, line: str) -> Response:
        served = service.line(request, line)
        wanted = _the_version(request, served)
        asked, texts = tensors.read(await request.body(), request.headers.get(tensors.JSON_LENGTH))
        here = visit(request.scope)
        if asked.id:
            here.request_id = request_id(asked.id)
        limit = None if asked.parameters.timeout is None else asked.parameters.timeout / 1000
        reply = await service.answer(request, served, texts, limit)
        if wanted and wanted not in (reply.release, reply.version):
            raise _no_version(line, wanted, reply.release)
        about = {
            "model_name": line,
            "model_version": reply.release,
            "parameters": {
                "request_id": here.request_id, "version": reply.version, "variant": reply.variant, "role": reply.role,
            },
        }  # fmt: skip
        body, json_length = tensors.write(asked, about, reply.labels, reply.probabilities, _scope(reply))
        if json_length is None:
            return Response(body, media_type="application/json")
        return Response(body, 200, {tensors.JSON_LENGTH: str(json_length)}, "application/octet-stream")


def _the_version(request: Request, served: ServedLine) -> str | None:
    """The version that the path names: a release's id, or its registered version. Raises Refused for another one."""
    wanted: str | None = request.path_params.get("version")
    champion = served.champion
    if champion is None:
        raise NotReady(f"{served.name} has no release yet. `tidegate promote {served.name}` gives it one.")
    if wanted and wanted not in (champion.release, champion.version):
        raise _no_version(served.name, wanted, champion.release)
    return wanted


def _no_version(line: str, wanted: str, release: str) -> Refused:
    return Refused(404, "unknown_version", f"{line} is not served by {wanted[:40]} but by release {release}.")


def _scope(reply: Reply) -> list[bool] | None:
    """[texts], whether each has one of the labels; None where the release does not tell."""
    told = [bool(inside) for inside in reply.in_scope or () if inside is not None]
    return told if len(told) == len(reply.labels) else None


def _metadata(served: ServedLine) -> dict[str, Any]:
    assert served.champion is not None  # noqa: S101 - seen to by the caller
    scope = [{"name": "in_scope", "datatype": "BOOL", "shape": [-1]}] if served.champion.tells_scope else []
    return {
        "name": served.name,
        "versions": [served.champion.release],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": tensors.INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(served.labels)]},
            *scope,
        ],
        "parameters": {"labels": list(served.labels)},
    }


def _ready(ready: bool, name: str | None = None) -> Response:
    return _json(({"name": name} if name else {}) | {"ready": ready}, 200 if ready else 503)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(to_json(content), status, media_type="application/json")
