"""What changes something: signing in and out, deciding, acknowledging. Every form bears the token of its session."""

import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from flows import alerts
from flows.approver import ROLES
from flows.ops.answers import RECORD, RELEASE, SESSION, SignIn, html, known, secure, signed_in
from flows.ops.desk import Desk
from flows.ops.jobs import Act
from flows.ops.sessions import Session
from flows.record import one_line
from flows.registry import VERSION

FORM = "tidegate_ops_form"
"""Cookie whose value the form of the sign-in page repeats: there is no session yet whose token it could bear."""
FORM_BYTES = 8 * 2**10
FIELDS = 10
WHY_LENGTH = 500
FORM_SECONDS = 3600

Form = Mapping[str, str]

ACTS: dict[str, tuple[str, ...]] = {
    "promote": ROLES["approve"],
    "reject": ROLES["reject"],
    "rollback": ROLES["rollback"],
    "acknowledge": ("approver", "ops"),
}
"""Who may do what; the commands themselves ask again."""


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


def add(app: FastAPI, desk: Desk) -> None:
    """Add the routes."""
    _doors(app, desk)
    _deeds(app, desk)


def _doors(app: FastAPI, desk: Desk) -> None:
    @app.get("/login")
    def ask(request: Request) -> Response:
        return _ask(desk, request)

    @app.post("/login")
    def enter(request: Request, given: dict[str, str] = Depends(form)) -> Response:
        token = request.cookies.get(FORM, "")
        if not token or not secrets.compare_digest(token.encode(), given.get("csrf", "").encode()):
            return _ask(desk, request, 403, "login.expired")
        if not desk.sessions.attempt(request.client.host if request.client else ""):
            return _ask(desk, request, 429, "login.too_often")
        session = desk.sessions.sign_in(given.get("who", ""))
        if session is None:
            return _ask(desk, request, 401, "login.unknown" if desk.keys.team else "login.no_name")
        line = given.get("line", "")
        answer = RedirectResponse(f"/lines/{line}" if line in desk.lines() else "/", 303)
        age = int(desk.sessions.seconds)
        answer.set_cookie(SESSION, session.token, max_age=age, httponly=True, samesite="strict", secure=secure(request))
        answer.delete_cookie(FORM, httponly=True, samesite="strict")
        return answer

    @app.post("/logout")
    def leave(request: Request, given: dict[str, str] = Depends(form)) -> Response:
        session = _proven(desk, request, given)
        desk.sessions.sign_out(session.token)
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(SESSION, httponly=True, samesite="strict")
        return answer


def _ask(desk: Desk, request: Request, status: int = 200, said: str = "") -> Response:
    token = secrets.token_urlsafe(32)
    line = request.query_params.get("line", "")
    about = {"csrf": token, "said": said, "back": line if line in desk.lines() else ""}
    answer = html(desk, request, "login.html.j2", None, status, **about)
    answer.set_cookie(FORM, token, max_age=FORM_SECONDS, httponly=True, samesite="strict", secure=secure(request))
    return answer


def _deeds(app: FastAPI, desk: Desk) -> None:
    @app.post("/lines/{line}/promote")
    def promote(request: Request, line: str, given: dict[str, str] = Depends(form)) -> Response:
        return _decide(desk, request, line, "promote", given)

    @app.post("/lines/{line}/reject")
    def reject(request: Request, line: str, given: dict[str, str] = Depends(form)) -> Response:
        return _decide(desk, request, line, "reject", given)

    @app.post("/lines/{line}/rollback")
    def rollback(request: Request, line: str, given: dict[str, str] = Depends(form)) -> Response:
        session = _may(desk, request, known(desk, line), "rollback", given)
        version = given.get("version", "")
        if not VERSION.fullmatch(version):
            raise HTTPException(422)
        return _begin(desk, session, line, "rollback", version, given, [f"--to={version}"])

    @app.post("/lines/{line}/acknowledge")
    def acknowledge(request: Request, line: str, given: dict[str, str] = Depends(form)) -> Response:
        session = _may(desk, request, known(desk, line), "acknowledge", given)
        if not RECORD.fullmatch(given.get("alert", "")):
            raise HTTPException(422)
        alerts.acknowledge(given["alert"], session.name, _why(given))
        return RedirectResponse(f"/lines/{line}", 303)


def _decide(desk: Desk, request: Request, line: str, act: Act, given: Form) -> Response:
    """Promote or decline a release."""
    session = _may(desk, request, known(desk, line), act, given)
    release = given.get("release", "")
    if not RELEASE.fullmatch(release):
        raise HTTPException(422)
    return _begin(desk, session, line, act, release, given, [release])


def _begin(
    desk: Desk, session: Session, line: str, act: Act, about: str, given: Form, arguments: list[str]
) -> Response:
    said = [f"--by={session.name}", f"--why={_why(given)}"]
    desk.jobs.start(line, act, about, session.name, [*arguments, *said], session.key)
    return RedirectResponse(f"/lines/{line}#jobs", 303)


def _may(desk: Desk, request: Request, line: str, act: str, given: Form) -> Session:
    """The session of somebody who may do this. Raises HTTPException 403, SignIn."""
    session = _proven(desk, request, given)
    if not session.may(*ACTS[act]):
        raise HTTPException(403)
    return session


def _proven(desk: Desk, request: Request, given: Form) -> Session:
    """The session of whoever sent a form of ours. Raises HTTPException 403 for another form, SignIn for a stranger."""
    session = signed_in(desk, request)
    if session is None:
        raise SignIn
    if not session.knows(given.get("csrf", "")):
        raise HTTPException(403)
    return session


def _why(given: Form) -> str:
    """The reason that a form gives. Raises HTTPException 422 where it gives none."""
    why = one_line(given.get("why", ""))[:WHY_LENGTH]
    if not why:
        raise HTTPException(422)
    return why
