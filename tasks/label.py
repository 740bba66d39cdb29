"""The label of each row: from single human ratings, from several people's votes, or from a label column."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from tasks import verdict
from tasks.core.errors import DataError
from tasks.core.files import write_json, write_parquet
from tasks.core.line import Line
from tasks.core.settings import Settings
from tasks.core.stage import run_stage
from tasks.crowd.settings import VoteSettings
from tasks.weak.settings import FunctionSettings

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from tasks.ratings import Ratings

log = logging.getLogger("tidegate")

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class LabelSettings(Settings, block="label"):
    """How a row gets its label."""

    by: Literal["ratings", "column", "votes"] = Field(
        "ratings",
        description="single ratings (where a row has none, its label column), or the label column, or people's votes; "
        "rows with votes are decided by them whatever this says",
    )
    labels: list[str] = Field(
        [],
        description="all labels in the order of the model's outputs; by ratings: the one below neutral first; "
        "null: all that the data have, sorted",
    )
    scale: tuple[float, float] = Field((-4, 4), description="lowest and highest possible rating")
    neutral: float = Field(
        0, description="a mean exactly here decides nothing; below it the first label, above the second"
    )
    ambiguous_below: float = Field(0.5, ge=0, description="rows whose mean is nearer to neutral are flagged ambiguous")
    out_of_scope: str | None = Field(
        None,
        min_length=1,
        description="what rows that have none of the labels bring as theirs: no model learns it, and evaluate.scope "
        "fits and judges by them what is answered to such texts; null: there are none",
    )
    rename: dict[str, str] = Field(
        {}, description="by column or votes: what the source writes -> the label that is meant"
    )
    votes: VoteSettings = Field(VoteSettings(), description="how votes become a label")
    bootstrap_samples: int = Field(1000, ge=100, description="resamplings behind the intervals of agreement")
    seed: int = Field(0, ge=0, description="seed of the bootstrap")
    functions: FunctionSettings | None = Field(
        None, description="lets the functions of data/<line>/labelling/ label what people left without a label"
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _null(cls, given: Any) -> Any:
        return [] if given is None else given

    @model_validator(mode="after")
    def _fits(self) -> "LabelSettings":
        problems = []
        if len(set(self.labels)) < len(self.labels):
            problems.append("labels must differ from each other")
        if self.out_of_scope in self.labels:
            problems.append(f"out_of_scope is {self.out_of_scope}, which is one of labels; it must be none of them")
        if len(self.labels) == 1:
            problems.append("labels needs two or more, or null for all that the data have")
        if self.by == "ratings" and len(self.labels) != 2:
            problems.append("by: ratings takes exactly two labels, the one below neutral first")
        if not self.scale[0] < self.neutral < self.scale[1]:
            problems.append("neutral must lie inside scale, and scale is [lowest, highest]")
        if self.by == "ratings" and self.rename:
            problems.append("rename belongs to by: column and by: votes")
        if self.labels and (unknown := sorted(set(self.rename.values()) - self.allowed)):
            problems.append(f"rename leads to {', '.join(unknown)}, which labels does not hold")
        if self.functions and self.functions.shares and set(self.functions.shares) != set(self.labels):
            problems.append("functions.shares needs a share for each label and no other")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def allowed(self) -> set[str]:
        """What a label column may hold."""
        return {*self.labels} | ({self.out_of_scope} if self.out_of_scope else set())


def label(line: Line, settings: LabelSettings, out: Path) -> None:
    """Decide each row's label.

    Reads validate/rows.parquet, validate/verdict.json and, where `functions` is set, data/<line>/labelling/*.py; writes
    labeled.parquet (tasks.rows.LABELED, by id), labels.json (the labels in the order of the model's outputs) and
    report.json. Rows that nothing decides (no ratings, a mean of exactly neutral, no label, too few votes) are left out
    and counted; those out of scope stay, under a label that is not in labels.json. Rows with votes are decided by
    these, or by an adjudicator where they have a label as well; the others as `by` says, and by their ratings or their
    label where that is votes; what people left without a label, by functions. Raises RejectedError when validate
    rejected the batch, DataError for ratings off the scale, labels outside the set, labels without a row, fewer
    than two labels, and labelling functions that fail.
    """
    import pyarrow.parquet as pq

    from tasks.rows import LABELED
    from tasks.weak.apply import fill

    verdict.require(line.file("validate", "verdict.json"))
    table = pq.read_table(line.file("validate", "rows.parquet")).sort_by("id")
    settings, named = _named(table, settings), settings.labels
    frame, report = _decided(table, settings)
    if (told := fill(line, frame, settings.labels, settings.functions)) is not None:
        report["functions"] = told
    kept = frame[frame["label"].notna()]
    settings = settings.model_copy(update={"labels": named or sorted(set(kept["label"]) - {settings.out_of_scope})})
    strange = ~kept["label"].isin(settings.labels)
    _all_present(kept["label"], settings)
    write_parquet(out / "labeled.parquet", kept[LABELED.names], LABELED)
    write_json(out / "labels.json", settings.labels)
    if settings.out_of_scope:
        report["out_of_scope"] = int(strange.sum())
    counted = {"by": settings.by, "rows": table.num_rows} | _counts(kept[~strange], settings)
    write_json(out / "report.json", counted | report)
    log.info("%d of %d rows labeled, %d left out", len(kept), table.num_rows, table.num_rows - len(kept))


def _named(table: "pa.Table", settings: LabelSettings) -> LabelSettings:
    """The settings with labels: where they name none, all that rows and votes have, sorted."""
    if settings.labels:
        return settings
    said = [
        *table["label"].to_pylist(),
        *(vote["label"] for votes in table["votes"].to_pylist() for vote in votes or ()),
    ]
    found = {settings.rename.get(label, label) for label in said if label is not None}
    return settings.model_copy(update={"labels": sorted(found - {settings.out_of_scope})})


def _decided(table: "pa.Table", settings: LabelSettings) -> tuple["pd.DataFrame", dict[str, Any]]:
    """Every row with the columns of LABELED, `label` null where nothing decides, and what the report says of it."""
    import pandas as pd
    import pyarrow.compute as pc

    by_ratings = settings.by == "ratings" or (settings.by == "votes" and len(settings.labels) == 2)
    voted = pc.is_valid(table["votes"])
    frame, report = (_by_ratings if by_ratings else _by_column)(table.filter(pc.invert(voted)), settings)
    frame["soft"] = None
    if settings.by != "votes" and not pc.any(voted).as_py():
        return frame, report
    more, told = _by_votes(table.filter(voted), settings)
    if settings.by == "votes":
        report["krippendorff_alpha"] = told["krippendorff_alpha"]
    report["left_out"] |= told.pop("left_out")
    both = pd.concat([part for part in (frame, more) if len(part)] or [frame])
    return both.sort_values("id", kind="stable", ignore_index=True), report | {"votes": told}


def _by_votes(table: "pa.Table", settings: LabelSettings) -> tuple["pd.DataFrame", dict[str, Any]]:
    """The same of rows with votes."""
    import pandas as pd

    from tasks.crowd import decide

    frame = table.drop_columns(["ratings", "votes"]).to_pandas()
    frame["label"] = frame["label"].replace(settings.rename)
    _known(frame["label"], settings)
    votes = decide.read(frame["id"].tolist(), table["votes"].to_pylist(), settings.labels, settings.rename)
    given = [None if pd.isna(label) else label for label in frame["label"]]
    columns, told = decide.decide(votes, given, settings.votes, settings.seed)
    told |= decide.agreed(votes, settings.bootstrap_samples, settings.seed)
    return frame.assign(**columns, rating_mean=float("nan")), told


def _by_ratings(table: "pa.Table", settings: LabelSettings) -> tuple["pd.DataFrame", dict[str, Any]]:
    """Every row with the columns of LABELED, `label` null where nothing decides, and what the report says of it.

    Rows of another source may bring a label and no ratings, as feedback on live traffic does: that label counts.
    """
    import numpy as np

    from tasks.ratings import Ratings

    ratings = Ratings.of(table["ratings"])
    _on_scale(ratings, settings)
    frame = table.drop_columns(["ratings", "votes"]).to_pandas()
    frame["label"] = frame["label"].replace(settings.rename)
    given = (ratings.count == 0) & frame["label"].notna().to_numpy()
    _known(frame.loc[given, "label"], settings)
    side = np.sign(ratings.mean - settings.neutral)
    below, above = settings.labels
    decided = np.array([below, None, above], dtype=object)[np.nan_to_num(side).astype(int) + 1]
    frame["label"] = np.where(given, frame["label"], decided)
    frame["decided_by"] = np.where(given, "column", "ratings")
    frame["rating_mean"] = ratings.mean
    frame["agreement"] = ratings.agreement(*settings.scale)
    frame["confidence"] = ratings.confidence(settings.neutral)
    frame["ambiguous"] = np.abs(ratings.mean - settings.neutral) < settings.ambiguous_below
    absent = (ratings.count == 0) & ~given
    report = {
        "left_out": {"mean_is_neutral": int((side == 0).sum()), "no_ratings": int(absent.sum())},
        "krippendorff_alpha": ratings.alpha(settings.bootstrap_samples, settings.seed),
        "agreement": _quantiles(frame["agreement"]),
        "confidence": _quantiles(frame["confidence"]),
    }
    return frame, report


def _by_column(table: "pa.Table", settings: LabelSettings) -> tuple["pd.DataFrame", dict[str, Any]]:
    """The same from the label column."""
    import numpy as np

    from tasks.ratings import Ratings

    frame = table.drop_columns(["ratings", "votes"]).to_pandas()
    frame["label"] = frame["label"].replace(settings.rename)
    _known(frame["label"], settings)
    frame["decided_by"] = "column"
    frame["rating_mean"] = Ratings.of(table["ratings"]).mean
    frame[["agreement", "confidence"]] = np.nan
    frame["ambiguous"] = False
    return frame, {"left_out": {"no_label": int(frame["label"].isna().sum())}, "krippendorff_alpha": None}


def _known(labels: "pd.Series[str]", settings: LabelSettings) -> None:
    unknown = labels[~labels.isin(settings.allowed) & labels.notna()].value_counts()
    if len(unknown):
        found = ", ".join(f"{str(name)[:40]!r} ({rows})" for name, rows in unknown.head(20).items())
        raise DataError(
            f"{int(unknown.sum())} rows have a label outside the set: {found}{', ...' if len(unknown) > 20 else ''}. "
            f"Allowed are {', '.join(settings.labels)}. Add them to label.labels, map them by label.rename, or let "
            "expectations.yaml quarantine them (expect_column_values_to_be_in_set)."
        )


def _on_scale(ratings: "Ratings", settings: LabelSettings) -> None:
    low, high = settings.scale
    off = int(((ratings.low < low) | (ratings.high > high)).sum())
    if off:
        raise DataError(
            f"{off} rows have a rating outside the scale {low:g} to {high:g}. Correct label.scale, or let "
            "expectations.yaml quarantine them (columns ratings_min and ratings_max)."
        )


def _all_present(labels: "pd.Series[str]", settings: LabelSettings) -> None:
    rows = labels.value_counts()
    absent = [name for name in settings.labels if name not in rows.index]
    if len(settings.labels) < 2:
        raise DataError(f"The data have {len(settings.labels)} labels and a model needs two: bring rows of another.")
    if absent:
        seen = ", ".join(f"{name} ({rows[name]})" for name in settings.labels if name in rows.index) or "none at all"
        raise DataError(
            f"No row has the label {', '.join(absent)}; there are {seen}. A model needs rows of every label: "
            "bring data that has them, or take the label out of label.labels (two must stay)."
        )


def _counts(kept: "pd.DataFrame", settings: LabelSettings) -> dict[str, Any]:
    by_source = kept.groupby(["source", "label"]).size().unstack(fill_value=0)
    by_source = by_source.reindex(columns=settings.labels, fill_value=0)
    rows = kept["label"].value_counts()
    kinds = kept.groupby("split_key")["label"].nunique()
    return {
        "labeled": len(kept),
        "labels": {name: {"rows": int(rows[name]), "share": float(rows[name] / len(kept))} for name in settings.labels},
        "sources": {str(source): {k: int(v) for k, v in line.items()} for source, line in by_source.iterrows()},
        "ambiguous": {"rows": int(kept["ambiguous"].sum()), "share": float(kept["ambiguous"].mean())},
        "copies_with_different_labels": int((kinds > 1).sum()),
    }


def _quantiles(values: "pd.Series[float]") -> dict[str, float] | None:
    known = values.dropna()
    if known.empty:
        return None
    quantiles = known.quantile(list(QUANTILES))
    return {"mean": float(known.mean())} | {
        f"p{round(100 * float(q)):02d}": float(v) for q, v in zip(QUANTILES, quantiles, strict=True)
    }


if __name__ == "__main__":
    run_stage(label)
