"""The application: one page, whose address says all that is shown; nothing is kept and nothing changed."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from flows.recommend.desk import Desk
from flows.recommend.shelf import Shelf, parse
from flows.web.answers import Visitor, html, visitor
from flows.web.app import application
from flows.web.render import Site, own
from tasks.core.errors import DataError
from tasks.kinds.rank.shared import history
from tasks.kinds.rank.shared.history import Event

PACKAGE = "flows.recommend"
TOP, MOST = 10, 100
LONGEST = 10_000
"""Characters of a history in an address."""
WORDS = 200
"""Characters of a search."""

pages = APIRouter(dependencies=[Depends(visitor)])


def create_app(desk: Desk) -> FastAPI:
    """The page's routes around a desk."""
    return application(desk, Site("recommend", PACKAGE, {name: own(PACKAGE, name) for name in STATICS}), pages)


STATICS = ("recommend.css", "recommend.js")


@dataclass(frozen=True)
class Asked:
    """What an address asks for: a user of the reference by number, from 1, or a history that was put together."""

    user: int = 0
    history: str = "[]"
    top: int = TOP
    diversity: int = 0
    """In hundredths."""
    seen: bool = False
    """Whether the list may have what the history has."""

    def link(self, **other: Any) -> dict[str, Any]:
        """The parts of an address that shows this, or something else of it."""
        now = replace(self, **other)
        whose = {"user": now.user} if now.user else {"history": now.history}
        return {**whose, "top": now.top, "diversity": now.diversity, **({"seen": 1} if now.seen else {})}


def asked(request: Request) -> Asked:
    """What the address asks for; what it does not say, or says wrong, is as at the start.

    Raises HTTPException 404 for a user whom the release does not have, 422 for a history that is none.
    """
    given = request.query_params
    users = len(_shelf(request).users)
    written = given.get("history")
    wanted = Asked(
        0 if written is not None else _whole(given, "user", 1 if users else 0, 0, 10**9),
        "[]" if written is None else _canonical(written),
        _whole(given, "top", TOP, 1, MOST),
        _whole(given, "diversity", 0, 0, 100),
        given.get("seen") == "1",
    )
    if wanted.user > users:
        raise HTTPException(404)
    return wanted


Wanted = Annotated[Asked, Depends(asked)]


@pages.get("/")
def home(request: Request, wanted: Wanted, session: Visitor, find: str = "") -> Response:
    """A history, the list for it, and what speaks for each of its items."""
    desk, shelf = _desk(request), _shelf(request)
    user = shelf.users[wanted.user - 1] if wanted.user else None
    text = user.text if user else wanted.history
    events, at = parse(text)
    found = shelf.listed(text, wanted.top, not wanted.seen, wanted.diversity / 100)
    told = shelf.told(events)
    shown: dict[str, Any] = {
        "told": told, "at": at, "found": found, "best": max((one.score for one in found), default=0.0),
        "later": user.later if user else frozenset(), "side": user.side if user else None,
        "hits": sum(one.item in user.later for one in found) if user else 0,
        "popular": bool(told) and all(one.feeling == "unknown" for one in told), "without": _without(wanted, events),
        "find": find[:WORDS], "results": shelf.search(find[:WORDS]), "edit": wanted.link(user=0, history=_now(events)),
    }  # fmt: skip
    return html(request, "recommend.html.j2", session, name=desk.line, shelf=shelf, wanted=wanted, **shown)


@pages.get("/any")
def any_of(request: Request, wanted: Wanted) -> Response:
    """Some user of the reference."""
    users = _shelf(request).users
    if not users:
        raise HTTPException(404)
    return _to(request, wanted.link(user=random.randint(1, len(users)), history="[]"))  # noqa: S311 - no secret


@pages.get("/add")
def add(request: Request, wanted: Wanted, item: str, rating: str = "") -> Response:
    """The history with an event more."""
    shelf = _shelf(request)
    if item not in shelf.answering.catalogue.numbers:
        raise HTTPException(404)
    rated = next((one for one in shelf.ratings if f"{one:g}" == rating), None)
    events = [event for event in parse(wanted.history)[0] if event[0] != item]
    return _to(request, wanted.link(user=0, history=_canonical(history.write([*events, (item, rated)]))))


def _without(wanted: Asked, events: Sequence[Event]) -> list[dict[str, Any]]:
    """For each event of a history that was put together, the latest first, the address that has all but it."""
    if wanted.user:
        return []
    every = range(len(events))
    return [wanted.link(history=_now([events[n] for n in every if n != place])) for place in reversed(every)]


def _now(events: Sequence[Event]) -> str:
    """The text of a history as of now: as much of its end as an address can hold."""
    kept = list(events)
    while len(text := history.write(kept)) > LONGEST:
        del kept[: 1 + len(kept) // 10]
    return text


def _canonical(text: str) -> str:
    try:
        if len(text) > LONGEST:
            raise DataError("It is too long.")
        parse(text)
        return history.canonical(text)
    except DataError:
        raise HTTPException(422) from None


def _whole(given: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """A whole number of the address, within its bounds."""
    said = given.get(name, "")
    return min(max(int(said), low), high) if said.isascii() and said.isdigit() and len(said) < 10 else default


def _to(request: Request, parts: dict[str, Any]) -> Response:
    return RedirectResponse(str(request.url_for("home").replace_query_params(**parts)), 303)


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _shelf(request: Request) -> Shelf:
    return _desk(request).shelf
