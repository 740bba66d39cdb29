"""The block `products.<product>` of params.yaml: feeds, entities, index and rules of one opinion monitor."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tasks.core.settings import Settings
from tasks.opinion.entities import shared
from tasks.sources import Source
from tasks.text import TextSettings

Share = Annotated[float, Field(gt=0, lt=1)]
Word = Annotated[str, Field(min_length=2, max_length=100, pattern=r"\S")]


class EntitySettings(Settings):
    """A company, a person, a product; its key is its name and is looked for as well."""

    aliases: tuple[Word, ...] = Field((), description="other names, told apart from other words, not by their case")
    tickers: tuple[Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9.-]{0,11}$")], ...] = Field(
        (), description="as exchanges write them: found as $NOK, (NOK) or HEL:NOK, and bare from 3 signs on"
    )
    bare_tickers: bool = Field(
        True, description="false: a ticker that is a word as well, such as ALL, counts marked alone"
    )


class IndexSettings(Settings):
    """How the opinion index is drawn from scores."""

    values: dict[str, Annotated[float, Field(ge=-1, le=1)]] = Field(
        {"negative": -1, "neutral": 0, "positive": 1}, description="what each label of the sentiment line is worth"
    )
    negative: str = Field("negative", description="the label that alarms are about")
    half_life_days: float = Field(3, gt=0, description="a headline that is so much older weighs half")
    confidence: Share = Field(0.95, description="of the index's interval")
    copies_hours: float = Field(48, ge=0, description="the same text within that time is one headline, sent on")


class DetectorSettings(Settings):
    """When a change is more than chance."""

    false_alarms_per_month: float = Field(
        1, gt=0, le=30, description="of all entities and rules together while nothing changes, 30 days a month"
    )
    baseline_days: int = Field(60, ge=7, le=730, description="what is usual is told by these days")
    gap_days: int = Field(
        2, ge=0, le=60, description="before today that are left out of them, so that news is not usual"
    )
    least_headlines: int = Field(30, ge=5, description="fewer in these days tell nothing: the entity is not judged yet")
    odds: float = Field(
        3, gt=1, description="the change that is to be found soonest: negatives so many times as likely"
    )


class DropRule(Settings):
    """More negatives than usual, by a change detector, and an index below what it was."""

    least: float = Field(0.1, ge=0, le=2, description="that the index stands below the baseline's mean score")


class BurstRule(Settings):
    """More headlines in a day than chance explains."""

    times: float = Field(3, gt=1, description="as many as usual, at least")
    least: int = Field(8, ge=2, description="headlines, at least")


class RunRule(Settings):
    """Negative headlines one after the other."""

    least: int = Field(5, ge=2, description="in a row, and more where so many come by chance")


class WordsRule(Settings):
    """Words that are a risk whatever is usual."""

    words: tuple[Word, ...] = Field(min_length=1, description="whole words and phrases, whatever their case")
    least: int = Field(2, ge=1, description="headlines with one of them within `hours`")
    hours: float = Field(24, gt=0)
    negative_only: bool = Field(True, description="count those alone that are judged negative")


class RuleSettings(Settings):
    """What raises an alert; null switches a rule off."""

    index_drop: DropRule | None = DropRule()
    volume_burst: BurstRule | None = BurstRule()
    negative_run: RunRule | None = RunRule()
    risk_words: WordsRule | None = None
    hold_days: float = Field(7, gt=0, description="what a rule finds of an entity so soon again is the same cause")
    headlines: int = Field(5, ge=1, le=20, description="that an alert names")

    def by_chance(self) -> int:
        """How many rules rest on chance and share the false alarms."""
        return sum(rule is not None for rule in (self.index_drop, self.volume_burst, self.negative_run))


class OpinionSettings(Settings):
    """A product that watches what is said: lines that score, feeds, entities, index, rules."""

    kind: Literal["opinion"] = "opinion"
    title: str = ""
    sentiment: str = Field(description="the line that tells negative from positive")
    topic: str | None = Field(None, description="the line that tells what it is about; null: none")
    variant: str | None = Field("int8", description="of the releases; null: the one that is fastest here")
    text: TextSettings = TextSettings()
    feeds: list[Source] = Field(min_length=1, description="where headlines come from: sources, of any kind")
    languages: tuple[str, ...] = Field(
        (), description="ISO 639-1 codes of those that the lines know; headlines in others are left out. None: all"
    )
    entities: dict[Word, EntitySettings] = Field(min_length=1, description="whom it is about")
    index: IndexSettings = IndexSettings()
    detector: DetectorSettings = DetectorSettings()
    rules: RuleSettings = RuleSettings()

    @field_validator("feeds")
    @classmethod
    def _names_differ(cls, feeds: list[Source]) -> list[Source]:
        names = [feed.name for feed in feeds]
        if len(set(names)) < len(names):
            raise ValueError(f"each feed needs a name of its own, given were {', '.join(names)}")
        return feeds

    @model_validator(mode="after")
    def _tells_entities_apart(self) -> "OpinionSettings":
        if twice := shared(self.entities):
            said = "; ".join(f"{name!r} ({' and '.join(owners)})" for name, owners in twice.items())
            raise ValueError(f"a name or ticker belongs to one entity, and these to more: {said}")
        if self.index.negative not in self.index.values:
            raise ValueError(f"index.negative is {self.index.negative!r}, of which index.values says no worth")
        return self

    @property
    def needed(self) -> dict[str, str]:
        """The lines that it asks, and the kind that each must be of."""
        return {self.sentiment: "classify", **({self.topic: "classify"} if self.topic else {})}
