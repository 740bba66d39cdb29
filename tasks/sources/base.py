"""What sync needs of a source of raw data. A new kind is one module with one class."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from tasks.core.settings import Settings
from tasks.sources.tables import ROWS, Column, TableSettings

if TYPE_CHECKING:
    import pyarrow as pa


LATER = [("skip", 0), ("rows_of", None), ("join.key", "id"), ("join.separator", " ")]
"""Settings that a first version had not, and the defaults that read as it did."""


@dataclass(frozen=True)
class Piece:
    """One thing that a source holds now: a file, a member of an archive.

    `sha256` where it is known without reading, else `stamp`: whatever changes with the content and is cheap to ask for
    (size and time, an ETag); None where nothing of the kind can be had. `revision` where the place has versions.
    """

    uri: str
    sha256: str | None = None
    stamp: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Opened:
    """A piece brought to this disk: the path of its table (and of a second one to join) and the digest of its bytes.

    `stamp` is the piece's, where the file could change while it is read.
    """

    path: Path
    sha256: str
    second: Path | None = None
    stamp: str | None = None


@dataclass(frozen=True)
class Mark:
    """Where an earlier sync of a feed ended.

    `end` is the feed's own, as JSON; `types` are those of the columns; `population` is how many rows there were up to
    `end`, None where nobody counted.
    """

    end: Any = None
    types: dict[str, str] = field(default_factory=dict)
    population: int | None = None


@dataclass(frozen=True)
class Portion:
    """Rows of a feed that came in one go.

    `place` is where reading goes on after them in this sync, `end` where the next sync would begin if nothing came
    after them. Both are JSON without secrets of the settings.
    """

    table: "pa.Table"
    types: dict[str, str]
    place: Any
    end: Any


class SourceBase(Settings):
    """What every kind of source has."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="stands in the rows; another name takes all rows anew")
    columns: dict[Column, str | int] = Field(description="our column: theirs")

    @model_validator(mode="after")
    def _has_text(self) -> "SourceBase":
        if "text" not in self.all_columns():
            raise ValueError("columns must say which one holds the text, as in `columns: {text: review}`")
        return self

    def all_columns(self) -> set[str]:
        """The columns that rows of this source have."""
        return set(self.columns)

    def reading(self) -> str:
        """Digest of the settings that decide what is read out of the same bytes.

        One that came later counts where it is not at its default, so that what was read before is not read again.
        """
        content = self.model_dump(mode="json", exclude=self.location())
        content = {name: value for name, value in content.items() if (name, value) not in LATER}
        if join := content.get("join"):
            content["join"] = {name: value for name, value in join.items() if (f"join.{name}", value) not in LATER}
        return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).hexdigest()

    def location(self) -> set[str]:
        """Names of the settings that say where the data is, not how it is read."""
        return {"name", "kind"}


class SourceSettings(TableSettings, SourceBase):
    """A source of files; `look`, `open` and `rows` are what sync calls."""

    def look(self) -> list[Piece]:
        """What the source holds now, as cheaply as it can be told. Raises SourceError when it is gone."""
        raise NotImplementedError

    def open(self, piece: Piece) -> contextlib.AbstractContextManager[Opened]:
        """Bring a piece to this disk for the time of the block. Raises SourceError when that fails."""
        raise NotImplementedError

    def rows(self, opened: Opened, uri: str) -> Iterator["pa.Table"]:
        """The rows in order, in tables of bounded size with the columns of tasks.sources.tables.ROWS."""
        raise NotImplementedError


class FeedSettings(SourceBase):
    """A source without files, whose rows come in portions; `address`, `has_news`, `feed` and the rest serve sync."""

    columns: dict[Column, str] = Field(description="our column: theirs, by name")  # type: ignore[assignment]
    equal_rows_are_one: ClassVar[bool] = False
    """Whether two rows of the same content are one that came twice."""
    told_apart_by: ClassVar[tuple[Column, ...]] = ROWS
    """The columns that are a row's content."""

    @property
    def whole(self) -> bool:
        """Whether each sync reads all rows, so that those changed and gone can be told."""
        return False

    @property
    def ends_at_known(self) -> bool:
        """Whether a portion with known rows and no new one is the last one worth reading."""
        return False

    def address(self) -> str:
        """Names the place in provenance and messages, without what may be secret."""
        raise NotImplementedError

    def has_news(self, last: Mark) -> bool:
        """Whether there is something after `last`, by one cheap question. Raises SourceError when nobody answers."""
        raise NotImplementedError

    def population(self, last: Mark) -> int | None:
        """How many rows there are up to `last`, None where that is not asked for or costs too much."""
        raise NotImplementedError

    def feed(self, last: Mark, place: Any) -> Iterator[Portion]:
        """The rows after `last` in portions of bounded size; from `place` on, where a sync was killed there.

        Raises StalePlaceError when the other side no longer knows the place, SourceError when reading fails for good.
        """
        raise NotImplementedError


class StalePlaceError(Exception):
    """Reading cannot go on from where a killed sync stopped; it must begin anew."""
