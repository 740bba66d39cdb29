"""What a form of the page says, checked: nothing else becomes an event."""

import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.exceptions import HTTPException

from flows.settings import LineSettings
from tasks.annotation.events import COMMENT, LONGEST, Event, Kind
from tasks.text import clean

ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


class Said(BaseModel):
    """One press of a button. Its `event` stands in the form from the start, so that to repeat it changes nothing."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event: str = Field(pattern=ID)
    item: str = Field(min_length=1, max_length=300)
    kind: Literal["answer", "skip", "flag", "decide", "discard", "undo"]
    label: str | None = None
    comment: str | None = Field(None, max_length=2 * COMMENT, description="browsers send two characters for a new line")
    seconds: float | None = None
    undoes: str | None = Field(None, max_length=300, pattern=r"^[^\r\n\x00]+$")

    @field_validator("seconds", mode="before")
    @classmethod
    def _figure(cls, given: object) -> float | None:
        """A browser's clock is no reason to lose an answer."""
        try:
            seconds = float(str(given))
        except ValueError:
            return None
        return seconds if math.isfinite(seconds) and seconds >= 0 else None

    @classmethod
    def of(cls, given: Mapping[str, str], kinds: Sequence[Kind], settings: LineSettings, labels: Sequence[str]) -> Self:
        """A form's fields; one with a label answers or decides, as `kinds` begins. A comment keeps to the text policy.

        Raises HTTPException 422 for what no form of ours says, or one that is not of `labels`.
        """
        kind = kinds[0] if given.get("label") else given.get("kind", "")
        filled = {name: value for name, value in given.items() if value}
        try:
            said = cls.model_validate({**filled, "kind": kind})
        except ValidationError:
            raise HTTPException(422) from None
        whole = (said.label is not None) == (kind in ("answer", "decide")) and bool(said.undoes) == (kind == "undo")
        if kind not in kinds or not whole or (said.label is not None and said.label not in labels):
            raise HTTPException(422)
        comment = clean(said.comment or "", settings.text).strip()[:COMMENT] or None
        return said.model_copy(update={"comment": comment})

    def by(self, person: str, shown_for: float | None) -> Event:
        """The event. `shown_for` is how long ago the text was shown: nobody looked at it for longer."""
        most = LONGEST if shown_for is None else min(shown_for, LONGEST)
        seconds = None if self.seconds is None else min(self.seconds, most)
        return Event(
            id=self.event, item=self.item, person=person, kind=self.kind, label=self.label, comment=self.comment,
            seconds=None if seconds is None else round(seconds, 1), undoes=self.undoes,
        )  # fmt: skip


def fresh() -> str:
    """An id for what may be said next."""
    return str(uuid.uuid4())
