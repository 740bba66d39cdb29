"""What is asked and what people said: items of the queue, and events that are only ever added."""

import hashlib
import uuid
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from tasks.team import Team

Kind = Literal["answer", "skip", "flag", "comment", "undo", "decide", "discard"]
"""answer, skip, flag: an annotator's word on an item. decide, discard: an adjudicator's.

undo takes an own event back.
"""
DECISIONS: tuple[Kind, ...] = ("decide", "discard")
"""An adjudicator gave a label, or said that the text is fit for none."""
Why = Literal["typical", "uncertain", "unfamiliar", "random", "suspect", "given"]
"""Why an item is asked: typical of many texts, among those of which the champion is unsure, far from all that it knows,
drawn by lot, a likely label error; or it was given as it is."""

COMMENT = 2_000  # characters
LONGEST = 3_600.0
"""Seconds after which nobody is thought to have looked at the text any more."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\r\n\x00]+$")]

Moment = Annotated[AwareDatetime, AfterValidator(lambda time: time.astimezone(UTC))]
"""A time with its zone, kept in UTC."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Item(_Kept):
    """A text of the queue, after the text policy: personal data is masked."""

    id: Name = Field(description="of the text's content, or `suspect-` and the row's")
    text: str = Field(min_length=1)
    source: Name = "file"
    why: Why = "given"
    rank: int = Field(0, ge=0, description="lower is asked sooner; of equal ones that which was added first")
    overlap: int = Field(1, ge=0, description="how many people are asked; 0: adjudicators alone")
    suggested: str | None = Field(None, description="the champion's label; not for annotators' eyes before they answer")
    probability: float | None = Field(None, ge=0, le=1, description="of the suggested label")
    language: str | None = Field(None, description="ISO 639 code of two or three letters, where it is known")
    corrects: str | None = Field(None, description="id of the row of ingest whose label a decision replaces")
    given: str | None = Field(None, description="the label that this row has")


class Event(_Kept):
    """One thing that one person said of one item, or took back."""

    id: Name = Field(default_factory=lambda: str(uuid.uuid4()))
    time: Moment = Field(default_factory=lambda: datetime.now(UTC))
    item: Name
    person: Name = Field(description="as person_id gives it")
    kind: Kind
    label: Name | None = Field(None, description="of answer and decide")
    comment: str | None = Field(None, min_length=1, max_length=COMMENT)
    seconds: float | None = Field(None, ge=0, le=LONGEST, description="how long the text was looked at")
    undoes: Name | None = Field(None, description="id of the event that an undo takes back")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for name, kinds in (("label", ("answer", "decide")), ("undoes", ("undo",))):
            if (getattr(self, name) is not None) != (self.kind in kinds):
                raise ValueError(f"`{name}` belongs to {' and '.join(kinds)}, and to no other kind of event")
        if self.kind == "comment" and self.comment is None:
            raise ValueError("a comment needs words")
        return self


def person_id(name: str, team: Team | None = None) -> str:
    """12 hex digits that stay the same when a person is renamed: of their e-mail in team.yaml, else of the name."""
    member = team.person(name) if team is not None else None
    known = member.email if member is not None and member.email else name
    return hashlib.sha256(known.casefold().encode()).hexdigest()[:12]


def item_id(text: str) -> str:
    """16 hex digits that name a text by its content."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def suspect(row: str, text: str, given: str, suggested: str, probability: float, rank: int) -> Item:
    """A row of ingest whose label is likely wrong, for adjudicators; `probability` is that of `suggested`."""
    return Item(
        id=f"suspect-{row}", text=text, source="suspects", why="suspect", rank=rank, overlap=0, suggested=suggested,
        probability=probability, corrects=row, given=given,
    )  # fmt: skip
