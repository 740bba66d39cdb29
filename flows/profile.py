"""`tidegate profile`: what a line's rows are like, how they moved, and a suite of expectations to be reviewed."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from flows import store
from flows.settings import load
from tasks import kinds
from tasks.core.errors import DataError
from tasks.core.files import read_json, read_parquet, sha256, write_json, write_text
from tasks.core.line import STATE, Line
from tasks.profile import Sampled, describe
from tasks.profile_drift import compare, words_moved
from tasks.profile_page import Drift, Policy, page
from tasks.proposal import as_yaml
from tasks.scan import SAMPLE, Scan, scan

FOLDER = STATE / "profiles"


@dataclass(frozen=True)
class Profiled:
    """A scanned and described table."""

    scan: Scan
    profile: dict[str, Any]
    sampled: Sampled


def profile_line(
    name: str, html: Path | None = None, propose: bool = False, against: str | None = None, sample: int = SAMPLE
) -> Path:
    """Profile a line's rows; write .tidegate/profiles/<line>.json and the page; print the main figures.

    Reads ingest/rows.parquet, and beside it what train and validate wrote, where they did. `against` names a git
    revision or a release; without it that is the last commit where its rows are others, else the newest release.
    Returns the page. Memory does not grow with the text: all rows are counted, `sample` of them looked at closely.
    Raises DataError where there are no rows, TidegateError where `against` is not to be had.
    """
    settings = load([name])[name]
    line = Line(name, settings.kind)
    path = line.file("ingest", "rows.parquet")
    if not path.exists():
        raise DataError(f"{path} is missing. Run `tidegate run {name} --until ingest`.")
    tokenizer = line.file("train", "tokenizer.json")
    max_length = settings.train.max_length

    def described(table: Path) -> Profiled:
        found = scan(table, sample)
        return Profiled(found, *describe(found, tokenizer if tokenizer.exists() else None, max_length))

    now = described(path)
    now.profile["decided"] = _decided(line)
    with _earlier(line, path, against, kinds.load(line.kind, "settings").TEXTS) as (table, what):
        drift = _drift(described(table), now, what) if table else None
    target = html or FOLDER / f"{name}.html"
    proposal = as_yaml(name, now.profile)
    write_text(
        target,
        page(name, str(path), now.profile, now.scan, now.sampled, _policy(line), drift, what, proposal),
    )
    write_json(FOLDER / f"{name}.json", now.profile | {"drift": [one.__dict__ for one in drift.moved] if drift else []})
    if propose:
        write_text(line.folder / "expectations.proposed.yaml", proposal)
    _say(now, drift, what, target, line.folder / "expectations.proposed.yaml" if propose else None)
    return target


def _drift(before: Profiled, now: Profiled, against: str) -> Drift:
    columns = [
        name for name in ("source", "label") if {name} <= {*before.scan.sample.columns} & {*now.scan.sample.columns}
    ]
    categories = {
        name: (before.scan.sample[name].dropna().tolist(), now.scan.sample[name].dropna().tolist()) for name in columns
    }
    earlier, later = (one.scan.sample["text"].fillna("").tolist() for one in (before, now))
    moved = compare(before.sampled, now.sampled, categories)
    return Drift(against, len(earlier), moved, words_moved(earlier, later) if earlier and later else [])


@contextmanager
def _earlier(line: Line, now: Path, against: str | None, texts: bool) -> Iterator[tuple[Path | None, str]]:
    """The rows of an earlier version, and what they are; None and the reason where there are none."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "rows.parquet"
        revision = against or "HEAD"
        kept = _is_revision(revision) and _committed(now, revision, copy)
        if kept and (against or sha256(copy) != sha256(now)):
            yield copy, f"the rows of git revision {revision}"
            return
        if not texts:
            yield None, "Releases of this line keep histories, not events. `--against` a git revision compares rows."
            return
        if against:
            yield store.find(line.name, against) / "reference/rows.parquet", f"the reference rows of release {against}"
            return
        found = store.releases(line.name)
        if found:
            yield found[0].folder / "reference/rows.parquet", f"the reference rows of release {found[0].id}"
            return
        yield None, "There is no earlier version: the last commit has the same rows or none, and no release is kept."


def _is_revision(name: str) -> bool:
    command = ["git", "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _committed(path: Path, revision: str, copy: Path) -> bool:
    """Copy the file that DVC keeps for a git revision; False where that had none, or it is neither here nor remote."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    try:
        DVCFileSystem(rev=revision).get_file(path.as_posix(), str(copy))
    except (DvcException, OSError):
        return False
    return copy.exists()


def _decided(line: Line) -> dict[str, int]:
    """Rows by the label that the label stage gave them, where it ran."""
    labeled = line.file("label", "labeled.parquet")
    if not labeled.exists():
        return {}
    return {str(label): int(n) for label, n in read_parquet(labeled, ["label"])["label"].value_counts().items()}


def _policy(line: Line) -> Policy:
    """What the text policy and the filters did, as ingest and validate told."""
    provenance, verdict = line.file("ingest", "provenance.json"), line.file("validate", "verdict.json")
    filtered = line.file("validate", "filtered.parquet")
    told = read_json(provenance) if provenance.exists() else {}
    details = read_json(verdict)["details"] if verdict.exists() else {}
    return Policy(
        changed=told.get("changed", {}),
        dropped=told.get("dropped", {}),
        filters=details.get("filters", {}).get("steps", {}),
        filtered=read_parquet(filtered, ["text", "reason"]) if filtered.exists() else None,
    )


def _say(now: Profiled, drift: Drift | None, what: str, target: Path, proposed: Path | None) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    found = now.scan
    low, _, median, _, nearly_all, most = now.profile["lengths"]["characters"]
    console.print(f"{found.rows:,} rows from {len(found.sources)} source(s), {len(now.sampled.characters):,} sampled.")
    console.print(f"Characters: {low:,} to {most:,}, median {median:,}, 99 % have {nearly_all:,} or fewer.")
    console.print(f"{found.repeated_texts:,} texts and {found.repeated_ids:,} ids repeat an earlier one.")
    console.print("Languages: " + ", ".join(f"{code} {n:,}" for code, n in list(now.profile["languages"].items())[:6]))
    if drift:
        far = [f"{one.name} {one.distance:.2f}" for one in drift.moved if one.outcome == "moved far"]
        console.print(f"Drift against {drift.against}: {', '.join(far) if far else 'nothing moved far'}.")
    else:
        console.print(what)
    if proposed:
        console.print(f"Proposal: {proposed}; go through it, and take what is right into expectations.yaml.")
    console.print(f"Page: {target}")
