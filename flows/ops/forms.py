"""What changes something: deciding, acknowledging. Every form bears the token of its session."""

from collections.abc import Mapping

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from flows import alerts
from flows.approver import ROLES
from flows.ops.answers import RECORD, RELEASE, desk_of
from flows.ops.jobs import Act
from flows.record import one_line
from flows.registry import VERSION
from flows.web.answers import LineName
from flows.web.doors import Form, Proven, proven
from flows.web.sessions import Session

WHY_LENGTH = 500

ACTS: dict[str, tuple[str, ...]] = {
    "promote": ROLES["approve"],
    "reject": ROLES["reject"],
    "rollback": ROLES["rollback"],
    "acknowledge": ("approver", "ops"),
}
"""Who may do what; the commands themselves ask again."""

deeds = APIRouter(prefix="/lines/{line}", dependencies=[Depends(proven)])


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
