"""Who is signed in. A session lives in this process alone: its cookie is a random number that says nothing."""

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from flows.record import one_line
from serving.security import Keys
from tasks.team import Member

NAME_LENGTH = 100
MOST = 1_000
"""Sessions at once; beyond it the oldest end."""


@dataclass(frozen=True)
class Session:
    """A person who signed in."""

    token: str = field(repr=False)
    csrf: str = field(repr=False)
    """Stands in every form: another site's form does not know it."""
    name: str
    key: str | None = field(repr=False)
    """Their API key, which the commands that they give ask for; None where there is no team.yaml."""
    until: float
    member: Member | None = None
    """None where there is no team.yaml: then they are taken at their word."""

    def may(self, *roles: str) -> bool:
        """Whether they have one of these roles; without a team.yaml everyone has."""
        return self.member is None or bool(self.member.roles & set(roles))

    def knows(self, csrf: str) -> bool:
        """Whether a form is one of ours."""
        return hmac.compare_digest(csrf.encode(), self.csrf.encode())


class Sessions:
    """Signs people in and out, and knows them again."""

    def __init__(
        self, keys: Keys, hours: float, logins_per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.keys, self.seconds, self.clock = keys, hours * 3600, clock
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._rate = RateLimitItemPerMinute(logins_per_minute)
        self._attempts = MovingWindowRateLimiter(MemoryStorage())

    def attempt(self, address: str) -> bool:
        """Count an attempt to sign in from an address; False where there were too many."""
        return self._attempts.hit(self._rate, address)

    def sign_in(self, given: str) -> Session | None:
        """A session for the owner of an API key, or without a team.yaml for whatever name is given; None for nobody.

        An application has no session: its key calls the service.
        """
        team = self.keys.team
        if team is None:
            name = one_line(given)[:NAME_LENGTH]
            return self._begin(name, None, None) if name else None
        member = team.authenticate(given.strip())
        return self._begin(member.name, given.strip(), member) if member and member.kind == "person" else None

    def sign_out(self, token: str) -> None:
        """End a session; its cookie is worth nothing from now on."""
        with self._lock:
            self._open.pop(token, None)

    def find(self, token: str | None) -> Session | None:
        """The session of a cookie; None where it ended, or its key or its owner is no longer in team.yaml."""
        found = self._open.get(token or "")
        if found is None:
            return None
        team = self.keys.team
        member = team.authenticate(found.key or "") if team else None
        if self.clock() > found.until or (team is None) != (found.key is None) or (team and member != found.member):
            self.sign_out(found.token)
            return None
        return found

    def _begin(self, name: str, key: str | None, member: Member | None) -> Session:
        made = Session(
            secrets.token_urlsafe(32), secrets.token_urlsafe(32), name, key, self.clock() + self.seconds, member
        )
        with self._lock:
            self._open = {token: one for token, one in self._open.items() if one.until > self.clock()}
            while len(self._open) >= MOST:
                del self._open[next(iter(self._open))]
            self._open[made.token] = made
        return made
