"""Leakage: rows that judge a model and stand, as they are or nearly so, among the rows it learned from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from tasks import verdict
from tasks.core.errors import SettingsError, SourceError
from tasks.core.files import sha256 as digest_of
from tasks.core.settings import Settings
from tasks.similar import NearSettings, drawn, near_pairs, plain
from tasks.sources.tables import Column, TableSettings, read
from tasks.text import TextSettings, clean, split_key
from tasks.verdict import Check

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 3  # copies of one row that are listed; the first says it all
NEEDED = ["id", "split_key", "source", "label", "text"]
"""What is read of a table; source and label may be missing."""
COLUMNS = ["check", "id", "split_key", "source", "label", "other_id", "similarity", "why"]


class ListedSet(Settings):
    """A file of texts that no model of this line may learn from, such as the test side of a public set."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="stands in the name of its checks")
    path: str = Field(min_length=1, description="a csv, tsv, jsonl or parquet file of this machine")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="of the file; without it the error prints the pin"
    )
    column: str | int = Field("text", description="the column that holds the text, by name or by place from 0")
    label: str | int | None = Field(
        None, description="the column that holds the label, where it has the names that the line gives"
    )


class LeakageSettings(NearSettings):
    """How many copies are borne, and where else than in the line's own sides copies are looked for."""

    max_exact: float = Field(0.0, ge=0, le=1, description="share of the judging rows with an exact copy in train")
    max_near: float = Field(0.005, ge=0, le=1, description="share of the judging rows with but a near copy in train")
    max_rows: int = Field(
        100_000, ge=1, description="near copies are looked for among this many rows of a table, exact ones among all"
    )
    sets: tuple[ListedSet, ...] = Field((), description="files that are searched for in train, beside test")

    @field_validator("sets")
    @classmethod
    def _names_differ(cls, sets: tuple[ListedSet, ...]) -> tuple[ListedSet, ...]:
        names = [one.name for one in sets]
        if len({"test", "validation", *names}) < len(names) + 2:
            raise ValueError(f"each set needs a name of its own, other than test and validation: {', '.join(names)}")
        return sets


@dataclass(frozen=True)
class Leak:
    """Rows of one table that have copies in train.

    `pairs` has the columns of the row (id, split_key, source, label), other_id, other_label, similarity (1 where
    `exact`) and `differs`: both labels are known and not the same. A row with an exact copy has no near ones, and of
    rows of train with the same text and label the first stands for all. `looked_at` counts the rows among which near
    copies were looked for.
    """

    rows: int
    train_rows: int
    looked_at: int
    looked_at_in_train: int
    pairs: "pd.DataFrame"

    def found(self, exact: bool, differs: bool = False) -> int:
        """Rows with an exact copy, or with a near one; `differs`: with one under another label."""
        pairs = self.pairs[self.pairs["exact"] == exact]
        return int(pairs.loc[pairs["differs"] if differs else slice(None), "id"].nunique())


def examine(
    sides: Mapping[str, "pd.DataFrame"], settings: LeakageSettings, text: TextSettings
) -> tuple[list[Check], "pd.DataFrame"]:
    """Hold test, validation and each listed set against train.

    `sides` has train, validation and test (tasks.rows.LABELED), `text` is the line's text policy. Two checks each,
    `leakage.<name>.exact` and `.near`: the share of its rows with such a copy in train. What validation shows only
    warns: it costs the stop and the calibration, and lends the verdict nothing. Beside the checks the rows to look at
    (COLUMNS), at most SHOWN copies of each. Raises SettingsError and SourceError for a set that is unpinned or not
    what it was.
    """
    import pandas as pd

    judged = {name: sides[name] for name in ("test", "validation")}
    judged |= {f"sets.{one.name}": listed(one, text) for one in settings.sets}
    checks: list[Check] = []
    tables = [pd.DataFrame(columns=COLUMNS)]
    for name, frame in judged.items():
        leak = search(frame, sides["train"], settings)
        checks += _checks(name, leak, settings)
        tables.append(_rows(name, leak))
    return checks, pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)


def search(judged: "pd.DataFrame", train: "pd.DataFrame", settings: NearSettings) -> Leak:
    """Copies of the rows of `judged` in `train`; both have id, text and split_key, and label where it is known.

    Exact: of the same split_key, or of the same text once cleaned and normalised. Near: tasks.similar.
    """
    import pandas as pd

    judged, train = _prepared(judged), _prepared(train)
    exact = _exact(judged, train)
    some, others = drawn(judged, settings), drawn(train, settings)
    near = _near(some[~some["id"].isin(exact["id"])], others, settings)
    pairs = pd.concat([exact, near]) if len(near) else exact
    differs = pairs["label"].notna() & pairs["other_label"].notna() & (pairs["label"] != pairs["other_label"])
    pairs = pairs.assign(differs=differs.astype(bool)).sort_values(
        ["id", "differs", "similarity", "other_id"], ascending=[True, False, False, True], ignore_index=True
    )
    return Leak(len(judged), len(train), len(some), len(others), pairs)


