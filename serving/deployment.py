"""The serving folder: releases as files, and per line a pointer that says which of them serves, and how.

`<folder>/<line>/releases/<id>/...` and `<folder>/<line>/current.json`; beside it `answers.json`, what people changed in
the answers of a line since its releases were made. A folder is a local path or any fsspec URL. The files of a release
come first and its manifest last; the pointer comes after it, in one step: a reader sees a whole release or none.
"""

import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks import answer_base
from tasks.answer_base import Changes
from tasks.bundle import MANIFEST, known_schema, load_release, read_manifest, release_id
from tasks.core.errors import StageError, TidegateError
from tasks.core.files import atomic

SCHEMA = 1
POINTER = "current.json"
ANSWERS = "answers.json"


class Beside(BaseModel):
    """A release that sees a share of the traffic beside the champion."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    release: str
    version: str | None = None
    variant: str
    share: float = Field(gt=0, le=1)
    """Of the requests: by key for a canary, so that one caller always meets the same; at random for a shadow."""
    max_disagreement: float | None = Field(None, ge=0, le=1)
    """A canary ends by itself when more of its texts than this get another label than the champion's."""
    max_errors: int | None = Field(None, ge=0)
    """A canary ends by itself after more failed requests than this."""
    by: str = ""
    time: str = ""
    """Who let it stand there, and when: ISO 8601, UTC."""


class Pointer(BaseModel):
    """current.json: what serves a line."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = SCHEMA
    line: str
    release: str
    version: str | None = None
    """GTO's version of the release; None where it is not registered."""
    variant: str
    provider: Literal["cpu", "cuda"] = "cpu"
    allow_cpu: bool = False
    """Whether the CPU may stand in for a GPU that is absent."""
    shadow: Beside | None = None
    canary: Beside | None = None
    by: str = ""
    time: str = ""
    """When it was written, ISO 8601, UTC."""


Told = TypeVar("Told", bound=BaseModel)


class ServingFolder:
    """Where releases are deployed to and served from."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        self.fs, self.root = fsspec.core.url_to_fs(url)

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine."""
        protocols = self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,)
        return "file" in protocols

    def lines(self) -> list[str]:
        """The lines that have a pointer."""
        with self._plain_errors():
            self.fs.invalidate_cache()
            return sorted(path.split("/")[-2] for path in self.fs.glob(f"{self.root}/*/{POINTER}"))

    def pointer(self, line: str) -> Pointer | None:
        """What serves a line; None where nothing does. Raises StageError on a pointer that cannot be read."""
        return self._read(f"{self.root}/{line}/{POINTER}", Pointer, SCHEMA, "Promote or roll back again.")

    def changes(self, line: str) -> Changes | None:
        """What was changed in a line's answers; None where nothing was. Raises StageError when it cannot be read."""
        told = "Restore it from a backup, or delete it: then the answers are those of the release."
        return self._read(f"{self.root}/{line}/{ANSWERS}", Changes, answer_base.SCHEMA, told)

    def change(self, changes: Changes) -> None:
        """Let these be the changes of a line's answers."""
        with self._plain_errors():
            self._write(f"{self.root}/{changes.line}/{ANSWERS}", _json(changes))

    def _read(self, path: str, model: type[Told], newest: int, advice: str) -> Told | None:
        with self._plain_errors():
            self.fs.invalidate_cache()
            try:
                content = json.loads(self.fs.cat_file(path))
                known_schema(Path(path), content, newest)
                return model.model_validate(content)
            except FileNotFoundError:
                return None
            except (ValueError, ValidationError) as error:
                raise StageError(f"{path} is broken ({str(error).splitlines()[0]}). {advice}") from None

    def put(self, line: str, bundle: Path) -> str:
        """Copy a whole release into the folder, where it is not yet; returns its id. Nothing points to it yet."""
        manifest = load_release(bundle)
        name = release_id(bundle)
        target = f"{self.root}/{line}/releases/{name}"
        with self._plain_errors():
            for file in [*manifest.files, MANIFEST]:  # the manifest last: with it the release is whole
                self._write(f"{target}/{file}", (bundle / file).read_bytes())
        return name

    def point(self, pointer: Pointer) -> None:
        """Let a line be served by a release that was put here. Raises StageError where it was not."""
        for release in (pointer.release, *(beside.release for beside in (pointer.shadow, pointer.canary) if beside)):
            manifest = f"{self.root}/{pointer.line}/releases/{release}/{MANIFEST}"
            if not self.fs.exists(manifest):
                raise StageError(f"{manifest} is missing: release {release} was not deployed to {self.url}.")
        with self._plain_errors():
            self._write(f"{self.root}/{pointer.line}/{POINTER}", _json(pointer))

    def holds(self, line: str, release: str) -> bool:
        """Whether a release of the line is here."""
        with self._plain_errors():
            return bool(self.fs.exists(f"{self.root}/{line}/releases/{release}/{MANIFEST}"))

    def fetch(self, line: str, release: str, cache: Path) -> Path:
        """The folder of a release on this machine, every byte of it checked. Raises StageError otherwise.

        A local serving folder is used as it is; from elsewhere the files are brought to `cache/<line>/<release>`.
        """
        if self.local:
            folder = Path(self.root) / line / "releases" / release
            _whole(folder, release)
            return folder
        folder = cache / line / release
        with suppress(StageError):  # not here yet, or spoilt since
            _whole(folder, release)
            return folder
        temporary = folder.with_name(f".{release}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        source = f"{self.root}/{line}/releases/{release}"
        with self._plain_errors():
            self._bring(f"{source}/{MANIFEST}", temporary / MANIFEST)
            _named(temporary, release)  # before anything that it names is written here
            for file in read_manifest(temporary).files:
                self._bring(f"{source}/{file}", temporary / file)
        load_release(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        return folder

    def prune(self, line: str, keep: Collection[str], cache: Path) -> None:
        """Delete the copies of a line's releases on this machine but for some; a local folder has none."""
        for folder in () if self.local else (cache / line).glob("*"):
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)

    def _bring(self, source: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        self.fs.get_file(source, str(target))

    def _write(self, path: str, content: bytes) -> None:
        """Write a file in one step: object stores do so anyway, a file system by renaming."""
        if not self.local:
            self.fs.pipe_file(path, content)
            return
        with atomic(Path(path)) as temporary:
            temporary.write_bytes(content)

    @contextmanager
    def _plain_errors(self) -> Iterator[Any]:
        try:
            yield
        except (OSError, ImportError) as error:
            raise TidegateError(f"The serving folder {self.url} cannot be used: {error}") from None


def _json(content: BaseModel) -> bytes:
    return (json.dumps(content.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _whole(folder: Path, release: str) -> None:
    _named(folder, release)
    load_release(folder)


def _named(folder: Path, release: str) -> None:
    """Raise StageError when the folder's manifest is not the one that the release is called by."""
    if (found := release_id(folder)) != release:
        raise StageError(
            f"{folder} holds release {found} under the name {release}: its manifest was changed, or the folder was "
            "renamed. Promote again."
        )
