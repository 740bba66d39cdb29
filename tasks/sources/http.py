"""Rows of a JSON API: page after page, each asked for until it comes whole, none taken twice."""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, urljoin, urlsplit

from pydantic import Field, field_validator, model_validator

from tasks.core.errors import SettingsError, SourceError
from tasks.core.settings import Settings
from tasks.sources.base import FeedSettings, Mark, Portion, StalePlaceError
from tasks.sources.client import Answer, Client, GoneError, origin
from tasks.sources.file import public
from tasks.sources.records import from_environment, is_variable, table

SECRET = re.compile(r"(?i)token|secret|passw|api_?key|signature|credential|^key$|^sig$|^auth$")
SAME = 3  # so often may a page stand among the last ones before it is held to come for ever
REMEMBERED = 200  # pages; a longer circle ends at `max_pages`


class Auth(Settings):
    """A header that says who asks."""

    env: str = Field(description="environment variable with the key")
    header: str = Field("Authorization", description="name of the header")
    prefix: str = Field("Bearer ", description='before the key, a word and a space; "" for none')

    @field_validator("env", mode="before")
    @classmethod
    def _no_key(cls, given: Any) -> str:
        return is_variable(str(given), "`auth: env:` of a source of kind http")

    @field_validator("header", "prefix", mode="before")
    @classmethod
    def _no_key_beside(cls, given: Any) -> str:
        if not re.fullmatch(r"|[A-Za-z][A-Za-z-]{0,40} ?", str(given)):
            raise SettingsError(
                "`auth: header:` is the name of a header, as X-Api-Key, and `prefix:` a word and a space, as "
                "'Bearer '. What was given is not shown, for it may hold a key: that one comes from `env:`."
            )
        return str(given)

    def headers(self, what: str) -> dict[str, str]:
        """The header with the key. `what` names it in messages. Raises SourceError where it is not set, or no text."""
        key = from_environment(self.env, what)
        if not (key.isascii() and key.isprintable()):
            raise SourceError(f"The key in {self.env} has characters that no header can carry. Set it anew.")
        return {self.header: f"{self.prefix}{key}"}


class Paging(Settings):
    """How one page leads to the next."""

    by: Literal["link", "cursor", "page"] = Field(
        description="link: an address, in the Link header or at `next`; cursor: a value at `next`; page: a number"
    )
    next: str | None = Field(None, description="JSON path of the address or cursor, as meta.next")
    parameter: str | None = Field(None, description="of the query: the cursor or the number goes there")
    first: int = Field(1, ge=0, description="the number of the first page")

    @model_validator(mode="after")
    def _fits(self) -> "Paging":
        if self.by == "cursor" and not (self.next and self.parameter):
            raise ValueError("paging by cursor needs `next` (where the cursor stands) and `parameter` (where it goes)")
        if self.by == "page" and (self.next or not self.parameter):
            raise ValueError("paging by page needs `parameter`, as page, and no `next`")
        if self.by == "link" and self.parameter:
            raise ValueError("paging by link needs no `parameter`: the link holds all")
        return self


class Since(Settings):
    """A field that tells which records are new, and the parameter that asks for those alone."""

    field: str = Field(min_length=1, description="JSON path in a record: a time or a running number")
    parameter: str = Field(min_length=1, description="of the query, as updated_since")


