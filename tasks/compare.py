"""Two releases on the same rows: which rows, both models' answers, what they say, and the record of it.

No stage: who is champion is state of the world. `tidegate compare` keeps what is written here with the challenger.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from tasks import paired
from tasks.bundle import Manifest, load_release, release_id
from tasks.comparison import (
    SCHEMA,
    CompareSettings,
    Comparison,
    Counts,
    Difference,
    Part,
    Side,
    objections,
    rounded,
    sentence,
)
from tasks.core.errors import DataError, SettingsError
from tasks.core.files import read_json, read_parquet, sha256, write_json, write_parquet, write_text
from tasks.inference import Model
from tasks.kinds import load

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("tidegate")

NAME = "comparison.json"
THIRDS = ("shortest third", "middle third", "longest third")
SEEN = ("train", "validation")


@dataclass(frozen=True)
class Release:
    """A whole release, and the variant of it that is compared."""

    id: str
    folder: Path
    manifest: Manifest
    variant: str

    @classmethod
    def open(cls, folder: Path, settings: CompareSettings) -> "Release":
        """Raises SettingsError when it has none of the variants, StageError when it is not whole."""
        manifest = load_release(folder)
        variant = next((name for name in settings.variants if name in manifest.admissible), None)
        if variant is None:
            raise SettingsError(
                f"Release {release_id(folder)} has no variant {' or '.join(settings.variants)}; it has "
                f"{', '.join(manifest.admissible)}. Name what to compare with --variant or in compare.variants."
            )
        return cls(release_id(folder), folder, manifest, variant)

    @property
    def side(self) -> Side:
        """As comparison.json names it."""
        return Side(id=self.id, variant=self.variant)

    def model(self) -> Model:
        """The variant, loaded."""
        log.info("scoring with %s of release %s", self.variant, self.id)
        return Model.load(self.folder, self.variant)

    def keys(self) -> "pd.DataFrame":
        """split_key and side of every row it came from."""
        return read_parquet(self.folder / "split_keys.parquet")

    def test(self) -> "pd.DataFrame":
        """Its test rows: id, text, source, label, split_key. The bundle holds rows and keys of a side in one order."""
        rows, keys = read_parquet(self.folder / "reference/rows.parquet"), self.keys()
        rows, keys = (frame[frame["side"] == "test"] for frame in (rows, keys))
        if len(rows) != len(keys):
            raise DataError(f"{self.folder} holds {len(rows)} test rows and {len(keys)} keys of such. Make it again.")
        return rows.assign(split_key=keys["split_key"].to_numpy()).drop(columns="side").reset_index(drop=True)

    def sources(self) -> set[str]:
        """The sources it knows."""
        ingested = read_json(self.folder / "evidence/ingest_provenance.json").get("sources", {})
        return {*ingested, *read_parquet(self.folder / "reference/rows.parquet", ["source"])["source"]}

    def salt(self) -> str:
        """What its split keys are made with."""
        salt: str = read_json(self.folder / "text_policy.json")["settings"]["split_salt"]
        return salt


def compare(
    challenger: Release,
    champion: Release,
    settings: CompareSettings,
    out: Path,
    earlier: Mapping[str, Set[str]] | None = None,
) -> Comparison:
    """Score the challenger's test rows that neither release has seen with both, in ONNX Runtime; say what follows.

    `earlier` names the challengers that were compared before, by test set. Writes comparison.json, rows.parquet (the
    kind's table of both models' answers, without texts) and compare.html into `out`. Raises SettingsError where the two
    cannot be compared, DataError where no row is left.
    """
    from tasks.compare_page import page

    refuse(challenger, champion)
    kind = load(challenger.manifest.kind, "compare")
    test = challenger.test()
    rows, excluded = unseen(test, challenger, champion)
    table = kind.answered(rows, challenger.model(), champion.model())
    name = digest(test)
    content = {
        "code": code(),
        "line": challenger.manifest.line,
        "challenger": challenger.side,
        "champion": champion.side,
        "settings": settings,
        "test_set": name,
        "test_rows": len(test),
        "excluded": excluded,
        "proposals": len({challenger.id, *(earlier or {}).get(name, ())}),
        **judge(table, kind, settings, champion.sources(), same=challenger.id == champion.id),
    }
    content["warnings"] = warnings(content, rows, challenger, champion)
    comparison = Comparison.model_validate(rounded(Comparison(**content).model_dump(mode="json")))
    write_parquet(out / "rows.parquet", table[kind.COLUMNS])
    write_text(out / "compare.html", page(comparison, table, challenger.manifest.kind))
    write_json(out / NAME, comparison.model_dump(mode="json"))
    return comparison


def kept(out: Path, challenger: Release, champion: Release, settings: CompareSettings) -> Comparison | None:
    """The comparison that `out` holds, where this program made it of these releases with these settings; else None."""
    found = read(out / NAME)
    wanted = (code(), challenger.side, champion.side, settings)
    same = found is not None and (found.code, found.challenger, found.champion, found.settings) == wanted
    return found if same and (out / "compare.html").exists() else None


def read(path: Path) -> Comparison | None:
    """A comparison.json; None where there is none, or another version of this program wrote it."""
    try:
        found = Comparison.model_validate(read_json(path))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError, ValidationError):
        return None
    return found if found.schema_version == SCHEMA else None


def code() -> str:
    """Names the modules and templates that a comparison may depend on: 12 hex of the sha256 of tasks/."""
    return sha256(Path(__file__).parent)[:12]


def refuse(challenger: Release, champion: Release) -> None:
    """Raise SettingsError that says why two releases cannot be compared, where they cannot."""
    ours, theirs = challenger.manifest, champion.manifest
    pair = f"{challenger.id} cannot be compared with {champion.id}"
    if ours.kind != theirs.kind:
        raise SettingsError(f"{pair}: their task kinds are {ours.kind} and {theirs.kind}.")
    if set(ours.labels) != set(theirs.labels):
        only = [sorted(set(a.labels) - set(b.labels)) for a, b in ((ours, theirs), (theirs, ours))]
        raise SettingsError(
            f"{pair}: they know different labels (only the first: {', '.join(only[0]) or 'none'}; only the second: "
            f"{', '.join(only[1]) or 'none'}). The new set of labels needs a champion of its own."
        )
    if challenger.salt() != champion.salt():
        raise SettingsError(
            f"{pair}: their splits are keyed with different values of text.split_salt, so that nobody can tell which "
            "test rows the other was trained on. Put the champion's salt back and run the line again."
        )


def unseen(test: "pd.DataFrame", challenger: Release, champion: Release) -> tuple["pd.DataFrame", dict[str, int]]:
    """The test rows that stand in neither release's train or validation side, and how many do by whose and which.

    Raises DataError where none is left.
    """
    left, excluded = test, {}
    for whose, release in (("challenger", challenger), ("champion", champion)):
        keys = release.keys()
        for side in SEEN:
            seen = left["split_key"].isin(keys.loc[keys["side"] == side, "split_key"])
            excluded[f"{whose} {side}"] = int(seen.sum())
            left = left[~seen]
    if left.empty:
        raise DataError(
            f"All {len(test):,} test rows of {challenger.id} were seen by it or by {champion.id} in training or "
            "validation. Take in new rows with `tidegate sync` and run the line again."
        )
    return left.reset_index(drop=True), excluded


def digest(test: "pd.DataFrame") -> str:
    """Names a test split: 12 hex of the sha256 of its sorted split keys."""
    return hashlib.sha256("\n".join(sorted(test["split_key"])).encode()).hexdigest()[:12]


def judge(
    table: "pd.DataFrame", kind: Any, settings: CompareSettings, known: Set[str], same: bool = False
) -> dict[str, Any]:
    """What the table of answers says: the fields of Comparison from `differences` on, but for the warnings.

    `known` are the champion's sources; `same` says that both answers are one release's, so that nothing is estimated.
    """

    def difference(part: "pd.DataFrame", metric: str) -> Difference:
        return measured(part, metric, kind, settings, same)

    overall = difference(table, settings.decide_by)
    found = [overall if metric == settings.decide_by else difference(table, metric) for metric in settings.metrics]
    parts = {by: _parts(by, labels) for by, labels in _slices(table, kind).items()}
    old = table["source"].isin(known)
    by_age = [("old", old), ("new", ~old)] if not old.all() else []
    sources = [
        Part(by="sources", name=name, found=difference(table[rows], settings.decide_by))
        for name, rows in by_age
        if rows.any()
    ]
    against = objections(overall, sources, settings)
    return {
        "differences": found,
        "mcnemar_p": paired.mcnemar(*_won_lost(table)),
        "counts": _counts(table),
        "sources": sources,
        "slices": [
            Part(by=by, name=name, found=difference(table[rows], settings.decide_by))
            for by, names in parts.items()
            for name, rows in names
        ],
        "outcome": overall.outcome,
        "accepted": not against,
        "objections": against,
        "sentence": sentence(overall, same),
    }


def measured(part: "pd.DataFrame", metric: str, kind: Any, settings: CompareSettings, same: bool = False) -> Difference:
    """The difference of one metric on some rows: Tango's interval for accuracy, the kind's bootstrap for any other."""
    rows = len(part)
    if metric == "accuracy":
        ours, theirs = (float(part[f"{whose}_right"].mean()) for whose in ("challenger", "champion"))
        low, high = paired.tango(*_won_lost(part), rows, settings.confidence)
    else:
        ours, theirs, low, high = kind.bootstrapped(part, metric, settings)
    if same:
        low = high = 0.0
    outcome = paired.outcome(low, high, settings.margin)
    needed = paired.rows_needed(ours - theirs, low, high, rows, settings.margin) if outcome == "undecided" else None
    return Difference(
        metric=metric,
        rows=rows,
        challenger=ours,
        champion=theirs,
        difference=ours - theirs,
        low=low,
        high=high,
        outcome=outcome,
        rows_needed=needed,
    )


def _won_lost(part: "pd.DataFrame") -> tuple[int, int]:
    ours, theirs = part["challenger_right"], part["champion_right"]
    return int((ours & ~theirs).sum()), int((theirs & ~ours).sum())


def _counts(table: "pd.DataFrame") -> Counts:
    won, lost = _won_lost(table)
    both = int((table["challenger_right"] & table["champion_right"]).sum())
    return Counts(both=both, challenger=won, champion=lost, neither=len(table) - both - won - lost)


def _slices(table: "pd.DataFrame", kind: Any) -> dict[str, "pd.Series[Any]"]:
    return {"source": table["source"], "length": _thirds(table["text"]), **kind.slices(table)}


def _thirds(text: "pd.Series[str]") -> "pd.Series[Any]":
    """Thirds by length in characters, so that scripts without spaces are cut as well; equal lengths share a third."""
    import pandas as pd

    lengths = text.str.len()
    edges = np.quantile(lengths, [1 / 3, 2 / 3])
    return pd.Series(np.array(THIRDS, dtype=object)[np.searchsorted(edges, lengths)], index=text.index)


def _parts(by: str, names: "pd.Series[Any]") -> Iterator[tuple[str, "pd.Series[bool]"]]:
    """The parts of a slicing, thirds in their order and names by the alphabet; none where there is but one."""
    present = set(names)
    ordered = [name for name in THIRDS if name in present] if by == "length" else sorted(present)
    if len(ordered) > 1:
        for name in ordered:
            yield str(name), names == name


def warnings(content: Mapping[str, Any], rows: "pd.DataFrame", challenger: Release, champion: Release) -> list[str]:
    """What a reader should know before trusting the outcome."""
    said, limit = [], content["settings"].max_proposals
    if challenger.id == champion.id:
        said.append(f"Challenger and champion are the same release, {champion.id}.")
    if content["proposals"] > limit:
        said.append(
            f"{content['proposals']} challengers have been compared on this test set, more than {limit}: the best of "
            "many is partly luck. Take in new rows before the next one."
        )
    if absent := sorted(champion.sources() - set(rows["source"])):
        said.append(f"No row of {', '.join(absent)}, which the champion knows, is among those compared.")
    return said
