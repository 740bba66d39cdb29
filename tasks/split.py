"""Train, validation and test: a row's side follows from its split_key alone and so never changes."""

import logging
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tasks.core.errors import DataError
from tasks.core.files import read_json, write_json, write_parquet
from tasks.core.line import Line
from tasks.core.stage import run_stage
from tasks.similar import NearSettings, drawn, gram_size, near_pairs, plain

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

log = logging.getLogger("tidegate")

SIDES = ("train", "validation", "test")
RESERVE = "reserve"
PLACES = ("train", RESERVE, "validation", "test")
"""Where a hash can fall, in the order of the numbers: what is reserved is taken from train's end alone."""


class SplitSettings(NearSettings, block="split"):
    """The shares of the sides and what is looked for across them."""

    train: float = Field(0.7, gt=0, lt=1, description="share of texts to learn from")
    validation: float = Field(0.1, gt=0, lt=1, description="share that decides when to stop and fits the calibration")
    test: float = Field(0.2, gt=0, lt=1, description="share that judges, and nothing else")
    reserve: float = Field(0, ge=0, lt=1, description="share that no model sees, to be replayed as live traffic")
    train_only_sources: list[str] = Field(
        [], description="sources that judge no model, such as pseudo-labels: their rows go to train or nowhere"
    )
    base_sources: list[str] = Field(
        [], description="sources that are all in train, wherever their split_key falls: texts of answers, not questions"
    )
    complete_sides: tuple[Literal["train", "validation", "test"], ...] = Field(
        ("train", "validation", "test"),
        description="sides that must have a row of every label; where many answers have few questions: [train]",
    )
    by: Literal["text", "time_in_group"] = Field(
        "text",
        description="text: by split_key; time_in_group: the latest rows of each group judge, those before them "
        "are validation's, the rest teach",
    )
    group_min: int = Field(
        10, ge=3, description="by time_in_group: rows that a group must have; the rows of a smaller one are all train's"
    )
    functions_judge: bool = Field(
        False, description="rows that labelling functions decided may go to validation and test too"
    )
    drop_ambiguous_from_train: bool = Field(False, description="leave rows flagged ambiguous out of train")

    @model_validator(mode="after")
    def _can_be_learned(self) -> "SplitSettings":
        if "train" not in self.complete_sides:
            raise ValueError("complete_sides must name train: a label without a row there cannot be learned")
        if both := sorted({*self.base_sources} & {*self.train_only_sources}):
            raise ValueError(
                f"{', '.join(both)} stands in base_sources and in train_only_sources; one of them is meant"
            )
        return self

    @model_validator(mode="after")
    def _sums_to_one(self) -> "SplitSettings":
        total = sum(getattr(self, place) for place in PLACES)
        if abs(total - 1) > 1e-9:
            raise ValueError(f"{', '.join(PLACES[:-1])} and {PLACES[-1]} must sum to 1; they sum to {total:g}")
        return self


def split(line: Line, settings: SplitSettings, out: Path) -> None:
    """Deal the labeled rows out to three sides, and to a reserve that is no side, as `by` says."""
    {"text": by_text, "time_in_group": by_time}[settings.by](line, settings, out)


def by_text(line: Line, settings: SplitSettings, out: Path) -> None:
    """Deal rows out by their split_key.

    Reads label/labeled.parquet and label/labels.json; writes train.parquet, validation.parquet, test.parquet and
    reserve.parquet (tasks.rows.LABELED, by id) and report.json. Copies of a text have one split_key and so one side.
    Rows whose label is not in labels.json are out of scope: they stand in out_of_scope.parquet alone, with their side.
    Texts that only cleaning or masking made equal may fall on two sides: they leave train for validation's and test's
    sake, validation for test's, and the reserve for anyone's. Rows that may not judge (`train_only_sources`, those that
    functions decided) are kept where their split_key falls on train and no row of its text has a label by people, of
    those with one id the newest: no row changes its side when people label it later. Rows of `base_sources` are in
    train, and their copies on other sides leave these. Raises DataError when a side is empty or one of `complete_sides`
    lacks a label.
    """
    import numpy as np

    from tasks.core.files import read_parquet

    frame = read_parquet(line.file("label", "labeled.parquet")).sort_values("id", kind="stable", ignore_index=True)
    labels: list[str] = read_json(line.file("label", "labels.json"))
    base = frame["source"].isin(settings.base_sources)
    frame["side"] = np.where(base, "train", side_of(frame["split_key"], settings))
    weak = _weak(frame, settings)
    unused = weak & ((frame["side"] != "train") | frame["split_key"].isin(frame.loc[~weak, "split_key"]))
    unused |= weak & _outdated(frame)
    frame, weak = frame[~unused], weak[~unused]
    ambiguous = frame["ambiguous"] & (frame["side"] == "train") & settings.drop_ambiguous_from_train
    copies = _shadowed(frame, base.reindex(frame.index)) & ~ambiguous
    outside = ~frame["label"].isin(labels)
    strange = frame[outside & ~copies]
    reserved = frame[(frame["side"] == RESERVE) & ~copies & ~outside]
    kept = frame[frame["side"].isin(SIDES) & ~ambiguous & ~copies & ~outside]
    counts = _counts(kept, labels)
    _all_filled(counts, settings)
    report = _report(kept, counts) | {
        "dropped": {"ambiguous_from_train": int(ambiguous.sum()), "exact_copies": int(copies.sum())},
        "weak": {"in_train": int((weak & ~ambiguous & ~copies).sum()), "left_out": int(unused.sum())},
        "near_duplicates": near_duplicates(kept, settings),
        "reserved": len(reserved),
    }
    if len(strange):
        report["out_of_scope"] = {side: int((strange["side"] == side).sum()) for side in PLACES}
    _write(out, kept, reserved, strange, report)


