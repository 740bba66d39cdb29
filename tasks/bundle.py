"""A release as a folder of files: its manifest, its id, the proof that it is whole, and the record of who made it."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.core.errors import StageError
from tasks.core.files import read_json, sha256, write_json

SCHEMA = 1
MANIFEST = "manifest.json"
DEPLOYMENT = "TIDEGATE_DEPLOYMENT"
"""Environment variable that names the deployment a run belongs to, where no human started it."""


class Manifest(BaseModel):
    """manifest.json: every file of the release with its sha256, and what the release came from."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int
    line: str
    kind: str
    labels: list[str]
    admissible: list[str]
    """Variants that may be served."""
    files: dict[str, str]
    """Path below the folder, with `/`, to sha256."""
    inputs: dict[str, str]
    """Dependency of the stage release to sha256."""
    params: dict[str, Any]
    """`lines.<line>.<block>` to the block as params.yaml had it."""
    verdicts: dict[str, Any]


def seal(folder: Path, content: Mapping[str, Any]) -> str:
    """Write manifest.json over all files below the folder; return the release's id."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    digests = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    write_json(folder / MANIFEST, {"schema_version": SCHEMA, "files": digests, **content})
    return release_id(folder)


def release_id(folder: Path) -> str:
    """The first 12 hex of the manifest's sha256. Raises StageError where there is no manifest."""
    return sha256(_manifest_path(folder))[:12]


def load_release(folder: Path) -> Manifest:
    """The manifest of a whole release: every file is there and has its sha256.

    Raises StageError that names the first files which are not, or says that a newer program wrote the release. Files
    that the manifest does not name are no part of the release and are not looked at.
    """
    manifest = read_manifest(folder)
    for name, digest in manifest.files.items():
        path = folder / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise StageError(f"{folder / MANIFEST} names {name}, which is outside the release. Do not use it.")
        if not path.is_file():
            raise StageError(f"{path} is missing: the release is not whole. Fetch it again, or run the line again.")
        if (found := sha256(path)) != digest:
            raise StageError(
                f"{path} is not the file that was released: sha256 {found[:12]}..., the manifest says {digest[:12]}... "
                "Fetch the release again, or run the line again."
            )
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest without a look at the files."""
    path = _manifest_path(folder)
    try:
        content = read_json(path)
        known_schema(path, content)
        return Manifest.model_validate(content)
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise StageError(f"{path} is broken ({str(error).splitlines()[0]}). Fetch the release again.") from None


def known_schema(path: Path, content: Any, newest: int = SCHEMA) -> None:
    """Raise StageError when `content` was written by a newer program than this one."""
    version = content.get("schema_version") if isinstance(content, Mapping) else None
    if not isinstance(version, int):
        raise StageError(f"{path} has no schema_version, so it was not written by Tidegate or was edited.")
    if version > newest:
        raise StageError(f"{path} has schema version {version}; this program reads up to {newest}. Update Tidegate.")


def write_provenance(path: Path, restored: bool = False) -> None:
    """Write who made the release, where, when and with what: no part of what is hashed.

    `restored` says that the bundle came out of DVC's cache, and that this record is of the restoring.
    """
    from importlib.metadata import distributions

    packages = {d.metadata["Name"].lower(): d.version for d in distributions() if d.metadata["Name"]}
    record = {
        "schema_version": SCHEMA,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "restored": restored,
        "who": _who(),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": packages,
    }
    write_json(path, record)


def _who() -> dict[str, str | None]:
    if deployment := os.environ.get(DEPLOYMENT):
        return {"deployment": deployment}
    return {"name": _git("config", "user.name"), "email": _git("config", "user.email")}


def _git(*arguments: str) -> str | None:
    """What git answers; None where it has nothing to say, or there is no git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _manifest_path(folder: Path) -> Path:
    path = folder / MANIFEST
    if not path.is_file():
        raise StageError(f"{folder} is no release: it has no {MANIFEST}. `tidegate run` makes one.")
    return path
