"""The release store: `.tidegate/releases/<line>/<id>/`, whatever the working tree goes on to."""

import shutil
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import TidegateError
from tasks.core.files import read_json
from tasks.core.line import STATE, Line
from tasks.release import load_release, release_id, write_provenance

STORE = STATE / "releases"
ELSEWHERE = STATE / "comparisons"
"""Comparisons of releases that are not in the store, or no longer."""


@dataclass(frozen=True)
class Stored:
    """A release in the store."""

    id: str
    folder: Path
    created: str


def keep(line: Line, last: int, spared: Set[str]) -> Path:
    """Copy the bundle that the release stage wrote into the store; drop all but the `last` newest of the line.

    Returns its folder there. A release that is there already is left as it is; none of `spared` is dropped: ids of
    those that are registered, serve or wait for approval.
    """
    bundle = line.file("release", "bundle")
    folder = STORE / line.name / release_id(bundle)
    if not folder.exists():
        temporary = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(bundle, temporary)
        load_release(temporary)
        record = line.file("release", "provenance.json")
        if record.exists():
            shutil.copy(record, temporary / record.name)
        else:  # restored from DVC's cache, where it is not kept
            write_provenance(temporary / record.name, restored=True)
        temporary.rename(folder)
    for each in old(line.name, last, spared):
        drop(line, each)
    return folder


def old(line: str, last: int, spared: Set[str]) -> list[Stored]:
    """What `keep` would drop: all but the `last` newest of a line and those of `spared`."""
    return [each for each in releases(line)[last:] if each.id not in spared]


def drop(line: Line, old: Stored) -> None:
    """Delete a release. Its comparisons go elsewhere: they count how often a test set was looked at."""
    for comparison in old.folder.glob("comparisons/*"):
        target = ELSEWHERE / line.name / f"{old.id}-{comparison.name}"
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        comparison.rename(target)
    shutil.rmtree(old.folder)


def holds(line: Line) -> bool:
    """Whether the release in the working tree is in the store."""
    bundle = line.file("release", "bundle")
    return (bundle / "manifest.json").exists() and (STORE / line.name / release_id(bundle)).exists()


def releases(line: str) -> list[Stored]:
    """The releases of a line in the store, newest first."""
    folders = [folder for folder in (STORE / line).glob("*") if not folder.name.startswith(".")]
    found = [Stored(f.name, f, read_json(f / "provenance.json")["time"]) for f in folders]
    return sorted(found, key=lambda release: (release.created, release.id), reverse=True)


def find(line: str, wanted: str | None = None) -> Path:
    """The folder of a release by id, the beginning of an id or a path; without one the newest of the line.

    Raises TidegateError when there is none, or more than one.
    """
    if wanted and (Path(wanted) / "manifest.json").exists():
        return Path(wanted)
    found = releases(line)
    matching = [release for release in found if wanted is None or release.id.startswith(wanted)]
    if not matching:
        known = ", ".join(release.id for release in found) or "none"
        raise TidegateError(
            f"There is no release{f' {wanted}' if wanted else ''} of {line} in {STORE}. Known: {known}. "
            f"Run `tidegate run {line}`."
        )
    if wanted and len(matching) > 1:
        raise TidegateError(f"{wanted!r} fits {', '.join(release.id for release in matching)}; give more of the id.")
    return matching[0].folder
