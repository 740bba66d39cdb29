"""One request on its way through the service: who asks, under which id, for which line."""

import re
import time
import uuid
from dataclasses import dataclass, field

from starlette.types import Scope

from tasks.team import Member

ANONYMOUS = "anonymous"
WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_KEY = "tidegate.visit"


@dataclass(frozen=True)
class Caller:
    """Who asks. `member` is None where no keys are in force."""

    name: str
    member: Member | None = None

    @property
    def key(self) -> str | None:
        """What keeps a caller at the same canary; None where callers cannot be told apart."""
        return self.name if self.member else None

    @property
    def lines(self) -> tuple[str, ...] | None:
        """The lines that the caller may use; None means all."""
        return self.member.lines if self.member else None


@dataclass
class Visit:
    """What is known of a request; stages of its way fill it in."""

    request_id: str
    arrived: float = field(default_factory=time.perf_counter)
    caller: Caller = Caller(ANONYMOUS)
    line: str = ""
    """The line it is for, once it is known that there is one: a label of metrics."""
    code: str = ""
    """Why it was refused; empty when it was answered."""


def request_id(given: str | None) -> str:
    """The caller's own id where it is well formed, else a new one."""
    return given if given and WELL_FORMED.fullmatch(given) else uuid.uuid4().hex


def enter(scope: Scope, given: str | None) -> Visit:
    """Begin a visit."""
    scope[_KEY] = found = Visit(request_id(given))
    return found


def visit(scope: Scope) -> Visit:
    """The visit that a request belongs to."""
    found: Visit = scope[_KEY]
    return found
