"""The application: what customers see and send; flows.chat.staff has what is for those who answer them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from flows.chat import staff
from flows.chat.desk import Customer, Desk
from flows.chat.shared import PACKAGE, cookie_of, desk_of, id_of, shown, text_of
from flows.chat.talk import fresh
from flows.web.answers import html, secure
from flows.web.app import application
from flows.web.doors import Form
from flows.web.render import Site, own
from tasks.dialogue.events import Dialogue

FORM_BYTES = 128 * 2**10
"""A message of 10,000 Chinese characters is 90 kB in a form."""
DAY = 86_400

pages = APIRouter()


def create_app(desk: Desk) -> FastAPI:
    """The page's routes around a desk."""
    mine = {name: own(PACKAGE, name) for name in ("chat.css", "chat.js")}
    site = Site(f"chat_{desk.product}", PACKAGE, mine, FORM_BYTES, home="/staff")
    return application(desk, site, pages, staff.pages, staff.deeds)


def known(request: Request) -> Customer | None:
    """The customer whose cookie came with the request."""
    desk = desk_of(request)
    return desk.find(request.cookies.get(cookie_of(desk), ""))


def customer(request: Request, given: Form) -> Customer:
    """Whoever sent a form of ours. Raises HTTPException 403 for another form."""
    found = known(request)
    if found is None or not found.knows(given.get("csrf", "")):
        raise HTTPException(403)
    return found


Sender = Annotated[Customer, Depends(customer)]
Known = Annotated[Customer | None, Depends(known)]


@pages.get("/")
def home(request: Request, found: Known) -> Response:
    """The dialogue of whoever asks, and a field to go on with it."""
    desk = desk_of(request)
    who = found or desk.new()
    note = request.query_params.get("note", "")
    values = _values(desk, desk.talk.stands(who.dialogue))
    answer = html(request, "customer.html.j2", who, **values, note=note if note in ("long", "empty") else "")
    _remember(request, answer, who)
    return answer


@pages.get("/talk")
def talk(request: Request, found: Known, seen: int = -1) -> Response:
    """The dialogue alone; nothing where no more has happened than `seen`."""
    desk = desk_of(request)
    who = found or desk.new()
    stands = desk.talk.stands(who.dialogue)
    if stands.last == seen:
        return Response(status_code=204)
    return html(request, "talk.html.j2", who, **_values(desk, stands))


@pages.post("/say")
def say(request: Request, who: Sender, given: Form) -> Response:
    """A message; to a dialogue that is over it begins a new one."""
    desk = desk_of(request)
    if not desk.allows(who):
        raise HTTPException(429)
    text, note = text_of(desk, given)
    if note:
        return RedirectResponse(f"/?note={note}", 303)
    if desk.talk.stands(who.dialogue).state == "closed":
        who = desk.new()
    desk.talk.say(who.dialogue, id_of(given, "event"), text)
    return _home(request, who)


@pages.post("/rate")
def rate(request: Request, who: Sender, given: Form) -> Response:
    """Whether an answer helped."""
    if given.get("helpful") not in ("yes", "no"):
        raise HTTPException(422)
    desk_of(request).talk.rate(who.dialogue, given.get("answer", ""), given["helpful"] == "yes")
    return _home(request, who)


@pages.post("/human")
def human(request: Request, who: Sender, given: Form) -> Response:
    """People are to answer."""
    desk = desk_of(request)
    if not desk.allows(who):
        raise HTTPException(429)
    desk.talk.ask_for_people(who.dialogue, id_of(given, "event"))
    return _home(request, who)


@pages.post("/end")
def end(request: Request, who: Sender) -> Response:
    """The end of a dialogue: whoever uses the browser next begins a new one."""
    desk = desk_of(request)
    desk.talk.end(who.dialogue)
    return _home(request, desk.new())


def _values(desk: Desk, stands: Dialogue) -> dict[str, Any]:
    return {**shown(desk, stands), "staff": False, "title": desk.title(), "event": fresh(), "other": fresh()}


def _home(request: Request, who: Customer) -> Response:
    answer = RedirectResponse("/", 303)
    _remember(request, answer, who)
    return answer


def _remember(request: Request, answer: Response, who: Customer) -> None:
    """A link on another site leads back to the same dialogue, so the cookie is Lax; forms have a token besides."""
    desk = desk_of(request)
    days = desk.settings.dialogue_days
    answer.set_cookie(
        cookie_of(desk), desk.cookie(who), max_age=int(days * DAY), httponly=True, samesite="lax",
        secure=secure(request),
    )  # fmt: skip
