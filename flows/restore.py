"""`tidegate restore`: a backup checked as a whole, then put where this clone keeps its state."""

import gzip
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from flows.backup import DATABASE, DIALOGUES, FOLDERS, MANIFEST, OPINIONS, PROJECT, SCHEMA, Kept, Manifest
from flows.dag import Dag
from flows.leftovers import SCRATCH
from flows.lock import hold
from flows.tidy import BUSY, LOCK
from serving.deployment import POINTER
from tasks.core.errors import BusyError, DataError, SettingsError, TidegateError
from tasks.core.files import atomic, sha256
from tasks.core.line import STATE
from tasks.core.progress import progress
from tasks.core.settings import PARAMS
from tasks.dialogue import store as dialogue_store
from tasks.opinion import store

SHOWN = 5
"""Files that a message names."""
CHUNK = 2**20


def restore(source: Path, force: bool = False) -> Manifest:
    """Put the files of a backup in their places; without `force` none that is there and differs is overwritten.

    All of it is unpacked aside and checked before anything is touched. Raises DataError for an archive that is none or
    is damaged, BusyError while a service writes to the log that would be replaced, SettingsError for what this clone's
    settings leave no place for, TidegateError where files are in the way.
    """
    from serving.log.settings import load_log

    with hold(LOCK, BUSY), _unpacked(source) as folder:
        manifest = _checked(source, folder)
        places = _places(folder, manifest)
        _require_free(manifest, places, Path(load_log(_params(folder)).spool), force)
        for name in sorted(places, key=_last):
            _put(folder / name, places[name], manifest.files[name])
    return manifest


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    """The files of an archive in a folder that goes with the block."""
    folder = SCRATCH / f"restore-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        _unpack_all(source, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack_all(source: Path, folder: Path) -> None:
    if not source.is_file():
        raise SettingsError(f"There is no file {source}.")
    try:
        with tarfile.open(source) as archive, progress("restore", None, "bytes") as shown:
            for entry in archive:
                _unpack(archive, entry, folder)
                shown.update(entry.size)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{source} is no backup, or it is damaged: {_first_line(error)}. Nothing was touched."
        ) from None


def _unpack(archive: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path) -> None:
    """Write one entry. Raises TarError for anything but a plain file with a name of ours."""
    name = PurePosixPath(entry.name)
    plain = entry.isreg() and not name.is_absolute() and ".." not in name.parts and str(name) == entry.name
    target = folder / name
    if not plain or target.exists():
        raise tarfile.TarError(f"{entry.name!r} is no entry of a backup")
    target.parent.mkdir(parents=True, exist_ok=True)
    stream = archive.extractfile(entry)
    with target.open("xb") as written:
        shutil.copyfileobj(stream, written, CHUNK)  # type: ignore[arg-type]  # a plain file has one
    os.utime(target, (entry.mtime, entry.mtime))


def _checked(source: Path, folder: Path) -> Manifest:
    """The manifest, when every file is as it says and there is no other."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest = Manifest.model_validate(content)
    except FileNotFoundError:
        raise DataError(
            f"{source} has no {MANIFEST}: it is no backup, or was cut short. Nothing was touched."
        ) from None
    except (ValueError, ValidationError) as error:
        raise DataError(f"{source}: {MANIFEST} is broken: {_first_line(error)}. Nothing was touched.") from None
    if manifest.schema_version > SCHEMA:
        raise DataError(f"{source} was made by a newer Tidegate (schema {manifest.schema_version}). Update this one.")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    wrong = sorted(found ^ set(manifest.files))
    wrong += [name for name, kept in manifest.files.items() if name in found and sha256(folder / name) != kept.sha256]
    if wrong:
        raise DataError(f"{source} is damaged: {_some(wrong)}. Nothing was touched; take another backup.")
    return manifest


def _places(folder: Path, manifest: Manifest) -> dict[str, Path]:
    """Where each file belongs in this clone, by its name in the archive."""
    roots: dict[str, Path] = {}
    for name in manifest.files:
        part = name.partition("/")[0]
        if part not in roots:
            roots[part] = _root(part, folder)
    places = {}
    for name in manifest.files:
        part, _, inside = name.partition("/")
        known = {"project": inside in PROJECT, "state": inside.partition("/")[0] in FOLDERS}
        known |= {"log": name == DATABASE, "opinions": name == OPINIONS, "dialogues": name == DIALOGUES}
        if not known.get(part, True):
            raise DataError(f"The backup holds {name}, which has no place here. Nothing was touched.")
        places[name] = roots[part] if part in ("log", "opinions", "dialogues") else roots[part] / inside
    return places


def _root(part: str, folder: Path) -> Path:
    """Where a part of a backup belongs, by the settings that come with it."""
    from flows.log import sqlite_file
    from serving.deployment import ServingFolder
    from serving.log.settings import load_log
    from serving.settings import load_serving

    params = _params(folder)
    match part:
        case "project":
            return Path()
        case "state":
            return STATE
        case "cache":
            return Path(Dag().repo.cache.local_cache_dir)
        case "serving":
            serving = ServingFolder(load_serving(params).folder)
            if not serving.local:
                raise SettingsError(f"The backup holds a serving folder, but serving.folder is {serving.url}.")
            return Path(serving.root)
        case "log":
            database = sqlite_file(load_log(params))
            if database is None:
                raise SettingsError("The backup holds a log in SQLite, but this clone keeps its own in PostgreSQL.")
            return database
        case "opinions":
            opinions = store.file()
            if opinions is None:
                raise SettingsError(f"The backup holds opinions in SQLite, but {store.URL} names another database.")
            return opinions
        case "dialogues":
            dialogues = dialogue_store.file()
            if dialogues is None:
                raise SettingsError(
                    f"The backup holds dialogues in SQLite, but {dialogue_store.URL} names another database."
                )
            return dialogues
        case _:
            raise DataError(f"The backup holds a part {part!r} that this program does not know. Nothing was touched.")


def _params(folder: Path) -> Path:
    """The settings that will hold: those of the backup, or where it has none those that are here."""
    given = folder / "project" / PARAMS
    return given if given.exists() else PARAMS


def _require_free(manifest: Manifest, places: dict[str, Path], spool: Path, force: bool) -> None:
    """Raise TidegateError where a file that differs is in the way, or a service uses the log."""
    from serving.log.spool import held

    there = [name for name, place in places.items() if place.exists() and sha256(place) != manifest.files[name].sha256]
    if there and not force:
        commit = f" The backup is of commit {manifest.commit[:7]}." if manifest.commit else ""
        raise TidegateError(
            f"{len(there)} file(s) are here and differ: {_some([str(places[name]) for name in there])}.{commit} "
            "Nothing was touched; --force overwrites them."
        )
    if DATABASE in places and held(spool):
        raise BusyError("A service writes to the prediction log. Stop it (`tidegate down`), then restore again.")


def _last(name: str) -> tuple[bool, str]:
    """Pointers come last: what they name is there by then."""
    return name.endswith(f"/{POINTER}"), name


def _put(source: Path, place: Path, kept: Kept) -> None:
    """Let a file take its place in one step; one that is the same already stays."""
    if place.exists() and sha256(place) == kept.sha256:
        return
    for leftover in (place.with_name(f"{place.name}-{end}") for end in ("journal", "wal", "shm")):
        leftover.unlink(missing_ok=True)  # of an SQLite file that was here: they belong to no other
    with atomic(place) as temporary:
        shutil.move(source, temporary)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(":")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
