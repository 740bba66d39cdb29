"""What is for those who answer customers: who waits, a dialogue, and what can be done about it."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from flows.chat.shared import desk_of, id_of, shown, text_of
from flows.chat.talk import fresh
from flows.web.answers import SignIn, html, signed_in
from flows.web.doors import Form, proven
from flows.web.sessions import Session
from serving.log.rows import when
from tasks.dialogue.events import Dialogue

AGENT = "agent"
DIALOGUE = re.compile(r"[0-9a-f]{32}")


def agent(request: Request) -> Session:
    """Whoever asks, if they may answer customers. Raises SignIn for a stranger, HTTPException 403."""
    session = signed_in(request)
    if session is None:
        raise SignIn
    if not session.may(AGENT):
        raise HTTPException(403)
    return session


def dialogue(request: Request, name: str) -> Dialogue:
    """The dialogue in the address. Raises HTTPException 404."""
    found = desk_of(request).store.dialogue(name) if DIALOGUE.fullmatch(name) else None
    if found is None:
        raise HTTPException(404)
    return found


Agent = Annotated[Session, Depends(agent)]
Here = Annotated[Dialogue, Depends(dialogue)]

pages = APIRouter(prefix="/staff")
deeds = APIRouter(prefix="/staff/{name}", dependencies=[Depends(proven)])


@pages.get("")
def home(request: Request, who: Agent) -> Response:
    """Who waits, and who is being looked after."""
    return html(request, "staff.html.j2", who, **_waiting(request), title=desk_of(request).title())


@pages.get("/waiting")
def waiting(request: Request, who: Agent) -> Response:
    """The list alone."""
    return html(request, "waiting.html.j2", who, **_waiting(request))


@pages.get("/{name}")
def one(request: Request, here: Here, who: Agent) -> Response:
    """A dialogue from its beginning."""
    note = request.query_params.get("note", "")
    values = _values(request, here)
    return html(request, "dialogue.html.j2", who, **values, note=note if note in ("long", "empty") else "")


@pages.get("/{name}/talk")
def talk(request: Request, here: Here, who: Agent, seen: int = -1) -> Response:
    """The dialogue alone; nothing where no more has happened than `seen`."""
    if here.last == seen:
        return Response(status_code=204)
    return html(request, "talk.html.j2", who, **_values(request, here))


@deeds.post("/take")
def take(request: Request, here: Here, who: Agent) -> Response:
    """Take a dialogue over."""
    desk_of(request).talk.take(here.id, who.name)
    return _back(here)


@deeds.post("/reply")
def reply(request: Request, here: Here, who: Agent, given: Form) -> Response:
    """Say something to the customer."""
    desk = desk_of(request)
    text, note = text_of(desk, given)
    if not note:
        desk.talk.reply(here.id, id_of(given, "event"), who.name, text)
    return _back(here, note)


@deeds.post("/back")
def back(request: Request, here: Here, who: Agent) -> Response:
    """Let the service answer again."""
    desk_of(request).talk.hand_back(here.id, who.name)
    return RedirectResponse("/staff", 303)


@deeds.post("/close")
def close(request: Request, here: Here, who: Agent) -> Response:
    """Let the dialogue end."""
    desk_of(request).talk.end(here.id, who.name)
    return RedirectResponse("/staff", 303)


def _values(request: Request, here: Dialogue) -> dict[str, Any]:
    desk = desk_of(request)
    return {**shown(desk, here), "staff": True, "title": desk.title(), "event": fresh()}


def _waiting(request: Request) -> dict[str, Any]:
    desk = desk_of(request)
    found = desk.store.open()
    last = {one.id: desk.store.said(one.id) for one in found}
    return {"dialogues": found, "last": last, "when": when, "poll": desk.settings.poll_seconds}


def _back(here: Dialogue, note: str = "") -> Response:
    return RedirectResponse(f"/staff/{here.id}" + (f"?note={note}" if note else ""), 303)
