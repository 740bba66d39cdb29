"""Rows in files: a local path, a glob or any address that fsspec knows."""

import contextlib
import glob
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tasks.core.errors import SourceError
from tasks.core.files import sha256
from tasks.packages import DOWNLOADS, patiently
from tasks.sources.base import Opened, Piece, SourceSettings
from tasks.sources.tables import read

if TYPE_CHECKING:
    import pyarrow as pa

STAMPS = (
    "ETag",
    "etag",
    "md5Hash",
    "content_md5",
    "LastModified",
    "last_modified",
    "Last-Modified",
    "mtime",
    "updated",
)


class _OutOfReachError(SourceError):
    """The other side did not answer; a later try may succeed."""


class FileSource(SourceSettings):
    """One file, or each file that a glob finds."""

    kind: Literal["file"] = "file"
    path: str = Field(
        min_length=1, description="a path from the project's root, a glob, or an address as s3://bucket/*.csv"
    )

    def location(self) -> set[str]:
        """Files may be moved."""
        return super().location() | {"path"}

    @property
    def remote(self) -> bool:
        """Whether the path is an address, as s3://bucket/key."""
        return "://" in self.path or "::" in self.path

    def look(self) -> list[Piece]:
        """The files that are there, in the order of their names."""
        pieces = self._look_there() if self.remote else self._look_here()
        if not pieces:
            raise SourceError(f"Source {self.name!r}: there is no file {public(self.path)}. Correct `path:`.")
        return pieces

    def _look_here(self) -> list[Piece]:
        found = [Path(self.path)] if Path(self.path).is_file() else map(Path, glob.glob(self.path, recursive=True))  # noqa: PTH207 - any root
        files = sorted(path for path in found if path.is_file())
        return [Piece(path.as_posix(), stamp=_local_stamp(path)) for path in files]

    def _look_there(self) -> list[Piece]:
        def ask() -> list[Piece]:
            with _reaching(self.path):
                system, path = _system(self.path)
                paths = sorted(system.glob(path)) if "*" in path else [path]  # ? starts a query
                return [
                    Piece(system.unstrip_protocol(found), stamp=_remote_stamp(info))
                    for found in paths
                    if (info := system.info(found))["type"] == "file"
                ]

        return patiently(_OutOfReachError)(ask)

    @contextlib.contextmanager
    def open(self, piece: Piece) -> Iterator[Opened]:
        """The file itself, or a copy of it for the time of the block."""
        if not self.remote:
            path = Path(piece.uri)
            try:
                yield Opened(path, sha256(path), stamp=piece.stamp)
            except FileNotFoundError:
                raise SourceError(f"{piece.uri} went away while it was read. Run sync again.") from None
            except PermissionError:
                raise SourceError(f"{piece.uri} may not be read. Mend its permissions.") from None
            return
        DOWNLOADS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=DOWNLOADS, prefix=".") as folder:
            path = Path(folder, "file")
            patiently(_OutOfReachError)(_download, piece.uri, path)
            yield Opened(path, sha256(path))

    def rows(self, opened: Opened, uri: str) -> Iterator["pa.Table"]:
        """The rows of the file."""
        yield from read(opened.path, self, public(uri), self.columns)
        if opened.stamp is not None and _local_stamp(opened.path) != opened.stamp:
            raise SourceError(f"{uri} changed while it was read. Nothing of it was taken; run sync again.")


def public(address: str) -> str:
    """The address without what may be secret: user, password and query."""
    return re.sub(r"(?<=://)[^/@]*@", "", address.partition("?")[0])


def _local_stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def _remote_stamp(info: dict[str, Any]) -> str | None:
    known = [f"{key}={info[key]}" for key in STAMPS if info.get(key)]
    return f"{info.get('size')}-{'-'.join(known)}" if known else None


def _system(address: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        system, path = url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise SourceError(f"{public(address)} cannot be read: {error} For s3:// install `tidegate[s3]`.") from None
    return system, path


def _download(address: str, path: Path) -> None:
    with _reaching(address):
        system, there = _system(address)
        system.get_file(there, str(path))


@contextlib.contextmanager
def _reaching(address: str) -> Iterator[None]:
    """Turn what goes wrong on the way into errors that say whether to try again."""
    import errno

    try:
        yield
    except SourceError:
        raise
    except FileNotFoundError as error:
        if _unanswered(error.__cause__):
            raise _OutOfReachError(_no_answer(address, error.__cause__)) from None
        raise SourceError(f"{public(address)} is not there. Correct `path:`, or take the source out.") from None
    except PermissionError:
        raise SourceError(f"{public(address)} may not be read. Look at its permissions and your credentials.") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _OutOfReachError(_no_answer(address, error)) from None


def _unanswered(cause: BaseException | None) -> bool:
    """Whether fsspec says "not found" where an http server did not answer, or answered with an error of its own."""
    if isinstance(cause, FileNotFoundError):
        return False
    return isinstance(cause, OSError) or type(cause).__module__.startswith("aiohttp")


def _no_answer(address: str, error: BaseException | None) -> str:
    return (
        f"{public(address)} cannot be reached ({type(error).__name__}). Is there a network? Nothing of it was taken; "
        "run sync again."
    )
