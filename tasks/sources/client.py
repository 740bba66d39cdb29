"""GET with patience: time-outs, back-off, Retry-After, a rate, a bound on size; keys go to their own host alone."""

import contextlib
import email.utils
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from tasks import packages
from tasks.core.errors import SourceError
from tasks.sources.file import public

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

PATIENCE = 300.0  # seconds that Retry-After may ask for; who is told to wait longer comes back another time
REDIRECTS = 5
SLOWEST = 20  # times `timeout` that one answer may take in all
UNCHANGED = 304
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Answer:
    """A page: its address after redirects, its JSON, and the address in its Link header with rel="next"."""

    url: str
    content: Any
    link: str | None


@dataclass(frozen=True)
class Page:
    """What came from an address, and the headers beside it, by names in small letters."""

    body: bytes
    headers: Mapping[str, str]


class GoneError(SourceError):
    """The address is not, or no longer, known there."""


class _LaterError(SourceError):
    """A later try may succeed, after `wait` seconds where the other side told."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Client:
    """Asks one service. `headers` hold keys: only requests to the origin of `home` carry them."""

    def __init__(
        self, home: str, headers: Mapping[str, str], timeout: float, per_second: float, max_bytes: int
    ) -> None:
        import httpx

        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole addresses, and these may hold keys
        self.home, self.headers = origin(home), dict(headers)
        self.timeout, self.gap, self.max_bytes = timeout, 1 / per_second, max_bytes
        self.next_turn = 0.0
        self.http = httpx.Client(timeout=timeout, headers={"Accept": "application/json"})

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def get(self, url: str, parameters: Mapping[str, str], tries: int | None = None) -> Answer:
        """The JSON at an address, its query completed by the parameters.

        Raises GoneError for 400, 404 and 410, SourceError when the service refuses, answers with no JSON or with too
        much of it, or fails in every try. Messages have addresses without their query, and no content.
        """
        answer: Answer = self._patiently(url, parameters, {}, self._parsed, tries)
        return answer

    def fetch(self, url: str, headers: Mapping[str, str], tries: int | None = None) -> Page | None:
        """What is at an address; None where it has not changed since what the headers name. Raises as `get` does."""
        page: Page | None = self._patiently(url, {}, headers, self._page, tries)
        return page

    def _patiently(
        self,
        url: str,
        parameters: Mapping[str, str],
        headers: Mapping[str, str],
        take: "Callable[[str, httpx.Response], Any]",
        tries: int | None,
    ) -> Any:
        import httpx
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

        try:
            whole = str(httpx.URL(url).copy_merge_params(dict(parameters)))
        except httpx.InvalidURL:
            raise SourceError(f"{public(url)} is no address.") from None
        again = Retrying(
            stop=stop_after_attempt(tries or packages.TRIES),
            wait=_wait,
            retry=retry_if_exception_type(_LaterError),
            reraise=True,
        )
        return again(self._once, whole, headers, take)

    def _once(self, url: str, headers: Mapping[str, str], take: "Callable[[str, httpx.Response], Any]") -> Any:
        for _ in range(REDIRECTS + 1):
            with self._reaching(url), self._sent(url, headers) as response:
                if not response.has_redirect_location:
                    return take(url, response)
                url = urljoin(url, response.headers["Location"])
        raise SourceError(f"{public(url)}: more than {REDIRECTS} redirects, one after the other.")

    @contextlib.contextmanager
    def _sent(self, url: str, more: Mapping[str, str]) -> "Iterator[httpx.Response]":
        time.sleep(max(0.0, self.next_turn - time.monotonic()))
        self.next_turn = time.monotonic() + self.gap
        headers = {**more, **(self.headers if origin(url) == self.home else {})}
        with self.http.stream("GET", url, headers=headers) as response:
            yield response

    def _page(self, url: str, response: "httpx.Response") -> Page | None:
        if response.status_code == UNCHANGED:
            return None
        self._accept(url, response)
        return Page(self._body(url, response), {name.lower(): value for name, value in response.headers.items()})

    def _parsed(self, url: str, response: "httpx.Response") -> Answer:
        self._accept(url, response)
        body = self._body(url, response)
        link = response.links.get("next", {}).get("url")
        return Answer(url, _json(url, body, response.headers.get("Content-Type", "")), link)

    def _accept(self, url: str, response: "httpx.Response") -> None:
        """Raise what a status other than 200 means."""
        status = response.status_code
        if status in TEMPORARY:
            raise _LaterError(f"{public(url)} answers {status}. Run sync again later.", _asked_to_wait(response))
        if status in (400, 404, 410):
            raise GoneError(f"{public(url)} answers {status}: it knows no such page. Correct `url:` or `paging:`.")
        if status in (401, 403):
            raise SourceError(f"{public(url)} answers {status}: it refuses the key, or there is none. See `auth:`.")
        if status != 200:
            raise SourceError(f"{public(url)} answers {status}, which is no page.")

    def _body(self, url: str, response: "httpx.Response") -> bytes:
        body, end = bytearray(), time.monotonic() + SLOWEST * self.timeout
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > self.max_bytes:
                raise SourceError(
                    f"{public(url)}: a page is larger than {self.max_bytes / 2**20:g} MB (`max_mb`). Ask for smaller "
                    "pages, or raise it."
                )
            if time.monotonic() > end:
                raise _LaterError(f"{public(url)} sends too slowly: a page took over {SLOWEST * self.timeout:g} s.")
        return bytes(body)

    @contextlib.contextmanager
    def _reaching(self, url: str) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.TimeoutException:
            raise _LaterError(f"{public(url)} did not answer within {self.timeout:g} s.") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _LaterError(
                f"{public(url)} cannot be reached, or broke off ({type(error).__name__}). Nothing of this page was "
                "taken; run sync again."
            ) from None
        except httpx.InvalidURL:
            raise SourceError(f"{public(url)} is no address.") from None


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what has to be the same for a key to be sent."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(scheme)


def _json(url: str, body: bytes, content_type: str) -> Any:
    """JSON, or an error that tells a log-in page from a page that broke off."""
    if body.lstrip()[:1] == b"<" or "html" in content_type.lower():
        raise SourceError(
            f"{public(url)} answers with a web page instead of JSON, often one to log in. See `auth:` and `url:`."
        )
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _LaterError(f"{public(url)}: the page of {len(body)} bytes is no JSON; perhaps it broke off.") from None


def _no_number(name: str) -> float:
    raise ValueError(name)


def _asked_to_wait(response: "httpx.Response") -> float | None:
    """Seconds in Retry-After, which is a number or a date. Raises SourceError when they are too many."""
    given = response.headers.get("Retry-After", "").strip()
    if given.isdecimal():
        wait = float(given)
    else:
        try:
            wait = max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
        except (ValueError, TypeError):
            return None
    if wait > PATIENCE:
        raise SourceError(
            f"{public(str(response.url))} asks for {wait:.0f} s of patience. Run sync again after that; it goes on "
            "where it stopped."
        )
    return wait


def _wait(state: "RetryCallState") -> float:
    error = state.outcome.exception() if state.outcome else None
    told = error.wait if isinstance(error, _LaterError) else None
    backoff = min(60.0, packages.FIRST_WAIT * 2.0 ** (state.attempt_number - 1))
    return backoff if told is None else max(told, 0.0)
