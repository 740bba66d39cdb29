"""Rows of the prediction log for which people gave the true label: what live traffic teaches."""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from tasks.core.settings import read_params
from tasks.sources.base import FeedSettings, Mark, Portion
from tasks.sources.database import address, connected, parsed
from tasks.sources.drawn import Candidates, drawn
from tasks.sources.records import table
from tasks.sources.tables import Column

if TYPE_CHECKING:
    import sqlalchemy as sa

URL = "TIDEGATE_LOG_URL"
DEFAULT = "sqlite:///.tidegate/predictions.db"
"""As serving.log.settings has both; tasks know nothing of serving."""
ANSWERED = ("champion", "canary")
COLUMNS: dict[Column, str] = {"id": "id", "text": "text", "label": "label", "created_at": "created_at"}
CHUNK = 500  # rows whose texts are asked for at once: SQLite takes no more than a thousand ids
DIGEST = re.compile("[0-9a-f]{64}")  # what stands for a text while serving.log.text is hmac
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LogSource(FeedSettings):
    """Answers of a line's service, with the latest label that people gave each; texts as the log keeps them, masked.

    Each sync looks at all labels of the last `days`, so that none is missed that came late, and takes what the inbox
    has not. A text is taken once with the same label, however often it was sent. Where there are more than `max_rows`
    they are drawn by weight, always the same ones.
    """

    kind: Literal["log"] = "log"
    columns: dict[Column, str] = Field(COLUMNS, description="the log has columns of its own: leave it out")
    line: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="whose answers: usually the line's own name")
    days: float = Field(60, gt=0, description="labels that came earlier are left out")
    max_rows: int = Field(5_000, ge=1, le=200_000, description="rows of the last `days` at most")
    half_life_days: float = Field(14, gt=0, description="of more, a row that is so much older counts half in the draw")
    callers: dict[str, float] = Field(
        {}, description="weight in the draw by who asked, 1 for all others; rows of a caller with 0 are left out"
    )
    largest_share: float = Field(
        0.8, ge=0.5, le=1, description="of one label among the rows taken; 1 takes labels as they come"
    )
    min_new: int = Field(50, ge=1, description="while fewer labels have come since the last sync, none is taken")
    equal_rows_are_one: ClassVar[bool] = True
    told_apart_by: ClassVar[tuple[Column, ...]] = ("text", "label")

    @field_validator("columns")
    @classmethod
    def _own(cls, columns: dict[Column, str]) -> dict[Column, str]:
        if columns != COLUMNS:
            raise ValueError("a source of kind log has columns of its own: leave `columns:` out")
        return columns

    @field_validator("callers")
    @classmethod
    def _weights(cls, callers: dict[str, float]) -> dict[str, float]:
        if any(weight < 0 for weight in callers.values()):
            raise ValueError("a weight is 0 or more")
        return callers

    def location(self) -> set[str]:
        """The policy says which rows are taken, not how one is read."""
        policy = {"days", "max_rows", "half_life_days", "callers", "largest_share", "min_new"}
        return super().location() | policy

    def address(self) -> str:
        """Dialect, host and database of the log's URL."""
        return address(self._url())

    def has_news(self, last: Mark) -> bool:
        """Whether enough labels have come since."""
        with self._connected() as connection:
            return connection is not None and self._new(connection, last) >= self.min_new

    def population(self, last: Mark) -> int | None:  # noqa: ARG002 - the interface
        """Not asked for: the log deletes what is old."""
        return None

    def feed(self, last: Mark, place: Any) -> Iterator[Portion]:  # noqa: ARG002 - it is read in one go
        """The rows that the policy takes; none while too few labels are new."""
        with self._connected() as connection:
            if connection is None or self._new(connection, last) < self.min_new:
                return
            end, found = self._candidates(connection)
            chosen = drawn(found, self.max_rows, self.largest_share)
            values = self._rows(connection, found.ids[chosen].tolist(), dict(zip(found.ids, found.label, strict=True)))
        if values["text"]:
            rows, types = table(values, self.address())
            yield Portion(rows, types, None, end)

    def _new(self, connection: "sa.Connection", last: Mark) -> int:
        """How many labels came since the last sync; all, where the log began anew."""
        import sqlalchemy as sa

        given = _tables()[1]
        of_line = sa.select(sa.func.max(given.c.id)).where(given.c.line == self.line)
        newest = connection.execute(of_line).scalar() or 0
        end = last.end if last.end is not None and last.end <= newest else 0
        counted = sa.select(sa.func.count()).where(given.c.line == self.line, given.c.id > end)
        return int(connection.execute(counted).scalar_one())

    def _candidates(self, connection: "sa.Connection") -> tuple[int, Candidates]:
        """Rows with a text and a label, the newest label of each, and the highest number of a label."""
        import sqlalchemy as sa

        answers, given = _tables()
        later = given.alias("later")
        replaced = sa.exists().where(
            later.c.request_id == given.c.request_id, later.c.position == given.c.position,
            later.c.line + "" == given.c.line,  # as it stands it would draw SQLite to the index of whole lines
            sa.or_(later.c.time > given.c.time, sa.and_(later.c.time == given.c.time, later.c.id > given.c.id)),
        )  # fmt: skip
        columns = [answers.c.id, answers.c.time, answers.c.source, answers.c.content]
        query = (
            sa.select(*columns, given.c.label, given.c.time.label("labelled"), given.c.id.label("given"))
            .join(answers, sa.and_(answers.c.request_id == given.c.request_id, answers.c.position == given.c.position))
            .where(
                given.c.line == self.line, given.c.time >= _microseconds(datetime.now(UTC) - timedelta(days=self.days)),
                answers.c.line == self.line, answers.c.role.in_(ANSWERED), answers.c.text.is_not(None), ~replaced,
            )
        )  # fmt: skip
        rows = [row for row in connection.execute(query) if self.callers.get(row.source, 1) > 0]
        highest = connection.execute(sa.select(sa.func.max(given.c.id)).where(given.c.line == self.line)).scalar()
        return int(highest or 0), Candidates(
            ids=np.array([row.id for row in rows], np.int64),
            content=[bytes(row.content) if row.content is not None else str(row.id).encode() for row in rows],
            label=np.array([row.label for row in rows], object),
            labelled=np.array([row.labelled for row in rows], np.int64),
            log_weight=np.array([self._log_weight(row.time, row.source) for row in rows], np.float64),
        )

    def _log_weight(self, time: int, source: str) -> float:
        """Natural logarithm of a row's weight in the draw; of the time only differences count."""
        return float(np.log(self.callers.get(source, 1.0)) + np.log(2) * time / (86_400e6 * self.half_life_days))

    def _rows(self, connection: "sa.Connection", ids: list[int], label: Mapping[int, str]) -> dict[str, list[Any]]:
        """The chosen rows as columns, in the order of the log. The id names the text: none comes twice."""
        import sqlalchemy as sa

        answers, _ = _tables()
        values: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        for first in range(0, len(ids), CHUNK):
            wanted = answers.c.id.in_(sorted(ids[first : first + CHUNK]))
            query = sa.select(answers.c.id, answers.c.time, answers.c.text).where(wanted).order_by(answers.c.id)
            for row in connection.execute(query):
                if row.text.strip() and not DIGEST.fullmatch(row.text):
                    name = hashlib.blake2b(row.text.encode("utf-8", "replace"), digest_size=8).hexdigest()
                    when = EPOCH + timedelta(microseconds=row.time)
                    for column, value in zip(COLUMNS, (name, row.text, label[row.id], when), strict=True):
                        values[column].append(value)
        return values

    def _url(self) -> "sa.URL":
        return parsed(database(), URL)

    @contextlib.contextmanager
    def _connected(self) -> Iterator["sa.Connection | None"]:
        """A connection to the log; None where it has no rows that can be read: no database yet, or none with texts."""
        import sqlalchemy as sa

        url = self._url()
        file = url.database if url.get_backend_name() == "sqlite" else None
        if not keeps_texts() or (file is not None and not Path(file).exists()):
            yield None
            return
        with connected(
            url, f"Source {self.name!r}: the prediction log {address(url)}", f"Correct {URL} or rights."
        ) as found:
            there = sa.inspect(found).has_table("predictions")
            yield found if there else None


def database() -> str:
    """The URL of the prediction log, as the service finds it: TIDEGATE_LOG_URL, else serving.log.url of params.yaml."""
    return os.environ.get(URL) or str(_settings().get("url", DEFAULT))


def keeps_texts() -> bool:
    """Whether the log keeps texts: where it keeps their HMAC or nothing, nothing can be learned from it."""
    return bool(_settings().get("text", "masked") == "masked")


def _settings() -> dict[str, Any]:
    serving = read_params().get("serving")
    log = serving.get("log") if isinstance(serving, dict) else None
    return log if isinstance(log, dict) else {}


def _tables() -> "tuple[sa.TableClause, sa.TableClause]":
    """Of the log's tables the columns that are read here (serving.log.tables)."""
    import sqlalchemy as sa

    key = ("request_id", "position", "line", "id", "time", "source")
    answers = sa.table("predictions", *map(sa.column, (*key, "role", "text", "content")))
    return answers, sa.table("feedback", *map(sa.column, (*key, "label")))


def _microseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


__all__ = ["LogSource", "database", "keeps_texts"]
