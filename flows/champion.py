"""Who is champion: the release that GTO's tags assign to production, brought into the release store."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.store import STORE
from tasks.bundle import MANIFEST, load_release, write_provenance
from tasks.core.errors import TidegateError
from tasks.core.files import read_json, write_json
from tasks.core.line import Line

PRODUCTION = "production"


@dataclass(frozen=True)
class Assignment:
    """A version of a line that was assigned to production, and the commit that holds it."""

    version: str
    commit: str


def assigned(line: str) -> Assignment | None:
    """The newest assignment to production that still stands; None where there is none, or no git repository.

    By the time of the tag and, within one second, by its number. A rollback is a newer assignment of an older version.
    """
    from gto.constants import VersionSort
    from gto.exceptions import ArtifactNotFound
    from gto.registry import GitRegistry
    from scmrepo.exceptions import SCMError

    try:
        with GitRegistry.from_url(".") as registry:
            artifact = registry.find_artifact(line)
            stages = artifact.get_vstages(registered_only=True, versions_per_stage=-1, sort=VersionSort.Timestamp)
    except (ArtifactNotFound, SCMError):
        return None
    if PRODUCTION not in stages:
        return None
    newest = max(stages[PRODUCTION], key=_when)
    return Assignment(newest.version, newest.commit_hexsha)


def _when(stage: Any) -> tuple[datetime, int]:
    number = stage.get_events()[0].ref.rpartition("#")[2]  # sentiment#production#3
    return stage.activated_at, int(number) if number.isdigit() else 0


def champion(line: Line) -> Path | None:
    """The folder of the champion in the release store, brought there out of DVC where it is not; None without one.

    Raises TidegateError when neither DVC's cache nor a remote holds it.
    """
    found = assigned(line.name)
    return None if found is None else bring(line, found)


def released_at(line: Line, commit: str) -> str | None:
    """The id of the release that a commit records; None where it records none, or its bytes are nowhere."""
    try:
        with files_at(Assignment("the release", commit), line) as files:
            return _id(files, line)
    except TidegateError:
        return None


def bring(line: Line, wanted: Assignment) -> Path:
    """The folder of an assigned version in the release store, brought there out of DVC where it is not.

    Raises TidegateError when neither DVC's cache nor a remote holds it.
    """
    bundle = line.file("release", "bundle")
    with files_at(wanted, line) as files:
        folder = STORE / line.name / _id(files, line)
        name = folder.name
        if not folder.exists():
            temporary = folder.with_name(f".{name}.tmp")
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.parent.mkdir(parents=True, exist_ok=True)
            files.get(_inside(bundle), str(temporary), recursive=True)
            load_release(temporary)
            _record(temporary / "provenance.json", files.repo.scm, wanted.commit)
            temporary.rename(folder)
    return folder


def _id(files: Any, line: Line) -> str:
    return hashlib.sha256(files.read_bytes(_inside(line.file("release", "bundle") / MANIFEST))).hexdigest()[:12]


@contextmanager
def files_at(wanted: Assignment, line: Line) -> Iterator[Any]:
    """DVC's files as they were at the commit. What is missing there is a TidegateError."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexDirError
    from scmrepo.exceptions import SCMError

    try:
        yield DVCFileSystem(".", rev=wanted.commit)
    except (DvcException, DataIndexDirError, SCMError, FileNotFoundError) as error:
        raise TidegateError(
            f"{wanted.version} of {line.name}, at {wanted.commit[:7]}, is neither in DVC's cache nor in a remote. "
            f"Fetch it with `dvc fetch --all-tags`, or name another release. DVC says: {error}"
        ) from None


def _inside(path: Path) -> str:
    return f"/{path.as_posix()}"


def _record(path: Path, scm: Any, commit: str) -> None:
    """Who brought it here. Its time is the commit's: it is not the newest release for having been fetched last."""
    write_provenance(path, restored=True)
    made = datetime.fromtimestamp(scm.resolve_commit(commit).commit_time, UTC)
    write_json(path, {**read_json(path), "time": made.isoformat(timespec="seconds")})
