"""The routes of products, several lines behind each; here those that answer, with people where nobody is sure."""

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from serving import opinions
from serving.bundled import Products, ask, find
from serving.hub import Reply
from serving.service import Service, check_text
from serving.strict import StrictRoute
from serving.v1 import REFUSALS, STRICT
from serving.visit import visit
from tasks.dialogue.settings import AnswerSettings

Why = Literal["no_release", "out_of_scope", "intent", "unsure"]
"""no_release: a line of the product has none. out_of_scope: the text has no intent that is known. intent: it is one of
`hand_over_intents`. unsure: the best answer is below `confidence`."""


class Ask(BaseModel):
    """A question of a customer."""

    model_config = STRICT

    text: str = Field(examples=["How do I get my money back?"])
    deadline_ms: int | None = Field(None, ge=1, description="After so long nobody wants the answer; it gets 504.")
    top: int | None = Field(None, ge=1, le=20, description="So many answers; default: as the product's settings say.")


class Candidate(BaseModel):
    """An answer of the base."""

    answer: str
    score: float = Field(description="Its calibrated probability.")


class About(BaseModel):
    """What feedback on the best answer refers to."""

    line: str = Field(description="Send it to `/v1/lines/{line}/feedback`.")
    request_id: str


class Answer(BaseModel):
    """What is said to the customer, or that people are to answer."""

    request_id: str
    product: str
    answers: list[Candidate] = Field(description="The best first; they are there, too, where people are to answer.")
    hand_over: bool = Field(description="True: do not show these answers as sure, let a person answer.")
    why: Why | None = Field(description="Why it is handed over.")
    intent: str | None = Field(description="What the intent line says; null without one.")
    feedback: About
    releases: dict[str, str] = Field(description="The release of each line that was asked.")


def routes(service: Service, products: Products) -> APIRouter:
    """The routes below /v1/products."""
    router = APIRouter(prefix="/v1/products", tags=["Products"], route_class=StrictRoute, responses=REFUSALS)

    @router.get("", summary="The products and their lines")
    async def all_of(request: Request) -> Response:
        allowed = visit(request.scope).caller.lines
        shown = [
            {"product": name, "kind": one.kind, "title": one.title, "lines": list(one.needed)}
            for name, one in products.items()
            if allowed is None or set(one.needed) <= set(allowed)
        ]
        return Response(to_json({"products": shown}), media_type="application/json")

    @router.post("/{product}/answer", response_model=Answer, summary="Answer a question, or say that people should")
    async def answer(request: Request, product: str, body: Ask) -> Response:
        settings: AnswerSettings = find(service, request, products, product, "answer")
        check_text(body.text, service.settings.limits)
        replies = await ask(service, request, [*settings.needed], [body.text], body.deadline_ms)
        found = judged(settings, replies, body.top)
        service.metrics.product_answers.labels(product, found["why"] or "").inc()
        named = {"request_id": visit(request.scope).request_id}
        about = {"feedback": {"line": settings.answers, **named}}
        releases = {"releases": {line: reply.release for line, reply in replies.items()}}
        return Response(
            to_json({**named, "product": product, **found, **about, **releases}), media_type="application/json"
        )

    opinions.add(router, service, products)
    return router


def judged(settings: AnswerSettings, replies: Mapping[str, Reply], top: int | None = None) -> dict[str, Any]:
    """Answers, and whether people are to answer, out of what the lines said of one text.

    A line that did not reply has no release.
    """
    answers: list[dict[str, Any]] = []
    if (found := replies.get(settings.answers)) is not None:
        scores = found.probabilities[0]
        best = (-scores).argsort(kind="stable")[: top or settings.top]
        answers = [{"answer": found.classes[at], "score": round(float(scores[at]), 6)} for at in best]
    meant = replies.get(settings.intents) if settings.intents else None
    why: Why | None = None
    if len(replies) < len(settings.needed):
        why = "no_release"
    elif meant is not None and meant.in_scope is not None and meant.in_scope[0] is False:
        why = "out_of_scope"
    elif meant is not None and meant.labels[0] in settings.hand_over_intents:
        why = "intent"
    elif not answers or answers[0]["score"] < settings.confidence:
        why = "unsure"
    return {
        "answers": answers,
        "hand_over": why is not None,
        "why": why,
        "intent": meant.labels[0] if meant is not None else None,
    }
