"""Who works at the page: a session as the journals know it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from flows.web.answers import SignIn, desk_of, signed_in
from flows.web.sessions import Session
from tasks.annotation.events import person_id

ANNOTATOR, ADJUDICATOR = "annotator", "adjudicator"


@dataclass(frozen=True)
class Worker:
    """A person who is signed in."""

    id: str
    """What events name them by."""
    session: Session
    languages: Sequence[str] = ()
    """Which texts they can label; none: all."""
    capacity: int | None = None
    """Answers in a week, where team.yaml says how many."""

    @property
    def annotates(self) -> bool:
        """Whether they may label."""
        return self.session.may(ANNOTATOR)

    @property
    def adjudicates(self) -> bool:
        """Whether they may decide."""
        return self.session.may(ADJUDICATOR)


def worker(request: Request) -> Worker:
    """Whoever asks. Raises SignIn for a stranger."""
    session = signed_in(request)
    if session is None:
        raise SignIn
    team, member = desk_of(request).keys.team, session.member
    if member is None:
        return Worker(person_id(session.name), session)
    return Worker(person_id(member.name, team), session, member.languages, member.capacity_per_week)


def annotator(found: Annotated[Worker, Depends(worker)]) -> Worker:
    """Whoever asks, if they may label. Raises HTTPException 403."""
    if not found.annotates:
        raise HTTPException(403)
    return found


def adjudicator(found: Annotated[Worker, Depends(worker)]) -> Worker:
    """Whoever asks, if they may decide. Raises HTTPException 403."""
    if not found.adjudicates:
        raise HTTPException(403)
    return found


Anyone = Annotated[Worker, Depends(worker)]
Annotator = Annotated[Worker, Depends(annotator)]
Adjudicator = Annotated[Worker, Depends(adjudicator)]
