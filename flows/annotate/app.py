"""The application: what annotators and adjudicators see and send."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup

from flows.annotate.desk import Desk
from flows.annotate.room import Room
from flows.annotate.said import Said
from flows.annotate.worker import ADJUDICATOR, ANNOTATOR, Adjudicator, Annotator, Anyone
from flows.web.answers import LineName, html
from flows.web.app import application
from flows.web.doors import Form, proven
from flows.web.render import Site, own
from tasks.annotation.events import DECISIONS

PACKAGE = "flows.annotate"
FORM_BYTES = 32 * 2**10
"""A comment of 2,000 Chinese characters is 18 kB in a form."""
KEYS = 9
"""Labels that have a key of their own; of more one types a part."""
NOTES = ("decided", "decided_again", "gone")
LONG_TEXT = 400
"""Characters from which on a text is set smaller."""

pages = APIRouter()
deeds = APIRouter(prefix="/lines/{line}", dependencies=[Depends(proven)])


def create_app(desk: Desk) -> FastAPI:
    """The page's routes around a desk."""
    mine = {name: own(PACKAGE, name) for name in ("annotate.css", "annotate.js")}
    return application(desk, Site("annotate", PACKAGE, mine, FORM_BYTES), pages, deeds)


def desk_of(request: Request) -> Desk:
    """The desk of the application that answers."""
    desk: Desk = request.app.state.desk
    return desk


def room_of(request: Request, line: LineName) -> Room:
    """Where the line in the address is labelled."""
    return desk_of(request).room(line)


Here = Annotated[Room, Depends(room_of)]


@pages.get("/")
def home(request: Request, who: Anyone) -> Response:
    """All lines, and what waits there."""
    desk = desk_of(request)
    if not (who.annotates or who.adjudicates):
        return html(request, "stranger.html.j2", who.session, 403, roles=(ANNOTATOR, ADJUDICATOR))
    rooms = {name: desk.room(name) for name in desk.lines()}
    found = {name: (room.counts(), room.left(who)) for name, room in rooms.items()}
    return html(request, "home.html.j2", who.session, who=who, found=found)


@pages.get("/lines/{line}")
def label(request: Request, line: LineName, here: Here, who: Anyone) -> Response:
    """The next text for whoever asks; who only decides goes where that is done."""
    desk = desk_of(request)
    if not who.annotates:
        return RedirectResponse(f"/lines/{line}/decide" if who.adjudicates else "/", 303)
    desk.meet(who)
    asked = here.ask(who, desk.lines()[line].settings.annotate, request.query_params.get("again", ""))
    return html(request, "label.html.j2", who.session, asked=asked, **_shared(request, line), who=who)


@pages.get("/lines/{line}/decide")
def case(request: Request, line: LineName, here: Here, who: Adjudicator) -> Response:
    """The next contested text."""
    desk = desk_of(request)
    desk.meet(who)
    query = request.query_params
    settings = desk.lines()[line].settings.annotate
    found = here.case(who, settings, query.get("at", ""), query.get("after", ""))
    return html(request, "decide.html.j2", who.session, case=found, name=desk.name, **_shared(request, line), who=who)


@deeds.post("/say")
def say(request: Request, line: LineName, here: Here, who: Annotator, given: Form) -> Response:
    """An answer, a skip or a flag."""
    desk = desk_of(request)
    said = Said.of(given, ("answer", "skip", "flag"), desk.lines()[line].settings, desk.labels(line))
    return _to(f"/lines/{line}", note=here.say(who, said))


@deeds.post("/decide")
def decide(request: Request, line: LineName, here: Here, who: Adjudicator, given: Form) -> Response:
    """A label that stands over all answers, or a text that is fit for none."""
    desk = desk_of(request)
    said = Said.of(given, DECISIONS, desk.lines()[line].settings, desk.labels(line))
    return _to(f"/lines/{line}/decide", note=here.say(who, said))


@deeds.post("/undo")
def undo(request: Request, line: LineName, here: Here, who: Anyone, given: Form) -> Response:
    """Take back one's last word on a text, and see the text again."""
    said = Said.of({**given, "label": ""}, ("undo",), desk_of(request).lines()[line].settings, ())
    here.undo(who, said)
    if given.get("of") == "decide":
        return _to(f"/lines/{line}/decide", at=said.item)
    return _to(f"/lines/{line}", again=said.item)


def _shared(request: Request, line: str) -> dict[str, Any]:
    """What both ways to work on a line show."""
    desk, note = desk_of(request), request.query_params.get("note", "")
    return {
        "line": line,
        "labels": desk.labels(line),
        "keys": KEYS,
        "long": LONG_TEXT,
        "note": note if note in NOTES else "",
        "guidelines": Markup(desk.guidelines(line)),  # noqa: S704 - rendered with markup off
    }


def _to(path: str, **query: str) -> Response:
    asked = urlencode({name: value for name, value in query.items() if value})
    return RedirectResponse(f"{path}?{asked}" if asked else path, 303)