class HttpSource(FeedSettings):
    """The records of a JSON API."""

    kind: Literal["http"] = "http"
    equal_rows_are_one = True
    url: str = Field(description="of the first page; keys belong into `auth`")
    records: str = Field("", description='JSON path of the list of records, as data.items; "" where the page is it')
    paging: Paging | None = Field(None, description="without it there is one page")
    auth: Auth | None = Field(None, description="sent to this host alone")
    watermark: Since | None = Field(None, description="asks for what came since the last sync")
    stop_at_known: bool = Field(False, description="newest first: end at a page with known records and no new one")
    per_second: float = Field(5, gt=0, le=1000, description="requests at most")
    timeout: float = Field(30, gt=0, le=600, description="seconds without an answer")
    max_mb: float = Field(32, gt=0, le=1024, description="of one page, unpacked")
    max_pages: int = Field(10_000, ge=1, description="more than this is taken for a fault")

    @field_validator("url", mode="before")
    @classmethod
    def _no_secret(cls, given: Any) -> str:
        return without_secret(given, "http")

    @field_validator("auth", mode="before")
    @classmethod
    def _is_block(cls, given: Any) -> Any:
        if given is not None and not isinstance(given, dict):
            raise SettingsError("`auth:` of a source of kind http is a block as {env: DESK_KEY}; it holds no key.")
        return given

    @model_validator(mode="after")
    def _one_way(self) -> "HttpSource":
        if self.watermark and self.stop_at_known:
            raise ValueError("either `watermark` or `stop_at_known` says what is new, not both")
        return self

    def location(self) -> set[str]:
        """The service may move and be asked otherwise."""
        return super().location() | {
            "url",
            "auth",
            "paging",
            "per_second",
            "timeout",
            "max_mb",
            "max_pages",
            "stop_at_known",
        }

    @property
    def whole(self) -> bool:
        """Nothing says what is new, so all is read."""
        return not self.watermark and not self.stop_at_known

    @property
    def ends_at_known(self) -> bool:
        """Newest first."""
        return self.stop_at_known

    def address(self) -> str:
        """The URL without its query."""
        return public(self.url)

    def population(self, _last: Mark) -> int | None:
        """No API tells it for little."""
        return None

    def has_news(self, last: Mark) -> bool:
        """By the first page alone: whether it is another, or holds a record beyond the watermark."""
        if last.end is None:
            return True
        with self._client() as client:
            answer = client.get(*self._first(last), tries=1)
        records = self._records(answer)
        if self.watermark and any(_later(last.end["since"], self._since(record)) for record in records):
            return True
        if self.watermark is None and _digest(records) != last.end["first"]:
            return True
        return not self.stop_at_known and self._next(answer, records, None) is not None  # only sync can tell

    def feed(self, last: Mark, place: Any) -> Iterator[Portion]:
        """Page after page, each a portion."""
        since = last.end and last.end["since"]
        place = place or {"step": None, "page": 0, "since": since, "first": None, "known": []}
        resumed = place["page"] > 0
        if resumed and place["step"] is None:
            return  # the last page was read before the sync was killed
        with self._client() as client:
            while True:
                answer = self._ask(client, last, place["step"], resumed)
                resumed = False
                records = self._records(answer)
                digest = _digest(records)
                self._refuse_circle(place, digest, records)
                for record in records:
                    place["since"] = _latest(place["since"], self._since(record))
                step = self._next(answer, records, place["step"])
                place |= {"step": step, "page": place["page"] + 1, "first": place["first"] or digest}
                place["known"] = [*place["known"], digest][-REMEMBERED:]
                found, types = self._table(records)
                yield Portion(found, types, dict(place), {"since": place["since"], "first": place["first"]})
                if step is None:
                    return

    def _ask(self, client: Client, last: Mark, step: Any, resumed: bool) -> Answer:
        url, parameters = self._first(last)
        if step is not None and "link" in step:
            url, parameters = step["link"], {}
        elif step is not None and self.paging and self.paging.parameter:
            parameters = {**parameters, self.paging.parameter: str(step["value"])}
        try:
            return client.get(url, parameters)
        except GoneError:
            if resumed:
                raise StalePlaceError from None
            raise

    def _first(self, last: Mark) -> tuple[str, dict[str, str]]:
        parameters = {}
        if self.paging and self.paging.by == "page" and self.paging.parameter:
            parameters[self.paging.parameter] = str(self.paging.first)
        if self.watermark and last.end and last.end["since"] is not None:
            parameters[self.watermark.parameter] = str(last.end["since"])
        return self.url, parameters

    def _next(self, answer: Answer, records: list[Any], step: Any) -> Any:
        """Where the next page is: a link, a cursor or number; None after the last one."""
        paging = self.paging
        if paging is None:
            return None
        if paging.by == "page":
            return {"value": (step["value"] if step else paging.first) + 1} if records else None
        given: Any = found(answer.content, paging.next) if paging.next else answer.link
        if given in (None, "", False):
            return None
        if not isinstance(given, str | int):
            raise SourceError(f"{self.address()}: at {paging.next!r} stands {_called(given)}, no address or cursor.")
        following: dict[str, Any] = {"value": given}
        if paging.by == "link":
            following = {"link": urljoin(answer.url, str(given))}
        if following == step:
            raise SourceError(f"{self.address()}: a page names itself as the next one, so there would be no end.")
        if paging.by == "link" and origin(following["link"])[0] not in ("http", "https"):
            raise SourceError(f"{self.address()}: the next page's address is none of http or https.")
        return following

    def _refuse_circle(self, place: dict[str, Any], digest: str, records: list[Any]) -> None:
        number = place["page"] + 1
        if records and place["known"].count(digest) >= SAME:
            raise SourceError(
                f"{self.address()}: page {number} has the same records as {SAME} pages before it, and it seems to go "
                "on like that for ever. Does the service know the parameter that `paging:` names? Nothing was taken."
            )
        if number > self.max_pages:
            raise SourceError(
                f"{self.address()}: there are more than {self.max_pages} pages (`max_pages`). If that is right, "
                "raise it; what was read is kept, and sync goes on there."
            )

    def _records(self, answer: Answer) -> list[Any]:
        records = found(answer.content, self.records)
        if not isinstance(records, list):
            where = f"at {self.records!r}" if self.records else "as the page"
            keys = sorted(answer.content) if isinstance(answer.content, dict) else []
            hint = f" The page has the keys {', '.join(keys[:20])}." if keys else ""
            raise SourceError(
                f"{self.address()}: {where} stands {_called(records)}, no list of records. Correct `records:`.{hint}"
            )
        bad = next((record for record in records if not isinstance(record, dict)), None)
        if bad is not None:
            raise SourceError(f"{self.address()}: a record is {_called(bad)}, no object. Correct `records:`.")
        return records

    def _table(self, records: list[Any]) -> Any:
        values: dict[str, list[Any]] = {
            ours: [found(record, theirs) for record in records] for ours, theirs in self.columns.items()
        }
        if records and not any(value is not None for value in values["text"]):
            raise SourceError(
                f"{self.address()}: no record has anything at {self.columns['text']!r}, which `columns: text` names. "
                f"A record has the keys {', '.join(sorted(records[0])[:20])}."
            )
        return table(values, self.address())

    def _since(self, record: Any) -> Any:
        if self.watermark is None:
            return None
        value = found(record, self.watermark.field)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise SourceError(
                f"{self.address()}: a record has {_called(value)} at {self.watermark.field!r}, where "
                "`watermark: field` expects a time or a number in each."
            )
        return value

    def _client(self) -> Client:
        headers = self.auth.headers(f"The key of source {self.name!r}") if self.auth else {}
        return Client(self.url, headers, self.timeout, self.per_second, int(self.max_mb * 2**20))


