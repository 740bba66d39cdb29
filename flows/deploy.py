"""The serving folder of the project: what is deployed there, and which releases the store must not drop."""

from pathlib import Path

from flows import approvals, registry
from flows.examine import Case
from flows.record import now
from serving.deployment import Pointer, ServingFolder
from serving.settings import load_serving
from tasks.core.errors import StageError
from tasks.core.line import Line


def serving_folder() -> ServingFolder:
    """The folder that releases are served from: `serving.folder` of params.yaml."""
    return ServingFolder(load_serving().folder)


def spared(line: Line) -> set[str]:
    """The releases that the store must not drop: registered, pointed to by the serving folder, waiting for approval."""
    found = {version.release(line) for version in registry.versions(line.name)}
    found |= {proposal.release for proposal in approvals.proposals(line.name) if proposal.state in ("waiting", "yes")}
    if pointer := serving_folder().pointer(line.name):
        found |= {one.release for one in (pointer, pointer.shadow, pointer.canary) if one}
    return {release for release in found if release}


def unused(line: Line) -> list[Path]:
    """Folders of releases in a serving folder of this machine that nothing points to; a rollback puts one back.

    None for a folder elsewhere. Raises StageError for a pointer that cannot be read.
    """
    folder = serving_folder()
    if not folder.local:
        return []
    pointer = folder.pointer(line.name)
    named = {one.release for one in (pointer, pointer.shadow, pointer.canary) if one} if pointer else set()
    return [path for path in Path(folder.root, line.name, "releases").glob("*") if path.name not in named]


def serves(line: Line, assigned: registry.Assigned) -> bool:
    """Whether the serving folder points to an assigned version, as it was promoted."""
    try:
        pointer = serving_folder().pointer(line.name)
    except StageError:  # broken: to be written anew
        return False
    if pointer is None or pointer.version != assigned.version:
        return False
    return assigned.record is None or pointer.variant == assigned.record.variant


def point(case: Case, version: str, variant: str, by: str) -> None:
    """Let a version serve its line, alone: a shadow or canary stood beside another champion."""
    settings = case.settings.promote
    pointer = Pointer(
        line=case.line.name, release=case.release, version=version, variant=variant, provider=settings.provider,
        allow_cpu=settings.allow_cpu, by=by, time=now(),
    )  # fmt: skip
    serving_folder().point(pointer)


def points_to(case: Case) -> bool:
    """Whether the serving folder names a release as its line's."""
    try:
        pointer = serving_folder().pointer(case.line.name)
    except StageError:  # broken: it names nothing
        return False
    return pointer is not None and pointer.release == case.release
