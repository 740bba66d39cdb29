"""What a comparison of challenger and champion says: its settings, its record, its rules and its sentence."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.core.settings import Settings
from tasks.paired import Outcome

SCHEMA = 1
PASSING = ("better", "not worse")
METRICS = {
    "accuracy": "accuracy",
    "f1_macro": "macro F1",
    "precision_macro": "macro precision",
    "recall_macro": "macro recall",
    "ndcg_at_10": "NDCG@10",
    "recall_at_10": "recall@10",
    "hit_at_10": "share of users whose list has an item they like",
}
"""What can be compared, with its name for people."""


class CompareSettings(Settings, block="compare"):
    """How a challenger is held against the champion."""

    margin: float = Field(0.02, ge=0, lt=1, description="a loss up to this is borne: such a challenger is `not worse`")
    confidence: float = Field(0.90, gt=0.5, lt=1, description="of the two-sided intervals of the difference")
    metrics: tuple[str, ...] = Field(("accuracy", "f1_macro"), description="what is compared")
    decide_by: str = Field("accuracy", description="the one of `metrics` whose outcome counts")
    draws: int = Field(2000, ge=200, le=100_000, description="resamples of the bootstrap behind all but accuracy")
    seed: int = Field(0, ge=0, description="seed of the bootstrap")
    variants: tuple[Literal["int8", "fp32"], ...] = Field(
        ("int8", "fp32"), min_length=1, description="of each release the first of these that it has is compared"
    )
    old_sources: Literal["better", "not worse"] = Field(
        "not worse", description="asked of rows from sources that the champion knows, once there are new sources"
    )
    new_sources: Literal["better", "not worse"] = Field("better", description="asked of rows from new sources")
    max_proposals: int = Field(20, ge=1, description="challengers on one test set beyond which a warning is given")

    @model_validator(mode="after")
    def _fits(self) -> "CompareSettings":
        if unknown := sorted(set(self.metrics) - set(METRICS)):
            raise ValueError(f"metrics can be {', '.join(METRICS)}; there is no {', '.join(unknown)}")
        if self.decide_by not in self.metrics:
            raise ValueError(f"decide_by must be one of metrics, which are {', '.join(self.metrics) or 'none'}")
        return self


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Side(_Record):
    """A release as it was compared."""

    id: str
    variant: str


class Difference(_Record):
    """One metric of both models on the same rows; differences are challenger less champion."""

    metric: str
    rows: int
    challenger: float
    champion: float
    difference: float
    low: float
    high: float
    outcome: Outcome
    rows_needed: int | None = None
    """Rows in all that would decide, where the outcome is undecided and there is such a number."""


class Part(_Record):
    """The deciding metric on a part of the rows: `by` source, `name` letters."""

    by: str
    name: str
    found: Difference


class Counts(_Record):
    """Rows by who gets them right."""

    both: int
    challenger: int
    champion: int
    neither: int


class Comparison(_Record):
    """comparison.json."""

    schema_version: int = SCHEMA
    code: str
    """Names the program that computed it: another one computes it again."""
    line: str
    challenger: Side
    champion: Side
    settings: CompareSettings
    test_set: str
    """Names the challenger's test split by its split keys."""
    test_rows: int
    excluded: dict[str, int]
    """Rows of it that a model has seen, by whose and which side they stand in: `champion train`."""
    proposals: int
    """Challengers compared on this test set, this one included, when this was computed."""
    differences: list[Difference]
    mcnemar_p: float
    counts: Counts
    sources: list[Part]
    """`old` and `new` sources, where there are new ones."""
    slices: list[Part]
    outcome: Outcome
    accepted: bool
    """Whether outcome and policy let the challenger take the champion's place."""
    objections: list[str]
    warnings: list[str]
    sentence: str

    @property
    def deciding(self) -> Difference:
        """The difference whose outcome counts."""
        return next(found for found in self.differences if found.metric == self.settings.decide_by)

    @property
    def rows(self) -> int:
        """Rows that were compared."""
        return self.deciding.rows


def objections(overall: Difference, sources: Sequence[Part], settings: CompareSettings) -> list[str]:
    """Why the challenger may not take the champion's place, a sentence each; none where it may.

    Over all rows it must be `better` or `not worse`, and where there are new sources each group what params ask of it.
    """
    said = [] if overall.outcome in PASSING else [f"Over all rows the challenger is {overall.outcome}."]
    asked = {"old": settings.old_sources, "new": settings.new_sources}
    for part in sources:
        wanted = asked[part.name]
        if part.found.outcome not in ("better", wanted):
            said.append(
                f"On {part.found.rows:,} rows of {part.name} sources it must be {wanted} and is {part.found.outcome}"
                f"{_would_decide(part.found)}."
            )
    return said


def sentence(found: Difference, same: bool = False) -> str:
    """The outcome in words for people who know neither intervals nor tests."""
    where = f"on {found.rows:,} rows that neither model has seen"
    if same:
        return f"Challenger and champion are the same release: there is nothing to tell apart {where}."
    points = _points(found.difference)
    if found.metric == "accuracy":
        kind, said = ("more", "less"), f"gets {points} points {_way(found.difference, 'more', 'less')} right"
        said = said if points != "0.0" else "gets as many right"
    else:
        name, kind = METRICS[found.metric], ("higher", "lower")
        said = f"has {'an' if name.startswith('N') else 'a'} {name} {points} points {_way(found.difference, *kind)}"
        said = said if points != "0.0" else f"has the same {name}"
    return (
        f"The challenger {said} ({_span(found.low, found.high, kind)}) {where}: {found.outcome}{_would_decide(found)}."
    )


def _points(share: float) -> str:
    return f"{abs(100 * share):.1f}"


def _way(share: float, up: str, down: str) -> str:
    return up if share >= 0 else down


def _span(low: float, high: float, kind: tuple[str, str]) -> str:
    """An interval without signs: `0.3 to 2.1`, or `from 0.4 points less to 1.1 more` where it holds zero."""
    if low >= 0:
        return f"{_points(low)} to {_points(high)}"
    if high <= 0:
        return f"{_points(high)} to {_points(low)}"
    return f"from {_points(low)} points {kind[1]} to {_points(high)} {kind[0]}"


def _would_decide(found: Difference) -> str:
    if found.outcome != "undecided":
        return ""
    if found.rows_needed is None:
        return "; it lies too near the margin for more rows to decide"
    step = 10 ** max(0, math.floor(math.log10(found.rows_needed)) - 1)
    return f"; some {math.ceil(found.rows_needed / step) * step:,} rows would decide"


def rounded(content: Any) -> Any:
    """Numbers to six decimals: the digits beyond differ between processors and mean nothing."""
    if isinstance(content, dict):
        return {key: rounded(value) for key, value in content.items()}
    if isinstance(content, list):
        return [rounded(value) for value in content]
    return round(content, 6) if isinstance(content, float) else content
