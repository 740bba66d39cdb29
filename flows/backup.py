"""`tidegate backup`: what git does not hold and nothing can remake, in one archive with the digest of every file."""

import hashlib
import io
import json
import logging
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict

from flows import log as prediction_log
from flows.dag import Dag
from flows.deploy import serving_folder
from flows.git import asked
from flows.leftovers import SCRATCH
from flows.lock import hold
from flows.record import now
from flows.tidy import BUSY, LOCK
from tasks.core.errors import SettingsError
from tasks.core.files import atomic
from tasks.core.line import STATE
from tasks.core.progress import Progress, progress
from tasks.dialogue import store as dialogue_store
from tasks.opinion import store

log = logging.getLogger("tidegate")

SCHEMA = 1
MANIFEST = "manifest.json"
PROJECT = ("params.yaml", "team.yaml", "dvc.lock")
FOLDERS = ("alerts", "annotation", "approvals", "comparisons", "loop", "monitor", "opinion", "releases")
"""Of the state. What is not among them can be made or fetched again, or belongs to a process."""
DATABASE = "log/predictions.db"
OPINIONS = "opinions/opinion.db"
DIALOGUES = "dialogues/chat.db"
ENDINGS = (".tar", ".tar.gz", ".tgz")
WAIT = 30.0  # seconds for running services to drain their spools
MEGABYTE = 2**20


class Kept(BaseModel):
    """A file of a backup."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sha256: str
    size: int


class Manifest(BaseModel):
    """What a backup holds, and what it does not."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = SCHEMA
    time: str
    commit: str | None
    """Of the working tree, whose edits are not in it but for those of PROJECT."""
    files: dict[str, Kept]
    """By name in the archive: project/, state/, serving/, log/, opinions/, dialogues/, cache/."""
    left: list[str]
    """What has to be kept by other means."""

    def __str__(self) -> str:
        size = sum(file.size for file in self.files.values()) / MEGABYTE
        said = f"{len(self.files):,} file(s), {size:,.1f} MB, of {self.time}"
        return "\n".join(
            [f"{said}, commit {(self.commit or 'none')[:7]}", "Not in it:", *(f"- {x}" for x in self.left)]
        )


@dataclass(frozen=True)
class _Source:
    name: str
    path: Path


def backup(target: Path, cache: bool = False) -> Manifest:
    """Write a backup to a .tar, .tar.gz or .tgz that only its owner may read: it holds texts of users.

    `cache` takes DVC's cache with it, for projects without a DVC remote. Services may run meanwhile: of the log, the
    opinions and the dialogues consistent copies are taken. Raises SettingsError for a file that exists or has another
    ending, BusyError while a clean-up or another backup goes on.
    """
    if not target.name.endswith(ENDINGS):
        raise SettingsError(f"A backup was to be {target.name}; its name must end with {', '.join(ENDINGS)}.")
    if target.exists():
        raise SettingsError(f"{target} exists. Name another file: a backup overwrites none.")
    with hold(LOCK, BUSY), _copies() as (copied, waiting), atomic(target) as temporary:
        sources = [*_sources(cache), *copied]
        temporary.touch(0o600)
        with (
            _opened(temporary, not target.name.endswith(".tar")) as archive,
            progress("backup", _bytes(sources), "bytes") as shown,
        ):
            files: dict[str, Kept] = {}
            for source in sources:
                with suppress(FileNotFoundError):  # a run dropped an old release meanwhile
                    files[source.name] = _add(archive, source, shown)
            commit = (asked("rev-parse", "HEAD") or "").strip() or None
            made = Manifest(time=now(), commit=commit, files=files, left=[*_left(cache), *waiting])
            content = json.dumps(made.model_dump(mode="json"), indent=1, sort_keys=True).encode()
            _add_stream(archive, MANIFEST, len(content), 0, io.BytesIO(content))
    return made


def _opened(path: Path, zipped: bool) -> tarfile.TarFile:
    """Little is won by compressing models for long."""
    return tarfile.open(path, "w:gz", compresslevel=1) if zipped else tarfile.open(path, "w")


