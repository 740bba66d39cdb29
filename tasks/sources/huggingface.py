"""Rows of a dataset of the Hugging Face hub at a pinned revision, or of a copy in a folder. Its scripts never run."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tasks.core.errors import SettingsError, SourceError
from tasks.core.files import read_json, sha256, write_json
from tasks.core.line import STATE
from tasks.sources.base import Opened, Piece, SourceSettings
from tasks.sources.tables import CHUNK, SUFFIXES, canonical, read

if TYPE_CHECKING:
    import pyarrow as pa

SHA = re.compile(r"[0-9a-f]{40}")
READABLE = (*SUFFIXES, ".csv.gz", ".jsonl.gz", ".arrow")


class HuggingfaceSource(SourceSettings):
    """Files of a dataset: parquet as the hub keeps it, arrow as `save_to_disk` writes it, csv or jsonl."""

    kind: Literal["huggingface"] = "huggingface"
    dataset: str | None = Field(None, pattern=r"^[\w.-]+(/[\w.-]+)?$", description="OWNER/NAME on the hub")
    revision: str | None = Field(None, description="its commit, 40 hex digits; without it the error prints the pin")
    folder: str | None = Field(None, min_length=1, description="instead of both: a copy on this machine")
    files: str = Field("*", min_length=1, description="which of them, as data/train-*.parquet; * goes across folders")

    @model_validator(mode="after")
    def _one_place(self) -> "HuggingfaceSource":
        if (self.dataset is None) == (self.folder is None):
            raise ValueError("needs either `dataset` with `revision`, or `folder`")
        if self.folder is not None and self.revision is not None:
            raise ValueError("a `folder` has no `revision`: its files are named by their content")
        return self

    def location(self) -> set[str]:
        """The dataset may move on to another revision or be copied; rows taken before are known by their content."""
        return super().location() | {"dataset", "revision", "folder"}

    def look(self) -> list[Piece]:
        """The files at the revision, from a note of an earlier look where there is one: a revision never changes."""
        if self.folder is not None:
            return [Piece(path.as_posix(), stamp=_stamp(path)) for path in self._here(Path(self.folder))]
        if self.revision is None or not SHA.fullmatch(self.revision):
            return [Piece(f"hf://datasets/{self.dataset}")]
        note = STATE / "sync" / "hub" / f"{str(self.dataset).replace('/', '--')}@{self.revision}.json"
        try:
            files = read_json(note)
        except (OSError, ValueError):
            files = self._listed()
            write_json(note, files)
        return [
            Piece(f"hf://datasets/{self.dataset}@{self.revision}/{name}", digest, stamp, self.revision)
            for name, digest, stamp in self._chosen(files)
        ]

    @contextlib.contextmanager
    def open(self, piece: Piece) -> Iterator[Opened]:
        """The file in the folder, or in the hub's own cache, where it is fetched once."""
        if self.folder is None and piece.revision is None:
            raise SettingsError(self._pin_needed())
        path = Path(piece.uri) if self.folder is not None else self._fetched(piece)
        digest = sha256(path)
        if piece.sha256 not in (None, digest):
            raise SourceError(f"{piece.uri} is damaged in the hub's cache ({path}). Remove it there and sync again.")
        yield Opened(path, digest, stamp=piece.stamp)

    def rows(self, opened: Opened, uri: str) -> Iterator["pa.Table"]:
        """The rows of a file; labels that the dataset keeps as numbers with names become the names."""
        if uri.endswith((".arrow", ".parquet")):
            yield from self._arrow_rows(opened.path, uri)
        else:
            yield from read(opened.path, self, uri, self.columns)
        if self.folder is not None and _stamp(opened.path) != opened.stamp:
            raise SourceError(f"{uri} changed while it was read. Nothing of it was taken; run sync again.")

    def _arrow_rows(self, path: Path, uri: str) -> Iterator["pa.Table"]:
        import pyarrow as pa

        names, some = None, False
        try:
            for table in _tables(path, uri.endswith(".arrow")):
                self._refuse_columns(table.column_names, uri)
                names = _label_names(table.schema) if names is None else names
                picked = {ours: _named(table[theirs], names.get(str(theirs))) for ours, theirs in self.columns.items()}
                some = some or table.num_rows > 0
                yield canonical(pa.table(picked), uri)
        except (pa.ArrowException, EOFError) as error:
            raise SourceError(
                f"{uri} is damaged or none of its kind ({type(error).__name__}). Fetch it anew."
            ) from None
        if not some:
            raise SourceError(f"{uri} holds no row. Leave it out by `files:`.")

    def _refuse_columns(self, there: Sequence[str], uri: str) -> None:
        import difflib

        for theirs in self.columns.values():
            if theirs not in there:
                near = difflib.get_close_matches(str(theirs), there, n=1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                raise SourceError(f"{uri} has no column {theirs!r}{hint}. It has {', '.join(there)}.")

    def _here(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            raise SourceError(f"Source {self.name!r}: there is no folder {self.folder}. Correct `folder:`.")
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        return [found[name] for name, _, _ in self._chosen([[name, None, None] for name in sorted(found)])]

    def _chosen(self, files: list[list[Any]]) -> list[list[Any]]:
        """The files that `files:` names and that can be read. Raises SourceError when there are none."""
        named = [file for file in files if fnmatchcase(file[0], self.files)]
        chosen = [
            file for file in named if file[0].endswith(READABLE) and not Path(file[0]).name.startswith(("cache-", "."))
        ]
        if chosen:
            return chosen
        if self.files != "*":
            told = ", ".join(file[0] for file in files[:20])
            raise SourceError(f"Source {self.name!r}: no file to read is named {self.files!r}. There are: {told}.")
        raise SourceError(
            f"Source {self.name!r}: {self.dataset or self.folder} holds no parquet, arrow, csv or jsonl file. Where a "
            "dataset is made by a script, which is never run, the hub keeps a copy in parquet: pin the commit of its "
            "branch refs/convert/parquet."
        )

    def _listed(self) -> list[list[Any]]:
        """Name, sha256 where the hub tells it, and blob of each file at the revision."""
        from huggingface_hub import HfApi
        from huggingface_hub.hf_api import RepoFile

        with self._reaching():
            tree = HfApi().list_repo_tree(
                str(self.dataset), repo_type="dataset", revision=self.revision, recursive=True
            )
            files = [entry for entry in tree if isinstance(entry, RepoFile)]
        return [[file.path, file.lfs.sha256 if file.lfs else None, file.blob_id] for file in files]

    def _fetched(self, piece: Piece) -> Path:
        from huggingface_hub import hf_hub_download

        name = piece.uri.partition(f"@{self.revision}/")[2]
        with self._reaching():
            return Path(hf_hub_download(str(self.dataset), name, repo_type="dataset", revision=self.revision))

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn what goes wrong with the hub into a sentence. Its library has tried again already."""
        import httpx
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

        what = f"The dataset {self.dataset} at {self.revision}"
        copy = "A copy in a folder (`folder:`) needs no hub."
        try:
            yield
        except OfflineModeIsEnabled:
            raise SourceError(f"{what} is not all on this machine, and HF_HUB_OFFLINE is set. {copy}") from None
        except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, ConnectionError) as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            if status in (401, 403, 404):
                raise SourceError(
                    f"{what}: the hub has none, or not for you ({status}). Correct `dataset:` and `revision:`; a "
                    "private one needs HF_TOKEN."
                ) from None
            raise SourceError(
                f"{what} could not be fetched: the hub cannot be reached ({status or type(error).__name__}). Is there "
                f"a network? {copy}"
            ) from None

    def _pin_needed(self) -> str:
        from huggingface_hub import HfApi

        asked = (
            f"Source {self.name!r}: the dataset {self.dataset} at revision {self.revision!r} is not pinned: a pin is a "
            "commit, 40 hex digits."
        )
        try:
            found = HfApi().dataset_info(str(self.dataset), revision=self.revision, timeout=20).sha
        except Exception as error:  # whatever went wrong, the message is about the pin
            return f"{asked} The hub, asked for it, did not tell ({type(error).__name__})."
        return f"{asked} Write revision: {found}"


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def _tables(path: Path, arrow: bool) -> Iterator["pa.Table"]:
    """A file in tables of bounded size, with the schema's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not arrow:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=CHUNK):
                yield pa.Table.from_batches([batch], file.schema_arrow)
        return
    with pa.memory_map(str(path)) as source:
        for batch in pa.ipc.open_stream(source):
            for start in range(0, batch.num_rows, CHUNK):
                yield pa.Table.from_batches([batch.slice(start, CHUNK)])


def _label_names(schema: "pa.Schema") -> dict[str, list[str]]:
    """The names of label columns, from what the datasets library keeps in a schema's metadata."""
    import json

    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {
            name: [*map(str, feature["names"])]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _named(values: "pa.ChunkedArray", names: list[str] | None) -> "pa.ChunkedArray":
    """Numbers as the names they stand for; a number without a name, as -1 in hidden test sets, is no label."""
    if names is None:
        return values
    import pyarrow as pa

    return pa.chunked_array(
        [
            pa.array(
                [names[n] if n is not None and 0 <= n < len(names) else None for n in values.to_pylist()], pa.string()
            )
        ]
    )


__all__ = ["HuggingfaceSource"]
