"""What a user may want next: histories in, lists of items out, each with what speaks for it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, FiniteFloat
from pydantic_core import to_json

from serving.line import Reply, ServedLine
from serving.listing import Listing
from serving.problems import Refused, invalid
from serving.service import Service, settled
from serving.settings import LimitSettings
from serving.strict import StrictRoute
from serving.v1 import REFUSALS, STRICT
from serving.visit import visit
from tasks.kinds.rank.serve import Answering
from tasks.kinds.rank.shared import history
from tasks.kinds.rank.shared.lists import Listed, Wanted

MOST = 100  # items of a list
CLOCKS = timedelta(minutes=1)  # by which the clock of a caller may be ahead of this one


def _told(item: str) -> str:
    if item.isspace():
        raise ValueError("is blank: it names no item")
    return item


class Event(BaseModel):
    """Something that a user did: bought, read, watched an item, and perhaps said how they liked it."""

    model_config = STRICT

    item: Annotated[str, Field(min_length=1, max_length=history.LONGEST_ID), AfterValidator(_told)]
    rating: FiniteFloat | None = Field(None, description="On the scale of the line's data. Without one it was chosen.")
    at: AwareDatetime | None = Field(
        None,
        strict=False,
        description="When. All events of a history say so; or none does, and the oldest comes first.",
    )


class Recommend(BaseModel):
    """Histories of users who are to get a list each."""

    model_config = STRICT

    histories: list[list[Event]] = Field(
        min_length=1,
        description="Of a user each, the oldest event first. An empty one is of a user of whom nothing is known.",
        examples=[[[{"item": "50", "rating": 5}, {"item": "172"}]]],
    )
    top: int = Field(10, ge=1, le=MOST, description="Items of a list; fewer where there are no more.")
    exclude_seen: bool = Field(True, description="Leave out the items of the history.")
    diversity: float = Field(0, ge=0, le=1, description="From 0, the best items, to 1, the most different ones.")
    deadline_ms: int | None = Field(None, ge=1, description="After so long nobody wants the answer; it gets 504.")


class Why(BaseModel):
    """An item of the history that speaks for an item of the list."""

    item: str
    text: str
    share: float = Field(description="Of all that speaks for it in the history.")


class Item(BaseModel):
    """An item of a list."""

    item: str
    text: str
    score: float = Field(description="Its calibrated probability to be the next that the user likes.")
    why: list[Why] = Field(description="What speaks for it, the most first; empty where it is what many like.")


class Recommendation(BaseModel):
    """The list for one history."""

    items: list[Item] = Field(description="The best first.")
    unknown: list[str] = Field(description="Items of the history that the release does not know: they say nothing.")
    popular: bool = Field(description="True: nothing of the history is known, and the list is what many like.")


class Recommendations(BaseModel):
    """One list per history, in their order, all by one release."""

    request_id: str = Field(description="Feedback refers to it: the item that the user took is the true label.")
    line: str
    release: str
    version: str | None
    variant: str
    role: str = Field(description="`champion`, or `canary` for a share of the callers.")
    recommendations: list[Recommendation]


def routes(service: Service) -> APIRouter:
    """The route of lines of kind `rank`."""
    router = APIRouter(prefix="/v1/lines", tags=["Tidegate"], route_class=StrictRoute, responses=REFUSALS)

    @router.post("/{line}/recommend", response_model=Recommendations, summary="Recommend items to users")
    async def recommend(request: Request, line: str, body: Recommend) -> Response:
        served = _of_kind(service.line(request, line))
        texts = written(body.histories, service.settings.limits)
        deadline = service.deadline(body.deadline_ms)
        engine = partial(Listing, wanted=Wanted(body.top, body.exclude_seen, body.diversity))
        asked = service.submit(request, served, texts, deadline, engine=engine)
        reply = await settled(asked, request, deadline)
        about = {"release": reply.release, "version": reply.version, "variant": reply.variant, "role": reply.role}
        named = {"request_id": visit(request.scope).request_id, "line": line}
        content = {**named, **about, "recommendations": shown(reply, texts)}
        return Response(to_json(content), media_type="application/json")

    return router


def _of_kind(line: ServedLine) -> ServedLine:
    if line.kind != "rank":
        raise Refused(
            404,
            "wrong_kind",
            f"The line {line.name} is of kind {line.kind} and recommends nothing. Ask /v1/lines/{line.name}/predict.",
        )
    return line


def written(histories: Sequence[Sequence[Event]], limits: LimitSettings) -> list[str]:
    """The text of each history, its events in the order of their times.

    Raises Refused where there are too many histories, one is too long, or its times are of no use.
    """
    if len(histories) > limits.texts:
        raise invalid("histories", f"{len(histories):,} were given; at most {limits.texts:,} are allowed in a request")
    soon = datetime.now(UTC) + CLOCKS
    texts = []
    for n, events in enumerate(histories):
        where = f"histories.{n}"
        text = history.write([(event.item, event.rating) for event in _in_order(events, where, soon)])
        if len(text) > limits.characters:
            raise invalid(
                where,
                f"{len(events):,} events have {len(text):,} characters as a text; at most {limits.characters:,} are "
                "allowed. Send the latest ones.",
            )
        texts.append(text)
    return texts


def _in_order(events: Sequence[Event], where: str, soon: datetime) -> Sequence[Event]:
    times = [event.at for event in events if event.at is not None]
    if times and len(times) < len(events):
        raise invalid(where, f"{len(times):,} of {len(events):,} events say when (`at`): let all of them do, or none")
    for n, time_ in enumerate(times):
        if time_ > soon:
            raise invalid(f"{where}.{n}.at", "lies in the future")
    if not times:
        return events
    return [event for _, event in sorted(zip(times, events, strict=True), key=lambda pair: pair[0])]


def shown(reply: Reply, texts: Sequence[str]) -> list[dict[str, Any]]:
    """The list of each history for JSON, as the release made it that replied."""
    assert reply.served is not None and reply.lists is not None  # noqa: S101 - lists were asked for
    answering = reply.served.model.answering
    assert isinstance(answering, Answering)  # noqa: S101 - the kind was seen to
    found = []
    for text, listed in zip(texts, reply.lists, strict=True):
        unknown = answering.unknown(text)
        known = {item for item, _ in history.read(text)}.difference(unknown)
        found.append({"items": [_item(each) for each in listed], "unknown": unknown, "popular": not known})
    return found


def _item(listed: Listed) -> dict[str, Any]:
    """An item of a list for JSON: of a million items each has a small score, whose digits count from the first."""
    why = [{"item": one.item, "text": one.text, "share": round(one.share, 4)} for one in listed.reasons]
    return {"item": listed.item, "text": listed.text, "score": float(f"{listed.score:.6g}"), "why": why}
