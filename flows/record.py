"""The record of a promotion or rollback, in the message of GTO's tags: a sentence for people, JSON for programs."""

import json
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.comparison import Comparison

SCHEMA = 1
TRAILER = "Tidegate-Record: "
"""A git trailer, so that `git for-each-ref --format='%(contents:trailers)'` shows it."""


class Compared(BaseModel):
    """The comparison that a promotion rests on."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    champion: str
    outcome: str
    metric: str
    rows: int
    difference: float
    low: float
    high: float
    sentence: str

    @classmethod
    def of(cls, found: Comparison) -> "Compared":
        """What a record keeps of a comparison."""
        deciding = found.deciding
        return cls(
            champion=found.champion.id,
            outcome=found.outcome,
            metric=deciding.metric,
            rows=deciding.rows,
            difference=deciding.difference,
            low=deciding.low,
            high=deciding.high,
            sentence=found.sentence,
        )


class Record(BaseModel):
    """Who let which release serve, when, why, and on what grounds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = SCHEMA
    action: Literal["promotion", "rollback"]
    line: str
    version: str
    release: str
    manifest_sha256: str
    variant: str
    by: str
    email: str
    proof: str
    """How the person proved who it was, in words."""
    why: str
    time: str
    """ISO 8601, UTC."""
    before: str | None = None
    """The champion's version until then; None where there was none."""
    comparison: Compared | None = None
    """None where there was no champion, and for a rollback, which needs none."""

    def message(self) -> str:
        """The message of a tag."""
        place = f"in the place of {self.before}" if self.before else "as the first champion"
        way = "is promoted" if self.action == "promotion" else "is rolled back to"
        lines = [f"{self.line} {self.version} (release {self.release}) {way}, {place}, by {self.by}: {self.why}", ""]
        if self.comparison is not None:
            lines += [f"Against {self.comparison.champion}: {self.comparison.sentence}", ""]
        elif self.action == "promotion":
            lines += ["There was no champion to compare with.", ""]
        lines += [f"Proof: {self.proof}", f"Variant: {self.variant}"]
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return "\n".join([*lines, f"{TRAILER}{content}"]) + "\n"


def parse(message: str) -> Record | None:
    """The record in a tag's message; None where it holds none, as in a tag that somebody made by hand."""
    last = message.strip().rpartition("\n")[2]
    if not last.startswith(TRAILER):
        return None
    try:
        found = Record.model_validate_json(last.removeprefix(TRAILER))
    except ValidationError:
        return None
    return found if found.schema_version <= SCHEMA else None


def now() -> str:
    """The time as records have it: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def one_line(text: str) -> str:
    """Words of a person as one line without control characters: a tag's last line must stay the record."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
