"""Products that watch opinion, asked by an application: what a look would say of texts, and nothing kept of them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from serving.bundled import Products, ask, find
from serving.errors import NotReady
from serving.hub import Reply
from serving.service import Service, check_texts
from serving.v1 import STRICT
from serving.visit import visit
from tasks.opinion.entities import Matcher, plain, words
from tasks.text import clean

if TYPE_CHECKING:
    from tasks.opinion.settings import OpinionSettings


class Headlines(BaseModel):
    """Texts of which an opinion is asked."""

    model_config = STRICT

    texts: list[str] = Field(min_length=1, examples=[["Nokia issues a profit warning."]])
    deadline_ms: int | None = Field(None, ge=1, description="After so long nobody wants the answer; it gets 504.")


class Said(BaseModel):
    """What a line says of a text."""

    label: str = Field(description="The most probable; where `in_scope` is false, no more than the best guess.")
    probability: float = Field(description="Of the label, calibrated.")
    in_scope: bool | None = Field(description="False where the text has none of the labels; null: nobody can tell.")


class Sentiment(Said):
    """What the sentiment line says of a text."""

    score: float | None = Field(
        description="From -1 to 1, the sum of worth x probability over the labels, as the index takes it; null where "
        "`index.values` says no worth of a label."
    )


class Opinion(BaseModel):
    """What is said of one text."""

    entities: list[str] = Field(description="Those of the product that it names, sorted.")
    sentiment: Sentiment | None = Field(description="Null while its line has no release.")
    topic: Said | None = Field(description="Null without a topic line, and while it has no release.")
    risk_words: list[str] = Field(description="Those of `rules.risk_words` in it, sorted, whatever its sentiment is.")


class Opinions(BaseModel):
    """One opinion per text, in their order."""

    request_id: str = Field(description="True labels go by it to `/v1/lines/{line}/feedback` of each line.")
    product: str
    opinions: list[Opinion]
    releases: dict[str, str] = Field(description="The release of each line that was asked.")


class Read(NamedTuple):
    """What the product itself finds in a text."""

    text: str
    """As its policy leaves it: cleaned and masked."""
    entities: list[str]
    risk_words: list[str]


class Reader:
    """Finds a product's entities and risk words in texts, as a look does."""

    def __init__(self, settings: "OpinionSettings") -> None:
        self.settings, self.matcher, rule = settings, Matcher(settings.entities), settings.rules.risk_words
        self.risks = words(rule.words) if rule else None

    def read(self, texts: Sequence[str]) -> list[Read]:
        """What is in each of some raw texts."""
        return [self._read(clean(text, self.settings.text)) for text in texts]

    def _read(self, text: str) -> Read:
        found = {match[0] for match in self.risks.finditer(plain(text))} if self.risks else set()
        return Read(text, self.matcher.find(text), sorted(found))


def add(router: APIRouter, service: Service, products: Products) -> None:
    """Put the route of these products below /v1/products."""
    readers = {name: Reader(one) for name, one in products.items() if one.kind == "opinion"}

    @router.post("/{product}/opinions", response_model=Opinions, summary="Say whom texts are about, and how they speak")
    async def opinions(request: Request, product: str, body: Headlines) -> Response:
        settings: OpinionSettings = find(service, request, products, product, "opinion")
        check_texts(body.texts, service.settings.limits)
        read = await asyncio.to_thread(readers[product].read, body.texts)
        lines = [*settings.needed]
        replies = await ask(service, request, lines, [one.text for one in read], body.deadline_ms)
        if not replies:
            raise NotReady(f"No line of the product {product} has a release to answer with yet: {', '.join(lines)}.")
        said = told(settings, read, replies)
        for one in said:
            label = one["sentiment"]["label"] if one["sentiment"] else ""
            service.metrics.product_opinions.labels(product, label).inc()
        content = {
            "request_id": visit(request.scope).request_id,
            "product": product,
            "opinions": said,
            "releases": {line: reply.release for line, reply in replies.items()},
        }
        return Response(to_json(content), media_type="application/json")


def told(settings: "OpinionSettings", read: Sequence[Read], replies: Mapping[str, Reply]) -> list[dict[str, Any]]:
    """What is said of each text, out of what the product found in it and what the lines replied.

    A line that did not reply has no release.
    """
    sentiment = replies.get(settings.sentiment)
    topic = replies.get(settings.topic) if settings.topic else None
    return [
        {
            "entities": one.entities,
            "sentiment": {**_said(sentiment, at), "score": _score(settings, sentiment, at)} if sentiment else None,
            "topic": _said(topic, at) if topic else None,
            "risk_words": one.risk_words,
        }
        for at, one in enumerate(read)
    ]


def _said(reply: Reply, at: int) -> dict[str, Any]:
    label = reply.labels[at]
    probability = float(reply.probabilities[at, reply.classes.index(label)])
    inside = reply.in_scope[at] if reply.in_scope else None
    return {"label": label, "probability": round(probability, 6), "in_scope": inside}


def _score(settings: "OpinionSettings", reply: Reply, at: int) -> float | None:
    values = settings.index.values
    if not set(reply.classes) <= set(values):
        return None
    worth = zip((values[label] for label in reply.classes), reply.probabilities[at].tolist(), strict=True)
    return round(float(sum(value * probability for value, probability in worth)), 6)
