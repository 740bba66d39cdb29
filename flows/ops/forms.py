"""What changes something: signing in and out, deciding, acknowledging. Every form bears the token of its session."""

import secrets
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from flows import alerts
from flows.approver import ROLES
from flows.ops.answers import RECORD, RELEASE, SESSION, LineName, SignIn, desk_of, html, secure, signed_in
from flows.ops.jobs import Act
from flows.ops.sessions import Session
from flows.record import one_line
from flows.registry import VERSION

FORM = "tidegate_ops_form"
"""Cookie whose value the form of the sign-in page repeats: there is no session yet whose token it could bear."""
FORM_SECONDS = 3600
FORM_BYTES = 8 * 2**10
FIELDS = 10
WHY_LENGTH = 500

ACTS: dict[str, tuple[str, ...]] = {
    "promote": ROLES["approve"],
    "reject": ROLES["reject"],
    "rollback": ROLES["rollback"],
    "acknowledge": ("approver", "ops"),
}
"""Who may do what; the commands themselves ask again."""

doors = APIRouter()


async def form(request: Request) -> dict[str, str]:
    """The fields of a form. Raises HTTPException 413 or 422 for what no form of ours is."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_BYTES:
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
deeds = APIRouter(prefix="/lines/{line}", dependencies=[Depends(proven)])


@doors.get("/login")
def ask(request: Request) -> Response:
    """The page to sign in."""
    return _ask(request, request.query_params.get("line", ""))


@doors.post("/login")
def enter(request: Request, given: Form) -> Response:
    """Sign in."""
    desk, line = desk_of(request), given.get("line", "")
    token = request.cookies.get(FORM, "")
    if not token or not secrets.compare_digest(token.encode(), given.get("csrf", "").encode()):
        return _ask(request, line, 403, "login.expired")
    if not desk.sessions.attempt(request.client.host if request.client else ""):
        return _ask(request, line, 429, "login.too_often")
    session = desk.sessions.sign_in(given.get("who", ""))
    if session is None:
        return _ask(request, line, 401, "login.unknown" if desk.keys.team else "login.no_name")
    answer = RedirectResponse(f"/lines/{line}" if line in desk.lines() else "/", 303)
    _remember(request, answer, SESSION, session.token, int(desk.sessions.seconds))
    answer.delete_cookie(FORM, httponly=True, samesite="strict")
    return answer


@doors.post("/logout")
def leave(request: Request, session: Proven) -> Response:
    """Sign out."""
    desk_of(request).sessions.sign_out(session.token)
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(SESSION, httponly=True, samesite="strict")
    return answer


@deeds.post("/promote")
def promote(request: Request, line: LineName, session: Proven, given: Form) -> Response:
    """Make a release champion: `tidegate promote`."""
    return _decide(request, session, line, "promote", given)


@deeds.post("/reject")
def reject(request: Request, line: LineName, session: Proven, given: Form) -> Response:
    """Decline a release: `tidegate reject`."""
    return _decide(request, session, line, "reject", given)


@deeds.post("/rollback")
def rollback(request: Request, line: LineName, session: Proven, given: Form) -> Response:
    """Let an earlier champion serve again: `tidegate rollback`."""
    version = given.get("version", "")
    if not VERSION.fullmatch(version):
        raise HTTPException(422)
    return _begin(request, session, line, "rollback", version, [f"--to={version}", f"--why={_why(given)}"])


@deeds.post("/acknowledge")
def acknowledge(line: LineName, session: Proven, given: Form) -> Response:
    """Say that somebody looks after an alert."""
    _require(session, "acknowledge")
    alert = given.get("alert", "")
    if not RECORD.fullmatch(alert):
        raise HTTPException(422)
    alerts.acknowledge(alert, session.name, _why(given))
    return RedirectResponse(f"/lines/{line}", 303)


def _ask(request: Request, line: str, code: int = 200, said: str = "") -> Response:
    token = secrets.token_urlsafe(32)
    back = line if line in desk_of(request).lines() else ""
    answer = html(request, "login.html.j2", None, code, csrf=token, said=said, back=back)
    _remember(request, answer, FORM, token, FORM_SECONDS)
    return answer


def _remember(request: Request, answer: Response, cookie: str, value: str, seconds: int) -> None:
    answer.set_cookie(cookie, value, max_age=seconds, httponly=True, samesite="strict", secure=secure(request))


def _decide(request: Request, session: Session, line: str, act: Act, given: Mapping[str, str]) -> Response:
    release = given.get("release", "")
    if not RELEASE.fullmatch(release):
        raise HTTPException(422)
    return _begin(request, session, line, act, release, [release, f"--why={_why(given)}"])


def _begin(request: Request, session: Session, line: str, act: Act, about: str, arguments: list[str]) -> Response:
    """Set a command going. Raises HTTPException 403 for those who may not give it."""
    _require(session, act)
    desk_of(request).jobs.start(line, act, about, session.name, [*arguments, f"--by={session.name}"], session.key)
    return RedirectResponse(f"/lines/{line}#jobs", 303)


def _require(session: Session, act: str) -> None:
    if not session.may(*ACTS[act]):
        raise HTTPException(403)


def _why(given: Mapping[str, str]) -> str:
    """The reason that a form gives. Raises HTTPException 422 where it gives none."""
    why = one_line(given.get("why", ""))[:WHY_LENGTH]
    if not why:
        raise HTTPException(422)
    return why
