"""The two releases of a comparison: what each brings, whether they go together, and which rows are fair to both."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.bundle import Manifest, load_release, release_id
from tasks.comparison import CompareSettings, Side
from tasks.core.errors import DataError, SettingsError
from tasks.core.files import read_json, read_parquet
from tasks.inference import Model
from tasks.kinds import load

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("tidegate")

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
        return {*ingested, *self.judging()}

    def judging(self) -> set[str]:
        """Those of its sources whose rows judge: not the ones that only teach, or tell of items alone."""
        return {*read_parquet(self.folder / "reference/rows.parquet", ["source"])["source"]}

    def salt(self) -> str:
        """What its split keys are made with."""
        salt: str = read_json(self.folder / "text_policy.json")["settings"]["split_salt"]
        return salt


def refuse(challenger: Release, champion: Release) -> None:
    """Raise SettingsError that says why two releases cannot be compared, where they cannot."""
    ours, theirs = challenger.manifest, champion.manifest
    pair = f"{challenger.id} cannot be compared with {champion.id}"
    if ours.kind != theirs.kind:
        raise SettingsError(f"{pair}: their task kinds are {ours.kind} and {theirs.kind}.")
    if getattr(load(ours.kind, "compare"), "SAME_LABELS", True) and set(ours.labels) != set(theirs.labels):
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
