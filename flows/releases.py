"""`tidegate releases`: every release of a line that is in the store or registered, and where it stands."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows import approvals, deploy, registry, store
from flows.examine import current_champion, release_of
from flows.settings import load
from serving.deployment import Pointer
from tasks.bundle import MANIFEST, read_manifest
from tasks.compare import NAME, read
from tasks.core.errors import TidegateError
from tasks.core.files import read_json
from tasks.core.line import Line

HEAD = ("release", "version", "state", "made", "by", "verdicts", "accuracy", "against champion")


@dataclass(frozen=True)
class State:
    """What is the same for all rows: who is champion, what the serving folder says."""

    line: Line
    versions: dict[str, str]
    """Release to version."""
    champion: str | None
    pointer: Pointer | None


def show(name: str) -> None:
    """Print a table of the releases, the newest first; nothing is computed and nothing fetched."""
    line = Line(name, load([name])[name].kind)
    console, state = Console(), _state(line)
    table = Table(title=f"{name}: releases", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in HEAD:
        table.add_column(column, overflow="fold", no_wrap=column in ("release", "version"))
    stored = store.releases(name)
    if not stored and not state.versions:
        console.print(f"{name} has no release. `tidegate run {name}` makes one.", markup=False, highlight=False)
        return
    for one in stored:
        table.add_row(*map(Text, _row(state, one.id, one.folder, one.created)))
    for release in state.versions:
        if release not in {one.id for one in stored}:
            table.add_row(*map(Text, _row(state, release, None, "")))
    console.print(table)
    if state.versions.keys() - {one.id for one in stored}:
        console.print("Those without a date are not in the store: DVC brings them when they are asked for.")
    if state.champion is None:
        console.print(f"{name} has no champion. `tidegate promote {name}` makes one.", markup=False, highlight=False)


def _state(line: Line) -> State:
    current = current_champion(line)
    try:
        pointer = deploy.serving_folder().pointer(line.name)
    except TidegateError:  # `tidegate promote` says what is wrong with it
        pointer = None
    versions = {
        version.release(line) or version.commit[:7]: version.version for version in registry.versions(line.name)
    }
    return State(line, versions, release_of(line, current) if current else None, pointer)


def _row(state: State, release: str, folder: Path | None, made: str) -> list[str]:
    about = [made[:16].replace("T", " "), _maker(folder), _verdicts(folder), _figure(folder)] if folder else [""] * 4
    stands = "; ".join(filter(None, [_stands(state, release), _serving(state, release)]))
    return [release, state.versions.get(release, ""), stands, *about, _against(state, release, folder)]


def _stands(state: State, release: str) -> str:
    if release == state.champion:
        return "champion"
    proposal = approvals.read(state.line.name, release)
    words = {"waiting": "waits for approval", "no": "declined", "expired": "not approved in time"}
    return words.get(proposal.state, "") if proposal else ""


def _maker(folder: Path) -> str:
    record = folder / "provenance.json"
    content: dict[str, Any] = read_json(record) if record.exists() else {}
    who = content.get("who") or {}
    who = who.get("name") or who.get("email") or who.get("deployment") or "?"
    return f"restored by {who}" if content.get("restored") else str(who)


def _verdicts(folder: Path) -> str:
    if not (folder / MANIFEST).exists():
        return "broken"
    verdicts = read_manifest(folder).verdicts
    rejecting = [gate for gate, verdict in verdicts.items() if verdict["verdict"] != "pass"]
    return f"{', '.join(rejecting)}: reject" if rejecting else f"{len(verdicts)} pass"


def _figure(folder: Path) -> str:
    metrics = folder / "evidence/evaluate_metrics.json"
    return f"{read_json(metrics)['accuracy']:.1%}" if metrics.exists() else ""


def _against(state: State, release: str, folder: Path | None) -> str:
    """The kept comparison with the champion."""
    if folder is None or state.champion in (None, release):
        return ""
    found = read(folder / "comparisons" / str(state.champion) / NAME)
    if found is None:
        return "not compared"
    points = found.deciding
    return f"{found.outcome} ({100 * points.difference:+.1f} points)"


def _serving(state: State, release: str) -> str:
    if state.pointer is None:
        return ""
    roles = {"serves": state.pointer, "shadow": state.pointer.shadow, "canary": state.pointer.canary}
    return ", ".join(f"{role} ({one.variant})" for role, one in roles.items() if one and one.release == release)