def _sources(cache: bool) -> Iterator[_Source]:
    yield from (_Source(f"project/{name}", Path(name)) for name in PROJECT if Path(name).exists())
    opinions = store.file()
    for name in FOLDERS:
        yield from (one for one in _walk(f"state/{name}", STATE / name) if not _of_database(one.path, opinions))
    folder = serving_folder()
    if folder.local:
        yield from _walk("serving", Path(folder.root))  # a pointer before the releases, one of which it names
    if cache:
        yield from _walk("cache", Path(Dag().repo.cache.local_cache_dir))


def _of_database(path: Path, database: Path | None) -> bool:
    """Whether a file is a database in SQLite, or a journal of it."""
    ends = ("", "-journal", "-wal", "-shm")
    return database is not None and path.absolute() in {Path(f"{database.absolute()}{end}") for end in ends}


def _walk(name: str, folder: Path) -> Iterator[_Source]:
    """Its files in their order; what is hidden is being written, or a lock."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in inside.parts):
            yield _Source(f"{name}/{inside.as_posix()}", path)


def _add(archive: tarfile.TarFile, source: _Source, shown: Progress) -> Kept:
    """Add a file as it is when it is opened."""
    with source.path.open("rb") as stream:
        status, read = os.fstat(stream.fileno()), _Digested(stream)
        _add_stream(archive, source.name, status.st_size, status.st_mtime, read)
    shown.update(status.st_size)
    return Kept(sha256=read.digest.hexdigest(), size=status.st_size)


def _add_stream(
    archive: tarfile.TarFile, name: str, size: int, written: float, stream: "IO[bytes] | _Digested"
) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, int(written), 0o600
    archive.addfile(entry, stream)


class _Digested:
    """A stream whose digest grows as it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.digest = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        found = self.stream.read(size)
        self.digest.update(found)
        return found


@contextmanager
def _copies() -> Iterator[tuple[list[_Source], list[str]]]:
    """Copies of the databases in SQLite, of the log after what waited in spools; and a word on what still waits."""
    log_file, opinions, waiting = prediction_log.file(), store.file(), []
    if log_file is not None and log_file.exists():
        waiting = list(_drained())
    scratch = SCRATCH / f"backup-{os.getpid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        copied = {DATABASE: log_file, OPINIONS: opinions, DIALOGUES: dialogue_store.file()}
        yield [source for name, path in copied.items() for source in _copy(name, path, scratch)], waiting
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _drained() -> Iterator[str]:
    from serving.log.drain import drain_leftovers
    from serving.log.forget import wait_for_spools
    from serving.log.settings import load_log

    settings = load_log()
    drain_leftovers(settings)
    if waiting := wait_for_spools(Path(settings.spool), WAIT):
        yield f"{len(waiting)} segment(s) of the spool in {settings.spool}, which no service drains"


def _copy(name: str, database: Path | None, scratch: Path) -> Iterator[_Source]:
    """A database as of one moment, by SQLite's own backup: others may write meanwhile."""
    if database is None or not database.exists():
        return
    copy = scratch / Path(name).name
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    yield _Source(name, copy)


def _left(cache: bool) -> Iterator[str]:
    yield "git's history and tags, which name the versions and the champion: push them (`git push --follow-tags`)"
    if not cache:
        yield "DVC's cache with data and checkpoints: `dvc push`, or back up with --cache"
    folder = serving_folder()
    if not folder.local:
        yield f"the serving folder {folder.url}"
    if prediction_log.file() is None:
        yield "the prediction log, which is in PostgreSQL: pg_dump copies it"
    if store.file() is None:
        yield "the database of opinions, which is no file: pg_dump copies it"
    if dialogue_store.file() is None:
        yield "the database of dialogues, which is no file: pg_dump copies it"
    yield "secrets: those of the environment, and .dvc/config.local"
    yield "Prefect's history of runs, and what is fetched or made again: downloads, base models, checkpoints"


def _bytes(sources: list[_Source]) -> int:
    return sum(source.path.stat().st_size for source in sources if source.path.exists())
