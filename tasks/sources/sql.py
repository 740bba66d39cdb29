"""Rows of a database: a query through SQLAlchemy, read in the order of a watermark, each row once."""

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from tasks import packages
from tasks.core.errors import SourceError
from tasks.core.settings import Settings
from tasks.sources.base import FeedSettings, Mark, Portion
from tasks.sources.database import GoneError, address, connected, parsed
from tasks.sources.records import from_environment, is_variable, table

if TYPE_CHECKING:
    import sqlalchemy as sa

CHUNK = 20_000  # rows in memory at once, as Python values some 500 bytes each beside their text


class Watermark(Settings):
    """What orders the rows, so that a sync begins where the last one ended."""

    column: str = Field(min_length=1, description="never falls for a new row: a time of change, a running number")
    tie_breaker: str | None = Field(None, description="tells rows of the same watermark apart; needed unless unique")


class SqlSource(FeedSettings):
    """The rows of a query."""

    kind: Literal["sql"] = "sql"
    url_env: str = Field(description="environment variable with the address, as postgresql://user:password@host/base")
    query: str = Field(min_length=1, description="a SELECT without ORDER BY; the program adds order and limits")
    watermark: Watermark | None = Field(None, description="without it each sync reads all rows")
    changes: Literal["ignore", "count", "compare"] = Field(
        "count", description="of rows taken before: `count` asks how many there are now, `compare` reads all again"
    )

    @field_validator("url_env", mode="before")
    @classmethod
    def _no_url(cls, given: Any) -> str:
        return is_variable(str(given), "`url_env:` of a source of kind sql")

    @field_validator("query")
    @classmethod
    def _reads_only(cls, query: str) -> str:
        query = query.strip().rstrip(";").rstrip()
        if not re.match(r"(?is)(--[^\n]*\n|\s)*(select|with|values|table)\b", query):
            raise ValueError("must be a SELECT")
        return query

    @model_validator(mode="after")
    def _compares_ids(self) -> "SqlSource":
        if self.changes == "compare" and "id" not in self.columns:
            raise ValueError("`changes: compare` needs the id of each row; name its column under `columns:` as `id`")
        return self

    def location(self) -> set[str]:
        """The database may move."""
        return super().location() | {"url_env", "changes"}

    @property
    def whole(self) -> bool:
        """Comparing means reading all rows."""
        return self.watermark is None or self.changes == "compare"

    def address(self) -> str:
        """Dialect, host and database of the URL."""
        return address(self._url())

    def has_news(self, last: Mark) -> bool:
        """Whether a row stands after the last one taken. Without a watermark only sync can tell."""
        if self.watermark is None:
            return True
        with self._connected() as connection:
            return connection.execute(self._one_after(last.end)).first() is not None

    def population(self, last: Mark) -> int | None:
        """The rows up to the last one taken."""
        if self.watermark is None or self.changes == "ignore" or last.end is None:
            return None
        return int(packages.patiently(GoneError)(self._counted, last))

    def feed(self, last: Mark, place: Any) -> Iterator[Portion]:
        """The rows in order of the watermark; a connection that breaks is made anew, and reading goes on behind it."""
        keys, place = self._keys(), place or last.end
        tries, started = 0, False
        while True:
            try:
                for rows, key in self._read(place, not started):
                    found, types = table(dict(zip(self.columns, rows, strict=True)), self.address())
                    yield Portion(found, types, key, key)
                    tries, started, place = 0, True, key
                return
            except GoneError:
                tries += 1
                if tries == packages.TRIES or (started and not keys):
                    raise
                time.sleep(min(60, packages.FIRST_WAIT * 2 ** (tries - 1)))

    def _read(self, place: Any, check: bool) -> Iterator[tuple[Sequence[Sequence[Any]], Any]]:
        """Columns and last key of each chunk, all in one transaction; `check` looks for rows without a watermark."""
        keys = self._keys()
        with self._connected() as connection:
            self._refuse_columns(connection)
            if check:
                self._refuse_nulls(connection)
            found = connection.execution_options(stream_results=True, max_row_buffer=CHUNK).execute(
                self._after(place, [*self.columns.values(), *keys])
            )
            last = None if place is None else tuple(map(_decoded, place))
            for rows in found.partitions(CHUNK):
                columns = list(zip(*rows, strict=True))
                if keys:
                    last = self._refuse_ties(last, list(zip(*columns[len(self.columns) :], strict=True)))
                yield columns[: len(self.columns)], last and [*map(_encoded, last)]

    def _keys(self) -> list[str]:
        mark = self.watermark
        return [key for key in (mark and mark.column, mark and mark.tie_breaker) if key]

    def _query(self, names: Sequence[str]) -> Any:
        """The user's query as a table; its colons are no parameters."""
        import sqlalchemy as sa

        given = sa.text(self.query.replace(":", r"\:")).columns(*(sa.column(name) for name in dict.fromkeys(names)))
        return given.subquery("given")

    def _after(self, place: Any, names: Sequence[str]) -> Any:
        """These columns of the rows after a place, in order."""
        import sqlalchemy as sa

        keys = self._keys()
        given = self._query([*names, *keys])
        wanted = sa.select(*(given.c[name].label(f"c{n}") for n, name in enumerate(names)))
        if place is not None:
            wanted = wanted.where(self._beyond(given, place))
        return wanted.order_by(*(given.c[key] for key in keys))

    def _one_after(self, place: Any) -> Any:
        import sqlalchemy as sa

        given = self._query(self._keys())
        wanted = sa.select(sa.literal(1)).select_from(given).limit(1)
        return wanted if place is None else wanted.where(self._beyond(given, place))

    def _counted(self, last: Mark) -> int:
        import sqlalchemy as sa

        given = self._query(self._keys())
        wanted = sa.select(sa.func.count()).select_from(given).where(~self._beyond(given, last.end))
        with self._connected() as connection:
            return int(connection.execute(wanted).scalar_one())

    def _beyond(self, given: Any, place: Any) -> Any:
        """(a, b) > (x, y), written so that every database understands it and an index on `a` serves."""
        import sqlalchemy as sa

        first, *second = [(given.c[key], _decoded(value)) for key, value in zip(self._keys(), place, strict=True)]
        column, value = first
        if not second:
            return column > value
        ((other, tie),) = second
        return sa.and_(column >= value, sa.or_(column > value, other > tie))

    def _refuse_columns(self, connection: "sa.Connection") -> None:
        import difflib

        import sqlalchemy as sa

        names = list(connection.execute(sa.text(f"SELECT * FROM ({self._escaped()}) AS given WHERE 1 = 0")).keys())  # noqa: S608
        for wanted in [*self.columns.values(), *self._keys()]:
            if wanted not in names:
                near = difflib.get_close_matches(wanted, names, n=1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                raise SourceError(
                    f"Source {self.name!r}: the query gives no column {wanted!r}{hint}. It gives {', '.join(names)}."
                )

    def _escaped(self) -> str:
        return self.query.replace(":", r"\:")

    def _refuse_nulls(self, connection: "sa.Connection") -> None:
        """A row whose watermark is null stands before and after no other: it would never be taken."""
        import sqlalchemy as sa

        keys = self._keys()
        if not keys:
            return
        given = self._query(keys)
        empty = sa.or_(*(given.c[key].is_(None) for key in keys))
        if connection.execute(sa.select(sa.literal(1)).select_from(given).where(empty).limit(1)).first():
            raise SourceError(
                f"Source {self.name!r}: a row has no {' or no '.join(keys)} (null) and could never be told from those "
                "taken. Leave such rows out in the query, or give them a value there by COALESCE."
            )

    def _refuse_ties(self, last: Any, keys: list[Any]) -> Any:
        """The last key, each being another than the one before."""
        if any(one == two for one, two in zip([last, *keys], keys, strict=False)):
            advice = "another" if self.watermark and self.watermark.tie_breaker else "a"
            raise SourceError(
                f"Source {self.name!r}: two rows have the same {' and '.join(self._keys())}, and a sync that ended "
                f"between them would lose one. Name {advice} `tie_breaker:` under `watermark:` that tells them apart, "
                "such as the table's key."
            )
        return keys[-1]

    def _url(self) -> "sa.URL":
        given = from_environment(self.url_env, f"The database of source {self.name!r}")
        return parsed(given, self.url_env)

    def _connected(self) -> contextlib.AbstractContextManager["sa.Connection"]:
        what = f"Source {self.name!r}: the database {self.address()}"
        return connected(self._url(), what, f"Correct `query:`, {self.url_env} or rights.")


_CODES: dict[type, tuple[str, Any, Any]] = {
    datetime: ("time", datetime.isoformat, datetime.fromisoformat),
    date: ("date", date.isoformat, date.fromisoformat),
    Decimal: ("decimal", str, Decimal),
    UUID: ("uuid", str, UUID),
}


def _encoded(value: Any) -> Any:
    """A key as JSON that `_decoded` turns back into the same value."""
    if type(value) in _CODES:
        name, encode, _ = _CODES[type(value)]
        return {name: encode(value)}
    if isinstance(value, str | int | float):
        return value
    raise SourceError(f"A watermark or tie-breaker cannot be {type(value).__name__}; cast it in the query.")


def _decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((name, text),) = value.items()
    return next(decode for code, _, decode in _CODES.values() if code == name)(text)


__all__ = ["SqlSource"]
