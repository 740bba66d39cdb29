"""Entries of RSS and Atom feeds, each taken once by its id; what has not changed is not fetched again."""

import calendar
import hashlib
import io
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from tasks.core.errors import SourceError
from tasks.sources.base import FeedSettings, Mark, Portion
from tasks.sources.client import Client
from tasks.sources.file import public
from tasks.sources.http import Auth, without_secret
from tasks.sources.records import table
from tasks.sources.tables import Column

if TYPE_CHECKING:
    from feedparser import FeedParserDict

log = logging.getLogger("tidegate")

COLUMNS: dict[Column, str] = {"id": "id", "text": "text", "created_at": "time"}
SLACK = timedelta(hours=1)
"""By which a clock may be ahead."""
ENDS = (b"</rss>", b"</feed>", b"</rdf:rdf>")
ACCEPT = (
    "application/rss+xml, application/atom+xml, application/rdf+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"
)


class RssSource(FeedSettings):
    """The entries of a feed: title, and where wanted summary, as text. It shows its newest entries alone: sync often.

    An entry without an id goes by its link, or else by its text. Its time is when it was published, or updated; where
    it names none, or one that is still to come, it has none here.
    """

    kind: Literal["rss"] = "rss"
    columns: dict[Column, str] = Field(COLUMNS, description="entries have columns of their own: leave it out")
    url: str = Field(description="of the feed; keys belong into `auth`")
    summary: bool = Field(False, description="the summary behind the title, as plain text")
    auth: Auth | None = Field(None, description="sent to this host alone")
    per_second: float = Field(5, gt=0, le=1000, description="requests at most")
    timeout: float = Field(30, gt=0, le=600, description="seconds without an answer")
    max_mb: float = Field(32, gt=0, le=1024, description="of the feed, unpacked")
    equal_rows_are_one: ClassVar[bool] = True
    told_apart_by: ClassVar[tuple[Column, ...]] = ("id",)

    @field_validator("columns")
    @classmethod
    def _own(cls, columns: dict[Column, str]) -> dict[Column, str]:
        if columns != COLUMNS:
            raise ValueError("a source of kind rss has columns of its own: leave `columns:` out")
        return columns

    @field_validator("url", mode="before")
    @classmethod
    def _no_secret(cls, given: Any) -> str:
        return without_secret(given, "rss")

    def location(self) -> set[str]:
        """The feed may move and be asked otherwise."""
        return super().location() | {"url", "auth", "per_second", "timeout", "max_mb"}

    def address(self) -> str:
        """The URL without its query."""
        return public(self.url)

    def population(self, _last: Mark) -> int | None:
        """No feed tells it."""
        return None

    def has_news(self, last: Mark) -> bool:
        """Whether the feed is another than at the last sync."""
        answer = self._ask(last, tries=1)
        return answer is not None and (last.end is None or answer["digest"] != last.end["digest"])

    def feed(self, last: Mark, place: Any) -> Iterator[Portion]:
        """All entries that the feed shows, in one portion; none where it says that nothing has changed."""
        answer = None if place is not None else self._ask(last)
        if answer is None:
            return
        entries = self._entries(answer.pop("body"), answer.pop("headers"))
        found, types = table(entries, self.address())
        yield Portion(found, types, answer, answer)

    def _ask(self, last: Mark, tries: int | None = None) -> dict[str, Any] | None:
        """The feed's bytes, and by what a later sync tells whether it has changed; None where it has not."""
        end = last.end or {}
        asked = {"If-None-Match": end.get("etag"), "If-Modified-Since": end.get("modified")}
        headers = {"Accept": ACCEPT} | {name: value for name, value in asked.items() if value}
        with Client(self.url, self._key(), self.timeout, self.per_second, int(self.max_mb * 2**20)) as client:
            page = client.fetch(self.url, headers, tries)
        if page is None:
            return None
        digest = hashlib.blake2b(page.body, digest_size=8).hexdigest()
        told = {"etag": page.headers.get("etag"), "modified": page.headers.get("last-modified"), "digest": digest}
        return {"body": page.body, "headers": {"content-type": page.headers.get("content-type", "")}, **told}

    def _key(self) -> dict[str, str]:
        return self.auth.headers(f"The key of source {self.name!r}") if self.auth else {}

    def _entries(self, body: bytes, headers: Mapping[str, str]) -> dict[str, list[Any]]:
        """The entries as columns. Raises SourceError where it is no feed, or nothing in it has a text."""
        import feedparser

        # A stream: what is given as bytes feedparser takes for the name of a file as well.
        feed = feedparser.parse(
            io.BytesIO(body), response_headers=dict(headers), sanitize_html=True, resolve_relative_uris=False
        )
        self._refuse(feed, body)
        rows = [(_id(entry), self._text(entry), _time(entry)) for entry in feed.entries]
        told = [row for row in rows if row[1]]
        if rows and not told:
            raise SourceError(f"{self.address()}: none of {len(rows)} entries has a title{self._or_summary()}.")
        ahead = sum(_time(entry) is None and _stamp(entry) is not None for entry in feed.entries)
        for many, said in ((len(rows) - len(told), "have no text and are left out"),
                           (ahead, "are dated in the future; they count as of no date")):  # fmt: skip
            if many:
                log.warning("Source %s: %d of %d entries %s.", self.name, many, len(rows), said)
        ids, texts, times = zip(*told, strict=True) if told else ((), (), ())
        return {"id": list(ids), "text": list(texts), "created_at": list(times)}

    def _refuse(self, feed: "FeedParserDict", body: bytes) -> None:
        """Raise what is wrong. Small faults are usual and pass; of a feed that broke off the last text may be half."""
        version = feed.get("version")
        whole = not feed.bozo or body.rstrip()[-12:].lower().endswith(ENDS)
        if version and whole and (feed.entries or not feed.bozo):
            return
        if b"<html" in body[:2048].lower() or body.lstrip()[:14].lower() == b"<!doctype html":
            raise SourceError(
                f"{self.address()} answers with a web page instead of a feed. Look for its feed's address."
            )
        what = "broken XML" if version else "no RSS and no Atom"
        raise SourceError(f"{self.address()} gives {what}: nothing of it can be read. Is `url:` that of a feed?")

    def _or_summary(self) -> str:
        return " or summary" if self.summary else "; `summary: true` takes their summaries"

    def _text(self, entry: "FeedParserDict") -> str:
        parts = [entry.get("title", ""), entry.get("summary", "") if self.summary else ""]
        return "\n".join(dict.fromkeys(part.strip() for part in parts if part and part.strip()))


def _id(entry: "FeedParserDict") -> str:
    text = f"{entry.get('title', '')}\n{entry.get('summary', '')}"
    return entry.get("id") or entry.get("link") or hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _stamp(entry: "FeedParserDict") -> datetime | None:
    for name in ("published_parsed", "updated_parsed"):
        if entry.get(name):
            try:
                return datetime.fromtimestamp(calendar.timegm(entry[name]), UTC)
            except (ValueError, OverflowError, OSError):
                continue
    return None


def _time(entry: "FeedParserDict") -> datetime | None:
    stamp = _stamp(entry)
    return stamp if stamp is not None and stamp <= datetime.now(UTC) + SLACK else None