def listed(one: ListedSet, text: TextSettings) -> "pd.DataFrame":
    """The texts of a listed file under the line's text policy: id (`<name>:<row>`), text, split_key, source, label.

    Raises SettingsError with the pin when there is none, and SourceError when the file is gone, another or unreadable.
    """
    import pandas as pd
    import pyarrow as pa

    path = Path(one.path)
    _check_pin(one, path)
    columns: dict[Column, str | int] = {"text": one.column}
    if one.label is not None:
        columns["label"] = one.label
    table = pa.concat_tables(list(read(path, TableSettings(columns=columns), one.path, columns)))
    frame: pd.DataFrame = table.select(["text", "label"]).to_pandas()
    frame = frame.assign(id=[f"{one.name}:{n}" for n in range(len(frame))], source=one.name)
    frame = frame[frame["text"].fillna("").str.strip() != ""]
    keys = [split_key(raw, text.split_salt) for raw in frame["text"]]
    return frame.assign(split_key=keys, text=[clean(raw, text) for raw in frame["text"]])


def _check_pin(one: ListedSet, path: Path) -> None:
    place = f"quality_gate.leakage.sets, {one.name}"
    if not path.is_file():
        raise SourceError(f"{one.path} is missing or is no file. Correct `path:` ({place}), or take the set out.")
    found = digest_of(path)
    if one.sha256 is None:
        raise SettingsError(f"{one.path} is not pinned ({place}). Write sha256: {found}")
    if one.sha256 != found:
        raise SourceError(
            f"{one.path} is not the file that params.yaml pins ({place}): wanted sha256 {one.sha256}, got {found}. "
            "Write the latter if you trust it."
        )


def _prepared(frame: "pd.DataFrame") -> "pd.DataFrame":
    return frame.reindex(columns=NEEDED).assign(text=frame["text"].map(plain)).reset_index(drop=True)


def _exact(judged: "pd.DataFrame", train: "pd.DataFrame") -> "pd.DataFrame":
    """Pairs of the same key or of the same text."""
    import pandas as pd

    same = [_paired(judged, train, by, by) for by in ("split_key", "text")]
    pairs = pd.concat(same).drop_duplicates(["id", "other_id"], ignore_index=True)
    return pairs.assign(similarity=1.0, exact=True)


def _near(judged: "pd.DataFrame", train: "pd.DataFrame", settings: NearSettings) -> "pd.DataFrame":
    """Pairs of texts that are nearly the same: searched for among distinct texts, told for every row."""
    import pandas as pd

    texts = judged["text"].drop_duplicates().tolist(), train["text"].drop_duplicates().tolist()
    found = near_pairs(*texts, settings)
    near = pd.DataFrame(
        {
            "text": pd.Series([texts[0][pair.left] for pair in found], dtype=judged["text"].dtype),
            "near": pd.Series([texts[1][pair.right] for pair in found], dtype=train["text"].dtype),
            "similarity": [pair.similarity for pair in found],
        }
    )
    return _paired(judged.merge(near, on="text"), train, "near", "text").assign(exact=False)


def _paired(judged: "pd.DataFrame", train: "pd.DataFrame", by: str, other: str) -> "pd.DataFrame":
    """Each row beside those of train whose column `other` is its `by`, one for each label that they have."""
    others = train[[other, "id", "label"]].drop_duplicates([other, "label"])
    others = others.set_axis([by, "other_id", "other_label"], axis=1)
    return judged.merge(others, on=by).drop(columns=[column for column in ("text", "near") if column in judged])


def _checks(name: str, leak: Leak, settings: LeakageSettings) -> list[Check]:
    asked = (("exact", settings.max_exact, leak.rows), ("near", settings.max_near, leak.looked_at))
    checks = []
    for how, most, rows in asked:
        found = leak.found(how == "exact")
        check = verdict.limit(f"leakage.{name}.{how}", round(found / max(rows, 1), 6), None, most, rows)
        outcome = "warn" if name == "validation" and check.outcome == "reject" else check.outcome
        checks.append(check.model_copy(update={"outcome": outcome, "note": _note(leak, how == "exact")}))
    return checks


def _note(leak: Leak, exact: bool) -> str:
    found, differ = leak.found(exact), leak.found(exact, differs=True)
    said = [f"{found} {'row' if found == 1 else 'rows'}"] if found else []
    if differ:
        said.append(f"{differ} with another label there")
    if not exact and leak.looked_at_in_train < leak.train_rows:
        said.append(f"looked for among {leak.looked_at_in_train:,} of {leak.train_rows:,} rows of train")
    return ", ".join(said)


def _rows(name: str, leak: Leak) -> "pd.DataFrame":
    """The worst copies of each row, in words."""
    pairs = leak.pairs.groupby("id", sort=False).head(SHOWN)
    how = pairs["exact"].map({True: "exact", False: "near"}).astype("str")
    there = (", where its label is " + pairs["other_label"].astype("str")).where(pairs["differs"], "")
    return pairs.assign(check=f"leakage.{name}." + how, why=how + " copy in train" + there)[COLUMNS]
