"""Who may ask: API keys out of team.yaml with their lines and rates; without keys this machine alone."""

import ipaddress
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from limits import RateLimitItem
from limits import parse as parse_rate
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers

from serving.problems import Refused, retry_after
from serving.visit import ANONYMOUS, Caller
from tasks.core.errors import SettingsError, TidegateError
from tasks.team import TEAM, Team, load_team

log = logging.getLogger("tidegate")

OPEN = frozenset({"/", "/openapi.json", "/v2/health/live", "/v2/health/ready"})
"""Paths that tell nothing of lines or traffic: probes and the description of the interface need no key."""
OPEN_BELOW = ("/docs", "/static-offline-docs/")
FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
STAFF = frozenset({"ops", "approver"})
"""Roles that may read what concerns all lines, such as /metrics."""
TEAM_SECONDS = 1.0  # between two looks at team.yaml: a withdrawn key dies within that time


class Keys:
    """team.yaml as it is now. It is read again when it changes; a broken one leaves the last one in force."""

    def __init__(self, path: Path | None = TEAM) -> None:
        """Raises TidegateError where the file is there and broken. `None` means no keys, whatever files there are."""
        self.path = path
        self._seen = self._state()
        self._team = load_team(path) if path else None
        self._looked = time.monotonic()

    @property
    def team(self) -> Team | None:
        """The team; None where no keys are in force."""
        if self.path is not None and time.monotonic() - self._looked > TEAM_SECONDS:
            self._looked = time.monotonic()
            self._renew(self.path)
        return self._team

    def _renew(self, path: Path) -> None:
        now = self._state()
        if now == self._seen:
            return
        self._seen = now
        try:
            team = load_team(path)
        except (TidegateError, OSError) as error:
            log.error("%s changed and cannot be read; the keys of before stay in force. %s", path, error)
            return
        if team is None and self._team is not None:
            log.error("%s is gone; the keys of before stay in force until the service is started again.", path)
            return
        self._team = team
        log.info("%s was read again", path)

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat() if self.path else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None


class Access:
    """Admits callers to the service, to its lines, and at their rate."""

    def __init__(self, keys: Keys, rate: str | None = None) -> None:
        self.keys = keys
        self._default = rate
        self._rates: dict[str, RateLimitItem] = {}
        self._window = MovingWindowRateLimiter(MemoryStorage())

    def admit(self, path: str, headers: Headers) -> Caller:
        """Who asks, by their key. Raises Refused (401) for a stranger, and for anyone from afar where no keys are."""
        if path in OPEN or path.startswith(OPEN_BELOW):
            return Caller(ANONYMOUS)
        team = self.keys.team
        if team is None:
            from_here(headers)
            return Caller(ANONYMOUS)
        member = team.authenticate(_token(headers))
        if member is None:
            raise Refused(
                401, "unauthorized",
                "This service wants an API key of its team: `Authorization: Bearer tg_...`, or `X-API-Key: tg_...`.",
                {"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
        return Caller(member.name, member)

    def use(self, caller: Caller, *lines: str) -> None:
        """Raises Refused for a caller whose key is for other lines (403), or who asks more often than agreed (429).

        A request that needs several lines needs a key for all of them, and counts once.
        """
        if caller.lines is not None and not set(lines) <= set(caller.lines):
            allowed = ", ".join(caller.lines) or "none"
            raise Refused(403, "forbidden", f"The key of {caller.name} is for other lines: {allowed}.")
        self._hit(caller)

    def staff(self, caller: Caller) -> None:
        """Raises Refused (403) for a key whose owner is neither ops nor approver."""
        member = caller.member
        if member and not member.roles & STAFF:
            raise Refused(403, "forbidden", f"This needs a key with one of the roles {', '.join(sorted(STAFF))}.")

    def _hit(self, caller: Caller) -> None:
        rate = caller.member.rate if caller.member and caller.member.rate else self._default
        if rate is None:
            return
        item = self._rates.get(rate) or self._rates.setdefault(rate, parse_rate(rate))
        if not self._window.hit(item, caller.name):
            again = self._window.get_window_stats(item, caller.name).reset_time - time.time()
            raise Refused(429, "rate_limited", f"{caller.name} may ask {rate} and has done so.", retry_after(again))


def _token(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def from_here(headers: Mapping[str, str], what: str = "This service") -> None:
    """Raises Refused for a request that came from another machine, or through a page in a browser of this one."""
    forwarded = next((name for name in FORWARDING if name in headers), None)
    if forwarded:
        raise Refused(
            401, "unauthorized",
            f"{what} has no keys and serves its own machine alone; the header {forwarded} says that the request "
            "came through a proxy. Write a team.yaml with keys.",
        )  # fmt: skip
    host = headers.get("host", "")
    if host and not loopback(_name_of(host)):
        raise Refused(
            401, "unauthorized",
            f"{what} has no keys and serves its own machine alone: ask it as localhost, or write a team.yaml.",
        )  # fmt: skip


def _name_of(host: str) -> str:
    """A Host header without its port."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_binding(host: str, keys: Keys, what: str = "The service") -> None:
    """Raises SettingsError where other machines could ask a service that knows no keys."""
    if keys.team is None and not loopback(host):
        raise SettingsError(
            f"{what} was to listen on {host}, where other machines reach it, without keys. Write a team.yaml with "
            "keys, or listen on 127.0.0.1."
        )