def without_secret(given: Any, kind: str) -> str:
    """The address of a source. Raises SettingsError, which does not quote it, where it holds a key or is none."""
    url = str(given)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SettingsError(f"`url:` of a source of kind {kind} is no address as https://host/path.") from None
    if "@" in parts.netloc or any(SECRET.search(name) for name, _ in parse_qsl(parts.query)):
        raise SettingsError(
            f"`url:` of a source of kind {kind} holds a key or a password, which is not shown here. Take it out of "
            "params.yaml, put it into an environment variable and name that one under `auth: {env: ...}`."
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"`url:` of a source of kind {kind} is no address as https://host/path.")
    return url


def found(content: Any, path: str) -> Any:
    """What stands at a path as data.items.0 in parsed JSON, None where it leads nowhere; "" is all of it."""
    for part in path.split(".") if path else ():
        if isinstance(content, dict):
            content = content.get(part)
        elif isinstance(content, list) and part.isdecimal() and int(part) < len(content):
            content = content[int(part)]
        else:
            return None
    return content


def _called(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _digest(records: list[Any]) -> str:
    content = json.dumps(records, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def _latest(one: Any, other: Any) -> Any:
    return other if _later(one, other) else one


def _later(one: Any, other: Any) -> bool:
    """Whether `other` comes after `one`; a time of another zone or precision is compared as a time."""
    if other is None:
        return False
    if one is None:
        return True
    if isinstance(one, str) != isinstance(other, str):
        raise SourceError("The watermark of an API is a number in one record and a text in another.")
    if not isinstance(one, str):
        return bool(other > one)
    try:
        times = [datetime.fromisoformat(value) for value in (one, other)]
        return times[1] > times[0]
    except (ValueError, TypeError):
        return bool(other > one)


__all__ = ["HttpSource"]
