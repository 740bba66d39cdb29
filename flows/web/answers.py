"""What all answers share: who asks, in which language, and pages around what is to be said."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException

from flows.web.lines import Named
from flows.web.render import Site
from flows.web.sessions import Session, Sessions
from flows.web.words import COOKIE, LANGUAGES, Words, language_of
from serving.security import Keys

YEAR = 365 * 86400


class SignIn(Exception):
    """Nobody is signed in, and this is for those who are."""


class Desk(Protocol):
    """What every page has at hand."""

    keys: Keys
    sessions: Sessions

    def lines(self) -> Mapping[str, Named]:
        """The lines of params.yaml, by name."""
        ...

    def links(self) -> Mapping[str, str]:
        """Pages beside those of lines: their names by their addresses."""
        ...


class Signed(Protocol):
    """Whoever a page is for: its forms bear their token."""

    @property
    def csrf(self) -> str:
        """Another site's form does not know it."""
        ...


def desk_of(request: Request) -> Desk:
    """The desk of the application that answers."""
    desk: Desk = request.app.state.desk
    return desk


def site_of(request: Request) -> Site:
    """The site of the application that answers."""
    site: Site = request.app.state.site
    return site


def signed_in(request: Request) -> Session | None:
    """The session of whoever asks."""
    return desk_of(request).sessions.find(request.cookies.get(site_of(request).session_cookie))


def visitor(request: Request) -> Session | None:
    """The session of whoever looks. Raises SignIn for a stranger where there is a team.yaml."""
    session = signed_in(request)
    if session is None and desk_of(request).keys.team is not None:
        raise SignIn
    return session


def line_of(request: Request) -> str:
    """The line in the address. Raises HTTPException 404 where params.yaml has none of that name."""
    line: str = request.path_params["line"]
    if line not in desk_of(request).lines():
        raise HTTPException(404)
    return line


Visitor = Annotated[Session | None, Depends(visitor)]
LineName = Annotated[str, Depends(line_of)]


def words(request: Request) -> Words:
    """The language of whoever asks; `?language=` is a choice."""
    chosen = request.query_params.get("language")
    if chosen in LANGUAGES:
        return site_of(request).words(str(chosen))
    return site_of(request).words(language_of(request.cookies, request.headers.get("accept-language", "")))


def html(request: Request, template: str, session: Signed | None, code: int = 200, **values: Any) -> Response:
    """A page; a language that was chosen is remembered."""
    t, desk = words(request), desk_of(request)
    shared: dict[str, Any] = {"line": None, "languages": LANGUAGES, "keyed": desk.keys.team is not None}
    shared |= {"lines": desk.lines(), "links": desk.links()}
    answer = HTMLResponse(site_of(request).page(template, **{**shared, "t": t, "session": session, **values}), code)
    if request.query_params.get("language") == t.language:
        answer.set_cookie(COOKIE, t.language, max_age=YEAR, httponly=True, samesite="strict", secure=secure(request))
    return answer


def message(request: Request, code: int, said: str = "") -> Response:
    """A page that says why something is not to be had."""
    return html(request, "message.html.j2", None, code, status=code, said=said, back=request.path_params.get("line"))


def secure(request: Request) -> bool:
    """Whether the browser speaks to us, or to a proxy before us, over TLS."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))


def to_login(request: Request, _: Exception) -> Response:
    """Where a stranger goes.

    A link on another site or in a mail brings no cookie of ours along (they are SameSite=Strict); a page of ours that
    loads itself again does.
    """
    if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
        return HTMLResponse('<!doctype html><meta http-equiv="refresh" content="0"><title>…</title>')
    line = request.path_params.get("line", "")
    return RedirectResponse(f"/login?line={line}" if re.fullmatch(r"[a-z0-9_]+", line) else "/login", 303)