def by_time(line: Line, settings: SplitSettings, out: Path) -> None:
    """Deal the rows of each group out by their time, ties by id: the latest judge (tasks.timed).

    Reads and writes what `by_text` does; there is no reserve, and no row is out of scope. A text may stand on several
    sides. Raises DataError where a row has no time, or a side is empty.
    """
    from tasks import timed
    from tasks.core.files import read_parquet

    frame = read_parquet(line.file("label", "labeled.parquet")).sort_values("id", kind="stable", ignore_index=True)
    labels: list[str] = read_json(line.file("label", "labels.json"))
    frame["side"] = timed.sides(frame, settings.validation, settings.test, settings.group_min)
    counts = _counts(frame, labels)
    if empty := [side for side in SIDES if not counts.loc[side].any()]:
        raise DataError(
            f"{', '.join(empty)} is empty: {len(frame)} rows of {frame['group'].nunique()} groups were dealt out by "
            f"time, and a group needs {settings.group_min} rows to have any but train's. Map the column that says "
            "whose row it is as `group`, bring more rows, or lower split.group_min."
        )
    _write(out, frame, frame[:0], frame[:0], _sides(frame, counts) | timed.told(frame, settings.test))


def _write(out: Path, kept: Any, reserved: Any, strange: Any, report: dict[str, Any]) -> None:
    """The files that a split owes."""
    import pyarrow as pa

    from tasks.rows import LABELED
    from tasks.scope import FILE as OUT_OF_SCOPE

    parts = {side: kept[kept["side"] == side] for side in SIDES} | {RESERVE: reserved}
    for name, part in parts.items():
        write_parquet(out / f"{name}.parquet", part[LABELED.names], LABELED)
    schema = LABELED.append(pa.field("side", pa.string()))
    write_parquet(out / OUT_OF_SCOPE, strange[schema.names], schema)
    write_json(out / "report.json", report)
    log.info("%s", ", ".join(f"{name} {len(part)}" for name, part in parts.items()))


def side_of(keys: "pd.Series[str]", settings: SplitSettings) -> "NDArray[np.object_]":
    """The place of each split_key: its first 64 bits as a uniform number in [0, 1) against the shares added up.

    Raises DataError for a key that does not start with 16 hex digits.
    """
    import numpy as np

    wrong = int((~keys.str.fullmatch("[0-9a-f]{16,}")).sum())
    if wrong:
        raise DataError(f"{wrong} rows have a split_key that is no hash of 16 hex digits or more. Run ingest again.")
    bits = np.frombuffer(bytes.fromhex("".join(keys.str[:16])), dtype=">u8")
    ends = np.cumsum([getattr(settings, place) for place in PLACES[:-1]])
    return np.array(PLACES, dtype=object)[np.searchsorted(ends, bits / 2.0**64, side="right")]


def _weak(frame: "pd.DataFrame", settings: SplitSettings) -> "pd.Series[bool]":
    """Rows whose labels may teach and not judge."""
    by_functions = (frame["decided_by"] == "functions") & (not settings.functions_judge)
    result: pd.Series[bool] = by_functions | frame["source"].isin(settings.train_only_sources)
    return result


def _outdated(frame: "pd.DataFrame") -> "pd.Series[bool]":
    """Rows of whose id there is a newer one."""
    newest = frame.sort_values("created_at", kind="stable", na_position="first").duplicated("id", keep="last")
    result: pd.Series[bool] = newest.reindex(frame.index)
    return result


