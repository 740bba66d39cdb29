"""`tidegate compare`: two releases of a line on the same rows, with a table, a sentence and a page."""

import shutil
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows import registry, store
from flows.champion import champion
from flows.settings import load
from tasks.bundle import load_release, release_id
from tasks.compare import NAME, compare, kept, read
from tasks.comparison import METRICS, CompareSettings, Comparison, Difference
from tasks.core.errors import RejectedError
from tasks.core.line import Line
from tasks.rivals import Release

COLOURS = {"better": "green", "not worse": "green", "undecided": "yellow", "worse": "red"}


def compare_releases(
    name: str, first: str | None, second: str | None, page: Path | None = None, variant: str | None = None
) -> int:
    """Compare a release of a line (default: the newest) with another (default: the champion); print what follows.

    Each is an id, the beginning of one, a version or a folder. Returns 0 when the first may take the second's place,
    else 3. A kept comparison of the same releases and settings is shown again without computing.
    """
    block = load([name])[name]
    settings = block.compare.model_copy(update={"variants": (variant,)}) if variant else block.compare
    line = Line(name, block.kind)
    ours = registry.find(line, first)
    theirs = registry.find(line, second) if second else champion(line)
    if theirs is None:
        return _alone(name, ours)
    found, out = compared(name, ours, theirs, settings)
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(out / "compare.html", page)
    show(found, page or out / "compare.html")
    return 0 if found.accepted else RejectedError.exit_code


def compared(line: str, ours: Path, theirs: Path, settings: CompareSettings) -> tuple[Comparison, Path]:
    """The comparison of two releases, and the folder that keeps it; one that is kept is not computed again."""
    challenger, against = Release.open(ours, settings), Release.open(theirs, settings)
    out = folder(line, challenger, against.id)
    found = kept(out, challenger, against, settings)
    return found or compare(challenger, against, settings, out, earlier(line)), out


def folder(line: str, challenger: Release, champion_id: str) -> Path:
    """Where a comparison is kept: beside the challenger in the store, else under .tidegate/comparisons/."""
    stored = store.STORE / line / challenger.id
    if stored.exists() and stored.samefile(challenger.folder):
        return stored / "comparisons" / champion_id
    return store.ELSEWHERE / line / f"{challenger.id}-{champion_id}"


def earlier(line: str) -> dict[str, set[str]]:
    """The challengers that were compared before, by test set; comparisons of a release with itself do not count."""
    found = defaultdict(set)
    paths = [*(store.STORE / line).glob(f"*/comparisons/*/{NAME}"), *(store.ELSEWHERE / line).glob(f"*/{NAME}")]
    for comparison in filter(None, map(read, paths)):
        if comparison.challenger.id != comparison.champion.id:
            found[comparison.test_set].add(comparison.challenger.id)
    return dict(found)


def show(found: Comparison, page: Path) -> None:
    """Print a comparison: a table, the sentence, what speaks against it, where the page is."""
    console = Console()
    console.print(_table(found))
    console.print(found.sentence, soft_wrap=True, highlight=False)
    for warning in found.warnings:
        console.print(f"Note: {warning}", soft_wrap=True, markup=False, highlight=False)
    for objection in found.objections:
        console.print(f"Rejected: {objection}", style="red", soft_wrap=True, markup=False, highlight=False)
    console.print(f"Page: {page}", soft_wrap=True, markup=False, highlight=False)


def _table(found: Comparison) -> Table:
    ours, theirs = found.challenger, found.champion
    title = f"{found.line}: {ours.id} ({ours.variant}) against {theirs.id} ({theirs.variant})"
    table = Table(title=title, title_justify="left")
    table.add_column("", overflow="fold")
    for column in ("rows", "challenger", "champion", f"points ({100 * found.settings.confidence:g}%)"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    for difference in found.differences:
        table.add_row(*_row(METRICS[difference.metric], difference))
    for part in found.sources:
        table.add_row(*_row(f"{part.name} sources", part.found))
    return table


def _row(name: str, found: Difference) -> list[str]:
    return [
        name,
        f"{found.rows:,}",
        f"{found.challenger:.1%}",
        f"{found.champion:.1%}",
        f"{100 * found.difference:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})",
        f"[{COLOURS[found.outcome]}]{found.outcome}[/]",
    ]


def _alone(line: str, release: Path) -> int:
    """Without a champion the release's own verdicts decide."""
    verdicts = load_release(release).verdicts
    console = Console()
    console.print(
        f"{line} has no champion: no version is assigned to production. Release {release_id(release)} stands on its "
        "own verdicts.",
        soft_wrap=True, markup=False, highlight=False,
    )  # fmt: skip
    for gate, verdict in verdicts.items():
        console.print(f"{gate}: {verdict['verdict']}, {len(verdict['checks'])} checks", markup=False, highlight=False)
    return 0 if all(found["verdict"] == "pass" for found in verdicts.values()) else RejectedError.exit_code
