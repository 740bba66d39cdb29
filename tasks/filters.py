"""Row filters: rows that are sound and yet not wanted. Each is a setting, off unless set; none touches a row's side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from tasks import duplicates, languages
from tasks.core.settings import Settings
from tasks.similar import NearSettings

if TYPE_CHECKING:
    import pyarrow as pa


class NearCopies(NearSettings):
    """What counts as a near-copy. Beyond `max_rows` rows the later ones are not looked at, and the verdict says so."""

    max_rows: int = Field(1_000_000, ge=1, description="rows that are compared; each takes 1 KB and 0.7 ms")


class FilterSettings(Settings):
    """Which rows are left out of the line. They are kept in filtered.parquet, each with its reason."""

    languages: tuple[str, ...] = Field(
        (), description="codes such as en, zh; rows in others leave. Empty: any language"
    )
    language_certainty: float = Field(
        0.8, ge=0, le=1, description="a row leaves only where the model is as sure as this of another language"
    )
    min_characters: int = Field(0, ge=0, description="shorter texts leave")
    max_characters: int | None = Field(None, ge=1, description="longer texts leave")
    exact_copies: bool = Field(False, description="of texts that differ in case, white space and width alone one stays")
    near_copies: NearCopies | None = Field(None, description="of texts that are near-copies one stays; {} for defaults")
    max_share: float = Field(0.5, ge=0, le=1, description="reject when the filters take a larger share of rows")

    @model_validator(mode="after")
    def _in_order(self) -> "FilterSettings":
        if self.max_characters is not None and self.max_characters < self.min_characters:
            raise ValueError(
                f"max_characters ({self.max_characters}) must not be below min_characters ({self.min_characters})"
            )
        return self

    @property
    def steps(self) -> list["Step"]:
        """The filters that are set, in the order in which they are applied."""
        by_length = self.min_characters > 0 or self.max_characters is not None
        wanted = [
            (bool(self.languages), Step("language", _other_language)),
            (by_length, Step("length", _other_length)),
            (self.exact_copies, Step("exact copies", _exact_copies)),
            (self.near_copies is not None, Step("near copies", _near_copies)),
        ]
        return [step for is_set, step in wanted if is_set]


@dataclass(frozen=True)
class Step:
    """A filter: from the rows that are left to the reasons of those that leave, by their place among them."""

    name: str
    reasons: Callable[["Rows", FilterSettings], dict[int, str]]


@dataclass(frozen=True)
class Rows:
    """What filters see of rows, in the order in which rows have a first claim to stay."""

    ids: list[str]
    texts: list[str]


@dataclass
class Filtered:
    """What the filters came to: the reason of each row that leaves, by its position in the table, and counts."""

    reasons: dict[int, str] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)  # by step: rows, looked_at, left_out

    def told(self, rows: int) -> dict[str, Any]:
        """For the verdict's details: counts alone, no text."""
        return {"rows": rows, "left_out": len(self.reasons), "steps": self.counts}


def apply(table: "pa.Table", settings: FilterSettings) -> Filtered:
    """Apply the filters that are set to a table (tasks.rows.RAW), one after the other.

    Of copies that row stays which has a label or ratings, before one that has none; then the older one by created_at,
    then the one with the smaller id. So more data later does not turn a row that stays out, unless it is older.
    """
    found = Filtered()
    steps = settings.steps
    if not steps:
        return found
    order = _claims(table)
    ids, texts = table["id"].to_pylist(), table["text"].to_pylist()
    for step in steps:
        places = [place for place in order if place not in found.reasons]
        rows = Rows([str(ids[place]) for place in places], [texts[place] or "" for place in places])
        reasons = step.reasons(rows, settings)
        found.reasons |= {places[n]: reason for n, reason in reasons.items()}
        found.counts[step.name] = {
            "rows": len(places),
            "looked_at": _looked_at(step, len(places), settings),
            "left_out": len(reasons),
        }
    return found


def _claims(table: "pa.Table") -> Sequence[int]:
    """Positions of rows, those with the first claim to stay first."""
    import pandas as pd

    frame = table.select(["label", "ratings", "created_at", "id"]).to_pandas()
    frame["bare"] = frame["label"].isna() & frame["ratings"].isna()
    frame["created_at"] = pd.to_datetime(frame["created_at"], utc=True)
    places: list[int] = frame.sort_values(["bare", "created_at", "id"], kind="stable").index.tolist()
    return places


def _looked_at(step: Step, rows: int, settings: FilterSettings) -> int:
    near = settings.near_copies
    return min(rows, near.max_rows) if step.name == "near copies" and near else rows


def _other_language(rows: Rows, settings: FilterSettings) -> dict[int, str]:
    found = languages.detect(rows.texts)
    return {
        place: f"language: {language.code} ({language.certainty:.2f})"
        for place, language in enumerate(found)
        if language.code not in (*settings.languages, languages.UNKNOWN)
        and language.certainty >= settings.language_certainty
    }


def _other_length(rows: Rows, settings: FilterSettings) -> dict[int, str]:
    most = settings.max_characters
    sizes = enumerate(map(len, rows.texts))
    return {
        place: f"length: {size} characters"
        for place, size in sizes
        if size < settings.min_characters or (most is not None and size > most)
    }


def _exact_copies(rows: Rows, _: FilterSettings) -> dict[int, str]:
    return {place: f"exact copy of {rows.ids[stays]}" for place, stays in duplicates.exact(rows.texts).items()}


def _near_copies(rows: Rows, settings: FilterSettings) -> dict[int, str]:
    near = settings.near_copies or NearCopies()
    found = duplicates.near(rows.texts[: near.max_rows], near)
    return {place: f"near copy of {rows.ids[stays]}" for place, stays in found.items()}
