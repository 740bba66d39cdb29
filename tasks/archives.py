"""Members of tar and zip archives, also of an archive inside an archive, unpacked without trusting their names."""

import contextlib
import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from tasks.core.errors import SourceError
from tasks.core.line import STATE

NESTED = "!"
"""Stands between an archive inside an archive and the member of it: `data.tar.gz!folder/file.txt`."""


@dataclass(frozen=True)
class _Entry:
    name: str
    is_file: bool
    is_folder: bool
    handle: object


class _Archive(Protocol):
    def entries(self) -> list[_Entry]: ...

    def open(self, entry: _Entry) -> IO[bytes]: ...


def extract(archive: Path, member: str, target: Path) -> Path:
    """Unpack a file, or a folder with all it holds, into the folder `target` and return its path there.

    `member` is a path inside the archive; a single top folder (as source archives have) may be left out. Wheels, zip
    and every compression of tar are read. Only plain files and folders are written: a link, a device or a name that
    leads out of the folder is refused. Raises SourceError, also when the archive is truncated or has no such member.
    """
    outer, _, inner = member.partition(NESTED)
    with tempfile.TemporaryDirectory(dir=_scratch()) as scratch:
        if inner:
            return extract(extract(archive, outer, Path(scratch)), inner, target)
        try:
            with _opened(archive) as opened:
                return _extract(opened, archive, outer, target)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError) as error:
            raise SourceError(
                f"{archive.name} cannot be unpacked, it is truncated or damaged ({error}). Fetch it anew, "
                "and if it stays so, tell those who publish it."
            ) from None


def _scratch() -> Path:
    folder = STATE / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _extract(opened: _Archive, archive: Path, member: str, target: Path) -> Path:
    entries = opened.entries()
    root = _find(entries, archive, member)
    wanted = [entry for entry in entries if entry.name == root or entry.name.startswith(root + "/")]
    destination = target / PurePosixPath(root).name
    for entry in wanted:
        relative = PurePosixPath(entry.name[len(root) :].lstrip("/"))
        _refuse_unsafe(entry, archive, relative)
        path = destination / relative
        if entry.is_folder:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(entry) as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    return destination


def _refuse_unsafe(entry: _Entry, archive: Path, relative: PurePosixPath) -> None:
    if relative.is_absolute() or ".." in relative.parts or "\\" in entry.name or ":" in entry.name:
        raise SourceError(f"{archive.name} holds {entry.name!r}, a name that leads out of its folder. It is refused.")
    if not entry.is_file and not entry.is_folder:
        raise SourceError(f"{archive.name} holds {entry.name!r}, a link or a device. Only plain files are taken.")


def _find(entries: list[_Entry], archive: Path, member: str) -> str:
    """The full name of `member`, which may leave out the one top folder of a source archive."""
    wanted = member.strip("/")
    names = {entry.name for entry in entries}
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    tops = {name.split("/")[0] for name in names}
    candidates = [wanted] + ([f"{next(iter(tops))}/{wanted}"] if len(tops) == 1 else [])
    for candidate in candidates:
        if wanted and ".." not in PurePosixPath(candidate).parts and candidate in names | folders:
            return candidate
    some = sorted(entry.name for entry in entries if entry.is_file)
    more = f" and {len(some) - 20} more" if len(some) > 20 else ""
    raise SourceError(f"{archive.name} holds no {member!r}. It holds {', '.join(some[:20]) or 'nothing'}{more}.")


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self.archive = archive

    def entries(self) -> list[_Entry]:
        return [_Entry(m.name.rstrip("/"), m.isreg(), m.isdir(), m) for m in self.archive.getmembers()]

    def open(self, entry: _Entry) -> IO[bytes]:
        assert isinstance(entry.handle, tarfile.TarInfo)  # noqa: S101 - for the type checker
        stream = self.archive.extractfile(entry.handle)
        assert stream is not None  # noqa: S101
        return stream


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def entries(self) -> list[_Entry]:
        return [self._entry(info) for info in self.archive.infolist()]

    def _entry(self, info: zipfile.ZipInfo) -> _Entry:
        kind = (info.external_attr >> 16) & 0o170000  # the file type of Unix, 0 where the archive names none
        return _Entry(info.filename.rstrip("/"), kind in (0, 0o100000) and not info.is_dir(), info.is_dir(), info)

    def open(self, entry: _Entry) -> IO[bytes]:
        assert isinstance(entry.handle, zipfile.ZipInfo)  # noqa: S101 - for the type checker
        return self.archive.open(entry.handle)


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[_Archive]:
    if zipfile.is_zipfile(archive) or archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as zipped:
            yield _Zip(zipped)
    else:
        with tarfile.open(archive) as tarred:
            yield _Tar(tarred)
