"""Tidegate's own routes: predict, feedback, and what serves a line."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import to_json

from serving.hub import Reply
from serving.log.record import Feedback
from serving.problems import SHOWN, invalid
from serving.service import Service, rounded
from serving.strict import StrictRoute
from serving.visit import visit

STRICT = ConfigDict(extra="forbid", strict=True)
RequestId = Annotated[str, Field(min_length=1, max_length=100, description="The `request_id` of the answer.")]


class Predict(BaseModel):
    """Texts to label."""

    model_config = STRICT

    texts: list[str] = Field(min_length=1, examples=[["What a lovely film."]])
    deadline_ms: int | None = Field(None, ge=1, description="After so long nobody wants the answer; it gets 504.")
    top: int | None = Field(None, ge=1, description="So many labels alone, the most probable first; default: all.")


class Prediction(BaseModel):
    """What is said of one text."""

    label: str = Field(description="The most probable label; where `in_scope` is false, no more than the best guess.")
    in_scope: bool = Field(
        True,
        description="False where the text has none of the labels: do not act on its label. Told by lines alone that "
        "can know (evaluate.scope).",
    )
    probabilities: dict[str, float] = Field(
        description="By label, calibrated, in the order of the release's labels; with `top` the most probable first."
    )


class Predictions(BaseModel):
    """One prediction per text, in their order, all by one release."""

    request_id: str
    line: str
    release: str
    version: str | None
    variant: str
    role: str = Field(description="`champion`, or `canary` for a share of the callers.")
    predictions: list[Prediction]


class TrueLabels(BaseModel):
    """The true labels of all texts of a request, in their order.

    `label.out_of_scope` of the line is one, too: that a text has none of the labels.
    """

    model_config = STRICT

    request_id: RequestId
    labels: list[str] = Field(min_length=1)


class TrueLabel(BaseModel):
    """The true label of one text of a request."""

    model_config = STRICT

    request_id: RequestId
    position: int = Field(ge=0, description="Of the text in its request, from 0.")
    label: str


Given = Annotated[
    Annotated[TrueLabels, Tag("all")] | Annotated[TrueLabel, Tag("one")],
    Discriminator(lambda body: "all" if isinstance(body, dict) and "labels" in body else "one"),
]


class Received(BaseModel):
    """How many true labels were taken."""

    request_id: str
    received: int


class Fault(BaseModel):
    """One fault of a request's content."""

    where: str
    message: str


class Problem(BaseModel):
    """Why a request was not answered as asked, and what to do."""

    code: str
    message: str
    request_id: str
    details: list[Fault] | None = None


class Problems(BaseModel):
    """The shape of every answer that is no success."""

    error: Problem


REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problems, "description": "No key, or a wrong one"},
    403: {"model": Problems, "description": "The key is for other lines"},
    404: {"model": Problems, "description": "No such line"},
    408: {"model": Problems, "description": "The body came too slowly"},
    413: {"model": Problems, "description": "The body is too large"},
    415: {"model": Problems, "description": "The body is no JSON by its Content-Type, or of an unknown encoding"},
    422: {"model": Problems, "description": "The content is not as described here"},
    429: {"model": Problems, "description": "Too often, or too much waits; Retry-After says when to come again"},
    500: {"model": Problems, "description": "The service failed on this request"},
    503: {"model": Problems, "description": "The line has no release yet, or the service is about to stop"},
    504: {"model": Problems, "description": "The deadline passed"},
}


def routes(service: Service) -> APIRouter:
    """The routes below /v1."""
    router = APIRouter(prefix="/v1/lines", tags=["Tidegate"], route_class=StrictRoute, responses=REFUSALS)

    @router.get("", summary="The lines and what serves them")
    async def lines(request: Request) -> Response:
        allowed = visit(request.scope).caller.lines
        names = [name for name in service.hub.lines() if allowed is None or name in allowed]
        return _json({"lines": [service.hub.line(name).describe() for name in names]})

    @router.get("/{line}", summary="What serves a line")
    async def line_(request: Request, line: str) -> Response:
        return _json(service.line(request, line).describe())

    @router.post("/{line}/predict", response_model=Predictions, summary="Label texts")
    async def predict(request: Request, line: str, body: Predict) -> Response:
        served = service.line(request, line)
        reply = await service.answer(request, served, body.texts, body.deadline_ms)
        rows = zip(reply.labels, _inside(reply), reply.probabilities, strict=True)
        shown = _of(reply.classes, body.top)
        return _json(
            {
                "request_id": visit(request.scope).request_id,
                "line": line,
                "release": reply.release,
                "version": reply.version,
                "variant": reply.variant,
                "role": reply.role,
                "predictions": [{"label": label, **inside, "probabilities": shown(row)} for label, inside, row in rows],
            }
        )

    @router.post("/{line}/feedback", status_code=202, response_model=Received, summary="Tell the true labels")
    async def feedback(request: Request, line: str, body: Given) -> Response:
        known = service.line(request, line).truths
        given = body.labels if isinstance(body, TrueLabels) else [body.label]
        first = body.position if isinstance(body, TrueLabel) else 0
        _check_labels(given, first, known, service)
        now, source = datetime.now(UTC), visit(request.scope).caller.name
        for place, label in enumerate(given, first):
            service.recorder.feedback(Feedback(body.request_id, place, line, label, now, source))
        service.metrics.feedback.labels(line).inc(len(given))
        return _json({"request_id": body.request_id, "received": len(given)}, 202)

    return router


def _of(classes: list[str], top: int | None) -> Callable[[NDArray[np.float32]], dict[str, float]]:
    """What makes probabilities by label out of a row of them: of all, or of the `top` first."""

    def shown(row: NDArray[np.float32]) -> dict[str, float]:
        places = np.arange(len(row)) if top is None else np.argsort(-row, kind="stable")[:top]
        return dict(zip([classes[at] for at in places], rounded(row[places]), strict=True))

    return shown


def _inside(reply: Reply) -> list[dict[str, bool]]:
    """What is told of each text beside its label, by a release that knows."""
    known = reply.in_scope or [None] * len(reply.labels)
    return [{} if inside is None else {"in_scope": inside} for inside in known]


def _check_labels(given: list[str], first: int, known: list[str], service: Service) -> None:
    """Raises Refused on a label that the line does not have, or on a place that no request can have."""
    most = service.settings.limits.texts
    if first + len(given) > most:
        raise invalid("position", f"a request has {most:,} texts at most")
    for place, label in enumerate(given, first):
        if label not in known:
            more = f" and {len(known) - SHOWN:,} more" if len(known) > SHOWN else ""
            allowed = f"allowed are {', '.join(known[:SHOWN])}{more}"
            raise invalid(f"labels.{place}", f"is no label of this line; {allowed}")


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(to_json(content), status, media_type="application/json")