def near_duplicates(frame: "pd.DataFrame", settings: SplitSettings) -> dict[str, Any]:
    """Pairs of similar texts on different sides (tasks.similar).

    `frame` has id, text and side. A text that occurs more than once on a side counts there once. The report names ids
    alone, and says how many rows were looked at.
    """
    looked = drawn(frame, settings)
    texts = looked.assign(text=looked["text"].map(plain)).drop_duplicates(["side", "text"])
    settings = settings.model_copy(update={"ngram": gram_size(texts["text"].tolist(), settings)})
    pairs = [pair for sides in combinations(SIDES, 2) for pair in _across(texts, sides, settings)]
    return {
        "threshold": settings.near_duplicates,
        "edit_similarity": settings.edit_similarity,
        "ngram": settings.ngram,
        "rows_looked_at": len(looked),
        "sampled": len(looked) < len(frame),
        "pairs": len(pairs),
        "rows": {side: len({pair[side] for pair in pairs if side in pair}) for side in SIDES},
        "examples": sorted(sorted(pair.values()) for pair in pairs)[:20],
    }


def _across(texts: "pd.DataFrame", sides: tuple[str, str], settings: SplitSettings) -> list[dict[str, str]]:
    """Each near-duplicate of two sides as {side: id}."""
    one, other = (texts[texts["side"] == side] for side in sides)
    ids = one["id"].tolist(), other["id"].tolist()
    found = near_pairs(one["text"].tolist(), other["text"].tolist(), settings)
    return [dict(zip(sides, (str(ids[0][a]), str(ids[1][b])), strict=True)) for a, b, _ in found]


def _shadowed(frame: "pd.DataFrame", base: "pd.Series[bool]") -> "pd.Series[bool]":
    """Rows whose very text stands on a later side too: reserve, train, validation, test, then the rows of `base`."""
    rank = frame["side"].map({side: n for n, side in enumerate((RESERVE, *SIDES))}).mask(base, len(SIDES) + 1)
    latest = rank.groupby(frame["text"]).transform("max")
    result: pd.Series[bool] = rank < latest
    return result


def _counts(frame: "pd.DataFrame", labels: list[str]) -> "pd.DataFrame":
    """Rows per side (index) and label (columns)."""
    import pandas as pd

    return pd.crosstab(frame["side"], frame["label"]).reindex(index=list(SIDES), columns=labels, fill_value=0)


def _all_filled(counts: "pd.DataFrame", settings: SplitSettings) -> None:
    problems = []
    for side in SIDES:
        absent = [str(label) for label in counts.columns if not counts.loc[side, label]]
        if len(absent) == counts.shape[1]:
            problems.append(f"{side} is empty")
        elif absent and side in settings.complete_sides:
            problems.append(f"{side} has no row of {', '.join(absent)}")
    if problems:
        shares = ", ".join(f"{place} {getattr(settings, place):g}" for place in PLACES)
        raise DataError(
            f"{'; '.join(problems)}. There are {int(counts.to_numpy().sum())} rows; the shares are {shares}. "
            "Bring more rows of these labels, raise the share of the side in split, or merge rare labels by "
            "label.rename; another text.split_salt redraws all sides. Rows of train_only_sources and "
            "those that labelling functions decided count in train alone: the others need labels by people."
        )


def _report(frame: "pd.DataFrame", counts: "pd.DataFrame") -> dict[str, Any]:
    from scipy.stats import chi2_contingency

    across = frame.groupby("split_key")["side"].nunique()
    texts = frame.groupby("text")["side"].nunique()
    return _sides(frame, counts) | {
        "chi_square_p": float(chi2_contingency(counts.to_numpy()).pvalue),
        "exact_duplicates_across_sides": int((across > 1).sum() + (texts > 1).sum()),
    }


def _sides(frame: "pd.DataFrame", counts: "pd.DataFrame") -> dict[str, Any]:
    """How many rows of which label each side has."""
    labels, rows = [str(label) for label in counts.columns], counts.sum(axis=1)
    return {
        "rows": len(frame),
        "sides": {
            side: {
                "rows": int(rows[side]),
                "share": float(rows[side] / rows.sum()),
                "labels": {k: int(v) for k, v in zip(labels, counts.loc[side], strict=True)},
                "label_shares": {k: float(v / rows[side]) for k, v in zip(labels, counts.loc[side], strict=True)},
                "ambiguous": int(frame.loc[frame["side"] == side, "ambiguous"].sum()),
            }
            for side in SIDES
        },
    }


__all__ = ["PLACES", "RESERVE", "SIDES", "SplitSettings", "near_duplicates", "side_of", "split"]

if __name__ == "__main__":
    run_stage(split)
