"""The ways in and out: signing in and out, static files, forms that bear the token of their session."""

import secrets
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException

from flows.web.answers import YEAR, SignIn, desk_of, html, secure, signed_in, site_of
from flows.web.sessions import Session

FORM_SECONDS = 3600
FIELDS = 10

doors = APIRouter()
"""What needs no session."""


async def form(request: Request) -> dict[str, str]:
    """The fields of a form. Raises HTTPException 413 or 422 for what no form of ours is."""
    body, most = b"", site_of(request).form_bytes
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise HTTPException(413)
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=FIELDS))
    except ValueError:
        raise HTTPException(422) from None


def proven(request: Request, given: Annotated[dict[str, str], Depends(form)]) -> Session:
    """The session of whoever sent a form of ours. Raises HTTPException 403 for another form, SignIn for a stranger."""
    session = signed_in(request)
    if session is None:
        raise SignIn
    if not session.knows(given.get("csrf", "")):
        raise HTTPException(403)
    return session


Form = Annotated[dict[str, str], Depends(form)]
Proven = Annotated[Session, Depends(proven)]


@doors.get("/health")
def health() -> Response:
    """For whoever watches this process."""
    return PlainTextResponse("ok")


@doors.get("/static/{name}")
def static(request: Request, name: str) -> Response:
    """Style sheets and scripts."""
    found = site_of(request).statics.get(name)
    if found is None:
        raise HTTPException(404)
    headers = {"Content-Encoding": "gzip", "Cache-Control": f"public, max-age={YEAR}, immutable"}
    return Response(found.packed, media_type=found.kind, headers=headers)


@doors.get("/login")
def ask(request: Request) -> Response:
    """The page to sign in."""
    return _ask(request, request.query_params.get("line", ""))


@doors.post("/login")
def enter(request: Request, given: Form) -> Response:
    """Sign in."""
    desk, site, line = desk_of(request), site_of(request), given.get("line", "")
    token = request.cookies.get(site.form_cookie, "")
    if not token or not secrets.compare_digest(token.encode(), given.get("csrf", "").encode()):
        return _ask(request, line, 403, "login.expired")
    if not desk.sessions.attempt(request.client.host if request.client else ""):
        return _ask(request, line, 429, "login.too_often")
    session = desk.sessions.sign_in(given.get("who", ""))
    if session is None:
        return _ask(request, line, 401, "login.unknown" if desk.keys.team else "login.no_name")
    answer = RedirectResponse(f"/lines/{line}" if line in desk.lines() else site.home, 303)
    _remember(request, answer, site.session_cookie, session.token, int(desk.sessions.seconds))
    answer.delete_cookie(site.form_cookie, httponly=True, samesite="strict")
    return answer


@doors.post("/logout")
def leave(request: Request, session: Proven) -> Response:
    """Sign out."""
    desk_of(request).sessions.sign_out(session.token)
    answer = RedirectResponse(site_of(request).home, 303)
    answer.delete_cookie(site_of(request).session_cookie, httponly=True, samesite="strict")
    return answer


def _ask(request: Request, line: str, code: int = 200, said: str = "") -> Response:
    token = secrets.token_urlsafe(32)
    back = line if line in desk_of(request).lines() else ""
    answer = html(request, "login.html.j2", None, code, csrf=token, said=said, back=back)
    _remember(request, answer, site_of(request).form_cookie, token, FORM_SECONDS)
    return answer


def _remember(request: Request, answer: Response, cookie: str, value: str, seconds: int) -> None:
    answer.set_cookie(cookie, value, max_age=seconds, httponly=True, samesite="strict", secure=secure(request))
