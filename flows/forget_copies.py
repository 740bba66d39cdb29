"""Copies of what `tidegate forget` erases: in outputs, this machine's state, releases and DVC's cache."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from flows.dag import Dag
from flows.store import STORE
from flows.traces import holding
from serving.deployment import ANSWERS
from tasks.core.line import STATE, Line
from tasks.forgotten import Subject

RELEASES = ("releases", "serving", "served")
"""Folders of the state that hold releases: <folder>/<line>/.../<id>/."""
APART = (
    "predictions",
    "predictions.db",
    "predictions.db-wal",
    "predictions.db-shm",
    "chat",
    "prefect",
    "downloads",
    "models",
)
"""Of the state: the log, which is looked after by itself, and what holds no text of a line in a form of ours."""


@dataclass
class Report:
    """What was done, and what is left for people to do."""

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([*self.done, *(["", "Not reached:", *(f"- {what}" for what in self.left)])])


def from_copies(line: Line, subject: Subject, report: Report) -> None:
    """Look through the line's outputs, this machine's state and DVC's cache; remove what nothing needs."""
    bundle = line.folder / "release" / "bundle"
    if outputs := list(holding(line.folder, subject, frozenset({line.inbox, bundle}))):
        stages = sorted({path.relative_to(line.folder).parts[0] for path in outputs})
        report.left.append(f"outputs of {', '.join(stages)}: run `tidegate run {line.name}`, which makes them anew")
    found = list(holding(STATE, subject, frozenset(STATE / name for name in APART)))
    scratch = [path for path in found if path.is_relative_to(STATE / "scratch")]
    for path in scratch:
        path.unlink()
    if scratch:
        report.done.append(f"{STATE / 'scratch'}: {len(scratch)} file(s) of broken runs removed")
    released = [path for path in found if path.relative_to(STATE).parts[0] in RELEASES and path.name != ANSWERS]
    released += holding(bundle, subject)
    report.left += _releases(line, released)
    report.left += [f"{path}: delete it by hand" for path in found if path not in scratch and path not in released]
    _from_cache(line, subject, bundle, report)


def _releases(line: Line, paths: list[Path]) -> list[str]:
    """Published releases are immutable; each is named once with the places that hold it."""
    from tasks.bundle import MANIFEST, release_id

    places: dict[str, set[str]] = {}
    for path in paths:
        folder = next(parent for parent in path.parents if (parent / MANIFEST).exists() or parent == STATE)
        if folder != STATE:
            places.setdefault(release_id(folder), set()).add(str(folder))
    return [
        f"release {name} of {line.name}, which holds the text or history and is immutable "
        f"({', '.join(sorted(where))}): promote a newer one, then delete it there and wherever it was copied to"
        for name, where in sorted(places.items())
    ]


def _from_cache(line: Line, subject: Subject, bundle: Path, report: Report) -> None:
    """Remove old versions from DVC's local cache; those that a release here is made of stay, and are told above."""
    dag = Dag()
    cache = Path(dag.repo.cache.local.path)
    kept = {_md5(path) for folder in (bundle, STORE / line.name) for path in _with_texts(folder)}
    removed = 0
    for path in holding(cache, subject):
        if path.parent.name + path.name not in kept:
            path.unlink()
            removed += 1
    report.done.append(f"DVC's cache: {removed} file(s) of old versions removed")
    if remotes := dag.repo.config["remote"]:
        report.left.append(
            f"DVC remote(s) {', '.join(sorted(remotes))}: after the next run and commit, "
            "`dvc gc --workspace --cloud` removes what older commits use (`--all-tags` keeps tagged releases)"
        )
    report.left.append("other clones, their caches, and backups")


def _with_texts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in (".parquet", ".npz")]


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
