"""What sync needs of a source of raw data. A new kind is one module with one class."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from tasks.sources.tables import TableSettings

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Piece:
    """One thing that a source holds now: a file, a member of an archive.

    `sha256` where it is known without reading, else `stamp`: whatever changes with the content and is cheap to ask for
    (size and time, an ETag); None where nothing of the kind can be had.
    """

    uri: str
    sha256: str | None = None
    stamp: str | None = None


@dataclass(frozen=True)
class Opened:
    """A piece brought to this disk: the path of its table (and of a second one to join) and the digest of its bytes.

    `stamp` is the piece's, where the file could change while it is read.
    """

    path: Path
    sha256: str
    second: Path | None = None
    stamp: str | None = None


class SourceSettings(TableSettings):
    """What every kind of source has; `look`, `open` and `rows` are what sync calls."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="stands in the rows; another name takes all rows anew")

    @model_validator(mode="after")
    def _has_text(self) -> "SourceSettings":
        if "text" not in self.all_columns():
            raise ValueError("columns must say which one holds the text, as in `columns: {text: review}`")
        return self

    def all_columns(self) -> set[str]:
        """The columns that rows of this source have."""
        return set(self.columns)

    def reading(self) -> str:
        """Digest of the settings that decide what is read out of the same bytes."""
        content = self.model_dump(mode="json", exclude=self.location())
        return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).hexdigest()

    def location(self) -> set[str]:
        """Names of the settings that say where the data is, not how it is read."""
        return {"name", "kind"}

    def look(self) -> list[Piece]:
        """What the source holds now, as cheaply as it can be told. Raises SourceError when it is gone."""
        raise NotImplementedError

    def open(self, piece: Piece) -> contextlib.AbstractContextManager[Opened]:
        """Bring a piece to this disk for the time of the block. Raises SourceError when that fails."""
        raise NotImplementedError

    def rows(self, opened: Opened, uri: str) -> Iterator["pa.Table"]:
        """The rows in order, in tables of bounded size with the columns of tasks.sources.tables.ROWS."""
        raise NotImplementedError
