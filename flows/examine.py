"""What decides on a promotion without a human: verdicts, bytes, a commit that records it, the comparison."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import commits, registry, store
from flows.compare import compared
from flows.git import asked
from flows.record import Compared
from flows.settings import LineSettings, load
from tasks.bundle import Manifest, load_release, release_id
from tasks.core.errors import RejectedError
from tasks.core.files import read_json
from tasks.core.line import Line
from tasks.verdict import Verdict, read

log = logging.getLogger("tidegate")


@dataclass(frozen=True)
class Case:
    """A line, and one of its releases that somebody wants to serve."""

    line: Line
    settings: LineSettings
    bundle: Path
    release: str

    @classmethod
    def open(cls, name: str, wanted: str | None) -> "Case":
        """`wanted` is a version, an id, the beginning of one, or a folder; default: the newest."""
        settings = load([name])[name]
        line = Line(name, settings.kind)
        bundle = registry.find(line, wanted)
        return cls(line, settings, bundle, release_id(bundle))


@dataclass(frozen=True)
class Grounds:
    """Why a release may serve, so far as no human is asked."""

    comparison: Compared | None
    """None where there is no champion."""
    commit: str | None
    """The commit that records it; None where it is still to be made."""


def examine(case: Case) -> Grounds:
    """Look at everything that decides without a human. Raises RejectedError where a verdict or the comparison says no.

    Raises TidegateError where the release is not whole, or cannot be recorded for edits that touch the line.
    """
    manifest = load_release(case.bundle)
    require_verdicts(case, manifest)
    known = registry.registered(case.line, case.release)
    commit = known.commit if known else commits.commit_of(case.line, case.bundle)
    if commit is None:
        commits.require_recordable(case.line, case.bundle)
    return Grounds(_require_comparison(case, current_champion(case.line)), commit)


def current_champion(line: Line) -> registry.Assigned | None:
    """The assignment that made the champion."""
    return next(reversed(registry.history(line.name)), None)


def release_of(line: Line, assigned: registry.Assigned) -> str | None:
    """The id of the release that was assigned; None where neither a record nor DVC tells."""
    record = assigned.record
    return record.release if record else registry.named(line.name, assigned.version).release(line)


def makers(case: Case, commit: str | None) -> frozenset[str]:
    """Who made a release: its run record, or where that is of a restoring only, the author of the commit."""
    stored = store.STORE / case.line.name / case.release
    paths = [folder / "provenance.json" for folder in (stored, case.bundle, case.bundle.parent)]
    content: dict[str, Any] = next((read_json(path) for path in paths if path.exists()), {})
    if content.get("who") and not content.get("restored"):
        return frozenset(str(name) for name in content["who"].values() if name)
    author = (asked("log", "-1", "--format=%an%n%ae", commit) or "") if commit else ""
    return frozenset(author.split("\n")) - {""}


def say_if_rejected_since(case: Case) -> None:
    """The newest release may be of an earlier run than the last one, which a gate rejected."""
    for gate in ("validate", "quality_gate", "release_gate"):
        path = case.line.file(gate, "verdict.json")
        if path.exists() and read(path).verdict == "reject":
            log.info("Note: %s rejected the last run of %s; release %s is of an earlier run.", gate, case.line.name,
                     case.release)  # fmt: skip


def require_verdicts(case: Case, manifest: Manifest) -> None:
    """Raises RejectedError where a verdict that the release carries is not `pass`."""
    verdicts = {gate: Verdict.model_validate(content) for gate, content in manifest.verdicts.items()}
    rejecting = {gate: found for gate, found in verdicts.items() if found.verdict != "pass"}
    if rejecting or not verdicts:
        reasons = "; ".join(f"{gate}: {'; '.join(found.rejections())}" for gate, found in rejecting.items())
        raise RejectedError(
            f"Release {case.release} of {case.line.name} is not promoted: {reasons or 'it has no verdicts'}. A verdict "
            "is final for its model."
        )


def _require_comparison(case: Case, current: registry.Assigned | None) -> Compared | None:
    """The comparison with the champion, where there is one."""
    if current is None:
        log.info("%s has no champion: release %s stands on its own verdicts.", case.line.name, case.release)
        return None
    champion = registry.folder(case.line, registry.named(case.line.name, current.version))
    found, out = compared(case.line.name, case.bundle, champion, case.settings.compare)
    log.info("Against %s: %s Page: %s", current.version, found.sentence, out / "compare.html")
    if not found.accepted:
        raise RejectedError(
            f"Release {case.release} of {case.line.name} is not promoted: {' '.join(found.objections)} "
            f"{found.sentence} The page is {out / 'compare.html'}."
        )
    return Compared.of(found)
