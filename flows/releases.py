"""`tidegate releases`: every release of a line that is in the store or registered, and where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows import approvals, deploy, registry, store
from flows.examine import current_champion, release_of
from flows.settings import load
from serving.deployment import Pointer
from tasks import figures
from tasks.bundle import MANIFEST, read_manifest
from tasks.compare import NAME, read
from tasks.comparison import Comparison
from tasks.core.errors import TidegateError
from tasks.core.files import read_json
from tasks.core.line import Line

HEAD = ("release", "version", "state", "made", "by", "verdicts", "{measured}", "against champion")


@dataclass(frozen=True)
class State:
    """What is the same for all rows: who is champion, what the serving folder says."""

    line: Line
    versions: dict[str, str]
    """Release to version."""
    champion: str | None
    pointer: Pointer | None


@dataclass(frozen=True)
class Row:
    """A release, and where it stands."""

    release: str
    version: str = ""
    stands: Literal["", "champion", "waiting", "no", "expired"] = ""
    """The last three: of a proposal of it."""
    serves: Sequence[tuple[str, str]] = ()
    """What the serving folder has it do, and the variant."""
    made: str = ""
    """ISO 8601; empty where it is not in the store."""
    by: str = ""
    restored: bool = False
    gates: int = 0
    """Its verdicts; none where its manifest is gone."""
    rejecting: Sequence[str] = ()
    figure: figures.Told | None = None
    """The main one of its kind, on its own test rows."""
    against: Comparison | None = None
    """The kept comparison with the champion."""


def rows(name: str) -> tuple[State, list[Row]]:
    """Every release of a line, those in the store first, the newest before the older; nothing is computed."""
    state = _state(Line(name, load([name])[name].kind))
    stored = store.releases(name)
    elsewhere = [release for release in state.versions if release not in {one.id for one in stored}]
    return state, [
        *(_row(state, one.id, one.folder, one.created) for one in stored),
        *(_row(state, release, None, "") for release in elsewhere),
    ]


def measured(found: Sequence[Row]) -> str:
    """What the figures of a line's releases are called."""
    return next((row.figure.name for row in found if row.figure), figures.MAIN)


def show(name: str) -> None:
    """Print a table of the releases, the newest first; nothing is computed and nothing fetched."""
    console, (state, found) = Console(), rows(name)
    table = Table(title=f"{name}: releases", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in (column.format(measured=measured(found)) for column in HEAD):
        table.add_column(column, overflow="fold", no_wrap=column in ("release", "version"))
    if not found:
        console.print(f"{name} has no release. `tidegate run {name}` makes one.", markup=False, highlight=False)
        return
    for row in found:
        table.add_row(*map(Text, _cells(state, row)))
    console.print(table)
    if not all(row.made for row in found):
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


def _row(state: State, release: str, folder: Path | None, made: str) -> Row:
    row = Row(release, state.versions.get(release, ""), _stands(state, release), _serving(state, release), made)
    if folder is None:
        return row
    by, restored = _maker(folder)
    verdicts = read_manifest(folder).verdicts if (folder / MANIFEST).exists() else {}
    return replace(
        row,
        by=by,
        restored=restored,
        gates=len(verdicts),
        rejecting=[gate for gate, verdict in verdicts.items() if verdict["verdict"] != "pass"],
        figure=_figure(folder),
        against=_against(state, release, folder),
    )


def _cells(state: State, row: Row) -> list[str]:
    """A row as the table shows it."""
    words = {"waiting": "waits for approval", "no": "declined", "expired": "not approved in time"}
    serves = ", ".join(f"{role} ({variant})" for role, variant in row.serves)
    stands = "; ".join(filter(None, [words.get(row.stands, row.stands), serves]))
    if not row.made:
        return [row.release, row.version, stands, "", "", "", "", ""]
    verdicts = f"{', '.join(row.rejecting)}: reject" if row.rejecting else f"{row.gates} pass"
    return [
        row.release,
        row.version,
        stands,
        row.made[:16].replace("T", " "),
        f"restored by {row.by}" if row.restored else row.by,
        verdicts if row.gates else "broken",
        "" if row.figure is None else row.figure.shown,
        _compared(state, row),
    ]


def _compared(state: State, row: Row) -> str:
    if row.against is not None:
        return f"{row.against.outcome} ({100 * row.against.deciding.difference:+.1f} points)"
    return "" if state.champion in (None, row.release) else "not compared"


def _stands(state: State, release: str) -> Literal["", "champion", "waiting", "no", "expired"]:
    if release == state.champion:
        return "champion"
    proposal = approvals.read(state.line.name, release)
    return "" if proposal is None or proposal.state == "yes" else proposal.state


def _maker(folder: Path) -> tuple[str, bool]:
    """Who made it, and whether that is of a restoring only."""
    record = folder / "provenance.json"
    content: dict[str, Any] = read_json(record) if record.exists() else {}
    who = content.get("who") or {}
    return str(who.get("name") or who.get("email") or who.get("deployment") or "?"), bool(content.get("restored"))


def _figure(folder: Path) -> figures.Told | None:
    metrics = folder / "evidence/evaluate_metrics.json"
    return next(iter(figures.told(read_json(metrics))), None) if metrics.exists() else None


def _against(state: State, release: str, folder: Path) -> Comparison | None:
    if state.champion in (None, release):
        return None
    return read(folder / "comparisons" / str(state.champion) / NAME)


def _serving(state: State, release: str) -> list[tuple[str, str]]:
    if state.pointer is None:
        return []
    roles = {"serves": state.pointer, "shadow": state.pointer.shadow, "canary": state.pointer.canary}
    return [(role, one.variant) for role, one in roles.items() if one and one.release == release]
