"""The page of a product that watches opinion: the index over time, alerts marked, down to the texts of a day."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from flows.ops import opinion_charts
from flows.ops.answers import desk_of
from flows.web.answers import Visitor, html, visitor, words
from serving.log.rows import when
from tasks.opinion.said import DAY
from tasks.opinion.settings import OpinionSettings
from tasks.opinion.store import Store, opened

RANGES = (30, 90, 365)
MOST = 200
"""Texts of one day that are shown."""
CAUSES = 50
"""Of an entity that are shown."""
EPOCH = date(1970, 1, 1)

pages = APIRouter(dependencies=[Depends(visitor)])


@dataclass(frozen=True)
class Asked:
    """What somebody wants to see of a product."""

    product: str
    settings: OpinionSettings
    entity: str
    topic: str
    """Empty for all of them."""
    days: int

    @property
    def since(self) -> int:
        """The first day shown, in days since 1970."""
        return (datetime.now(UTC).date() - EPOCH).days - self.days

    def link(self, **other: Any) -> dict[str, Any]:
        """The parts of an address that shows something else."""
        shown = {"entity": self.entity, "topic": self.topic, "days": self.days, **other}
        return {name: value for name, value in shown.items() if value not in ("", None)}


def asked(request: Request, product: str, entity: str = "", topic: str = "", days: int = RANGES[1]) -> Asked:
    """What the address names. Raises HTTPException 404 for a product or entity that params.yaml has not."""
    settings = desk_of(request).products().get(product)
    if settings is None or (entity and entity not in settings.entities):
        raise HTTPException(404)
    return Asked(
        product, settings, entity or next(iter(settings.entities)), topic, days if days in RANGES else RANGES[1]
    )


Wanted = Annotated[Asked, Depends(asked)]


@pages.get("/products/{product}")
def one(request: Request, wanted: Wanted, session: Visitor, day: Annotated[date | None, Query()] = None) -> Response:
    """The page of a product: one entity, and where a day is named its texts."""
    with opened() as engine, engine.connect() as connection:
        store = Store(connection, wanted.product)
        causes = [cause for cause in store.causes() if cause.entity == wanted.entity][::-1][:CAUSES]
        values: dict[str, Any] = {
            "topics": store.topics(wanted.entity),
            "index": store.index(wanted.entity, wanted.topic, wanted.since)[::-1],
            "causes": [(cause, [store.texts([one]).get(one) for one in cause.headlines]) for cause in causes],
            "texts": _texts(store, wanted, day) if day else [],
            "open": {cause.entity for cause in store.causes(open_only=True)},
        }
    shown = {"wanted": wanted, "day": day, "ranges": RANGES, "date_of": _date, "moment_of": when, **values}
    return html(request, "product.html.j2", session, **shown)


@pages.get("/products/{product}/figures")
def figures(request: Request, wanted: Wanted) -> Response:
    """The charts of an entity, as data."""
    with opened() as engine, engine.connect() as connection:
        store = Store(connection, wanted.product)
        index = store.index(wanted.entity, wanted.topic, wanted.since)
        causes = [one for one in store.causes() if one.entity == wanted.entity and one.time // DAY >= wanted.since]
    return JSONResponse(opinion_charts.all_of(index, causes, words(request)))


def _texts(store: Store, wanted: Asked, day: date) -> list[Any]:
    first = (day - EPOCH).days * DAY
    return store.of_day(wanted.entity, first, first + DAY - 1, wanted.topic or None, MOST)


def _date(day: int) -> date:
    return EPOCH + timedelta(days=day)
