"""A release of kind rank as the page needs it: its users, its items by their words, its lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from tasks.bundle import load_release, release_id
from tasks.core.errors import DataError, SettingsError, StageError
from tasks.core.files import read_parquet
from tasks.inference import Model
from tasks.kinds.rank.serve import Answering
from tasks.kinds.rank.shared import history
from tasks.kinds.rank.shared.history import DISLIKED, LIKED, Event
from tasks.kinds.rank.shared.lists import Listed

FOUND = 12  # items of a search
STEPS = 10  # of a scale, beyond which not every step is offered as a rating
FEELINGS = {DISLIKED: "disliked", LIKED: "liked"}


@dataclass(frozen=True)
class User:
    """A user of the release's reference."""

    side: str
    text: str
    """The history."""
    later: frozenset[str]
    """What the user liked after it."""


@dataclass(frozen=True)
class Told:
    """An event of a history, as it is shown."""

    item: str
    text: str
    rating: float | None
    feeling: str
    """`liked`, `disliked`, `between`, `chosen` where nobody rated it, `unknown` where the release has no such item."""


class Shelf:
    """One release, loaded."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Raises StageError on what is no whole release, SettingsError on one of another kind."""
        manifest = load_release(folder)
        if manifest.kind != "rank":
            raise SettingsError(
                f"The line {manifest.line} is of kind {manifest.kind}; this page is for lines of kind rank. "
                "`tidegate ops` shows every line."
            )
        self.release = release_id(folder)
        self.model = Model.load(folder, threads=threads)
        answering = self.model.answering
        if not isinstance(answering, Answering):
            raise StageError(f"{folder} answers with no items. Export and release again.")
        self.answering = answering
        self.users = _users(folder)
        self.ratings = _scale(manifest.params.get(f"lines.{manifest.line}.label") or {}, answering)

    def listed(self, text: str, top: int, exclude_seen: bool, diversity: float) -> list[Listed]:
        """The list for a history."""
        return self.answering.listed(self.model.session, text, top, exclude_seen, diversity)

    def told(self, events: Sequence[Event]) -> list[Told]:
        """A history as it is shown, the latest event first."""
        return [Told(item, self.title(item), rating, self._feeling(item, rating)) for item, rating in reversed(events)]

    def title(self, item: str) -> str:
        """The text of an item; empty where it has none, or is not known."""
        number = self.answering.catalogue.numbers.get(item)
        return "" if number is None else self.answering.catalogue.texts[number]

    def search(self, words: str) -> list[tuple[str, str]]:
        """Id and text of items that have all of these words, or this id; those that most like first."""
        wanted = words.lower().split()
        if not wanted:
            return []
        items = self.answering.catalogue
        places = [at for at, text in enumerate(self._lowered) if all(word in text for word in wanted)]
        first = items.numbers.get(words.strip())
        popular = items.popular([None])[0]
        order = sorted(set(places) - {first}, key=lambda at: (-popular[at], at))
        chosen = ([] if first is None else [first]) + order
        return [(items.ids[at], items.texts[at]) for at in chosen[:FOUND]]

    @cached_property
    def _lowered(self) -> list[str]:
        return [text.lower() for text in self.answering.catalogue.texts]

    def _feeling(self, item: str, rating: float | None) -> str:
        tastes = self.answering.tastes
        if item not in self.answering.catalogue.numbers:
            return "unknown"
        if rating is None:
            return "chosen"
        return "liked" if rating >= tastes.like else "disliked" if rating < tastes.dislike else "between"


def parse(text: str) -> tuple[list[Event], datetime | None]:
    """The events of a history's text, and as of when the list is. Raises DataError where it is none."""
    try:
        events, at = history.parse(text)
        history.write(events).encode()
        return events, None if at is None else datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        raise DataError("This is no history.") from None


def _users(folder: Path) -> list[User]:
    """The rows of the reference, in their order; each is a user who liked something later."""
    rows = read_parquet(folder / "reference/rows.parquet", ["text", "side", "targets"])
    return [
        User(side, text, frozenset(targets))
        for text, side, targets in zip(rows["text"], rows["side"], rows["targets"], strict=True)
    ]


def _scale(label: dict[str, Any], answering: Answering) -> list[float]:
    """The ratings that can be given on the page, the best first: each step of a short scale."""
    low, high = label.get("scale") or (answering.tastes.dislike - 1, answering.tastes.like)
    if 0 < high - low <= STEPS:
        return [float(high - step) for step in range(int(high - low) + 1)]
    return [float(high), float(low)]
