"""What a team said of the texts of its queue: votes of annotators, decisions of adjudicators."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from tasks.annotation.events import DECISIONS
from tasks.core.line import STATE
from tasks.sources.base import FeedSettings, Mark, Portion
from tasks.sources.records import table
from tasks.sources.tables import Column
from tasks.standing import CORRECTS

if TYPE_CHECKING:
    from tasks.annotation.state import Standing

COLUMNS: dict[Column, str] = {name: name for name in ("id", "text", "label", "votes", "created_at")}
CHUNK = 50_000  # rows of a portion


class AnswersSource(FeedSettings):
    """The answers in .tidegate/annotation/<line>/ as they stand.

    An item that an adjudicator decided is a row with that label; one that annotators answered a row with their votes,
    unless somebody flagged it and nobody decided. One that was discarded is none. An item whose answers changed gives a
    row of the same id, which takes the earlier one's place in ingest; so does one whose answers were all taken back. A
    decision about a row of another source, where its label was suspected of being wrong, replaces that row's label, or
    takes the row out.
    """

    kind: Literal["answers"] = "answers"
    columns: dict[Column, str] = Field(COLUMNS, description="answers have columns of their own: leave it out")
    line: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="whose queue: usually the line's own name")
    equal_rows_are_one: ClassVar[bool] = True
    told_apart_by: ClassVar[tuple[Column, ...]] = ("id", "text", "label", "votes")

    @field_validator("columns")
    @classmethod
    def _own(cls, columns: dict[Column, str]) -> dict[Column, str]:
        if columns != COLUMNS:
            raise ValueError("a source of kind answers has columns of its own: leave `columns:` out")
        return columns

    def address(self) -> str:
        """The folder of the answers."""
        return self._folder().as_posix()

    def has_news(self, last: Mark) -> bool:
        """Whether there are more events than at the last sync."""
        return self._size() not in (0, last.end)

    def population(self, last: Mark) -> int | None:  # noqa: ARG002 - the interface
        """Not asked for: all items are looked at each time."""
        return None

    def feed(self, last: Mark, place: Any) -> Iterator[Portion]:
        """All items of which something was said, in the order of the queue; none where no event is new."""
        from tasks.annotation.journal import Journal

        if not self.has_news(last):
            return
        end, journal = self._size(), Journal(self._folder())
        said = [standing for standing in journal.state().standings.values() if _counts(standing)]
        for start in range(place or 0, len(said), CHUNK):
            rows, types = table(_columns(said[start : start + CHUNK]), self.address())
            yield Portion(rows, types, start + CHUNK, end)

    def _folder(self) -> Path:
        return STATE / "annotation" / self.line

    def _size(self) -> int:
        """Bytes of the events, which only ever grow."""
        path = self._folder() / "events.jsonl"
        return path.stat().st_size if path.exists() else 0


def _counts(standing: "Standing") -> bool:
    """Whether an item is to be a row: also where all that was said was taken back, for a row may tell otherwise."""
    return any(event.kind in ("answer", *DECISIONS) for event in standing.events)


def _columns(said: list["Standing"]) -> dict[str, list[Any]]:
    return {
        "id": [f"{CORRECTS}{one.item.corrects}" if one.item.corrects else one.item.id for one in said],
        "text": [one.item.text for one in said],
        "label": [one.decision.label if one.decision else None for one in said],
        "votes": [_votes(one) for one in said],
        "created_at": [one.last.time if one.last else None for one in said],
    }


def _votes(standing: "Standing") -> list[dict[str, str | None]] | None:
    if standing.state == "discarded":
        return []
    if standing.item.corrects or (standing.state == "flagged" and not standing.decision):
        return None
    votes = [{"who": who, "label": event.label} for who, event in sorted(standing.answers.items())]
    return votes or ([] if standing.decision else None)


__all__ = ["AnswersSource"]
